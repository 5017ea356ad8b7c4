"""Verifiers as a person names them: by the table, or their own as ``package.module:object`` or ``file.py:object``."""

from __future__ import annotations

import hashlib
import inspect
import sys
from pathlib import Path
from typing import Any

from veridraft.theory.verifiers.table import Verifier, add_verifier

from .console import names
from .loading import load
from .options import words_of

SOURCES: dict[str, str] = {}
"""Own verifiers by name, and a digest of the file that each was loaded from: a run goes on with the same one only."""

HELP = "or your own as module:object or file.py:object"


def verifier_names(text: str) -> tuple[str, ...]:
    """The names in a list with commas; own verifiers among them are loaded, and known by their names from then on.

    Raises ``ValueError`` for what cannot be loaded, or is no verifier.
    """
    found = names(text)
    for name in found:
        if ":" in name:
            load_verifier(name)
    return found


def load_verifier(name: str) -> Verifier:
    """The verifier that ``module:object`` names: a ``Verifier``, or a class or function that gives one."""
    found = load("verifier", name)
    made = _made(name, found)
    if not isinstance(made, Verifier):
        how = "is" if made is found else "gives an object"
        raise ValueError(
            f"verifier {name!r} {how} of type {type(made).__name__}; asked for is a "
            "veridraft.theory.verifiers.Verifier (name, title, source, rule, draft_laws), or a class or function "
            "without arguments that gives one"
        )
    SOURCES[name] = _digest(name)
    return add_verifier(name, made)


def _made(name: str, found: Any) -> Any:
    """What a class or function gives, or the object itself."""
    if isinstance(found, Verifier) or not (inspect.isclass(found) or inspect.isfunction(found)):
        return found
    try:
        return found()
    except TypeError as error:
        raise ValueError(f"verifier {name!r} must be called without arguments, but: {error}") from None


def _digest(name: str) -> str:
    """16 hexadecimal digits of the file that a name was loaded from."""
    place = name.rpartition(":")[0]
    file = place if place.endswith(".py") else sys.modules[place].__file__
    return hashlib.sha256(Path(file or "").read_bytes()).hexdigest()[:16]


VERIFIER_NAMES = words_of(verifier_names)
"""The type of an option that lists verifiers."""
