"""Objects that a person names on the command line: ``package.module:name`` or ``file.py:name``."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from veridraft.theory.rows.near_names import did_you_mean


def load(argument: str, text: str) -> Any:
    """The object that a text names; modules are found as ``python -m`` finds them, from the current folder.

    ``name`` may have dots, for something inside a class.  Raises ``ValueError`` that begins with ``argument`` for a
    text of another shape, a module that is missing or fails as it is imported, and a name that it does not have.
    """
    place, _, name = text.rpartition(":")
    if not place or not name:
        raise ValueError(f"{argument} must be package.module:name or file.py:name, but is {text!r}")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else import_module(place)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{argument} {text!r}: cannot import {place}: {_described(error)}") from error
    return _inside(argument, module, name)


def _from_file(path: Path) -> ModuleType:
    """The module that a file is, under the file's name without .py; its folder is searched for what it imports."""
    path = path.resolve()
    name = path.stem
    known = sys.modules.get(name)
    if known is not None and Path(getattr(known, "__file__", None) or "").resolve() == path:
        return known
    spec = spec_from_file_location(name if known is None else f"_{name}_", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


def _inside(argument: str, module: ModuleType, name: str) -> Any:
    """What the module has under a dotted name."""
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{argument}: {module.__name__} has no {name!r}{did_you_mean(part, dir(found))}")
        found = getattr(found, part)
    return found


def _described(error: BaseException) -> str:
    """The kind of error, its message, and the line that it came from where that is not in the import system."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if os.path.exists(frame.filename)]
    last = frames[-1] if frames else None
    own = last is not None and last.filename != __file__ and "importlib" not in last.filename
    where = f" ({last.filename}, line {last.lineno})" if own and last else ""
    return f"{type(error).__name__}: {error}".removesuffix(": ") + where
