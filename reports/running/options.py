"""Options that several commands share: how words are read, checked and shown."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from veridraft.theory.policies.base import Policy, parse_policy
from veridraft.theory.verifiers.table import VERIFIERS, get_verifier

from .console import names

CLOCK_NAMES = {"wall": "wall clock", "cpu": "CPU time"}


def numbers(text: str) -> tuple[int, ...]:
    """The integers in a list with commas."""
    return tuple(int(word) for word in names(text))


def policies(text: str) -> tuple[Policy, ...]:
    """The policies in a list with semicolons, such as ``Chain(4); Iid(4, 3)``."""
    return tuple(parse_policy(word) for word in text.split(";") if word.strip())


def words_of(kind: Any) -> Any:
    """A reader of an option's value whose error message is that of what it reads."""

    def read(text: str) -> Any:
        try:
            return kind(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def decimals(text: str) -> tuple[float, ...]:
    """The numbers in a list with commas."""
    return tuple(float(word) for word in names(text))


def policy_names(text: str) -> tuple[str, ...]:
    """The policies in a list with semicolons, as text."""
    return tuple(word.strip() for word in text.split(";") if word.strip())


def default_of(settings: dict[str, Any]) -> Any:
    """What an option is where it is not given."""
    return settings.get("default", False if "action" in settings else None)


COMMON = (
    "naive",
    "nss",
    "naive_tree",
    "spectr",
    "specinfer",
    "block",
    "traversal",
    "lifted_k_seq",
    "lifted_rrs",
)
"""The verifiers that a report shows unless asked: they run in exact form, in simulation and on real models."""


def check_verifiers(names: Iterable[str]) -> None:
    """Raise ``ValueError`` unless the names are known, distinct, and at least one."""
    names = tuple(names)
    if not names:
        raise ValueError(f"verifiers is empty; known are {', '.join(VERIFIERS)}")
    for name in names:
        get_verifier(name)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"verifiers names {repeated[0]!r} more than once")
