"""Options that several commands share: how words are read, checked and shown."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from veridraft.theory.policies.arguments import get_policy
from veridraft.theory.policies.base import Policy
from veridraft.theory.verifiers.table import VERIFIERS, get_verifier

from .console import names

Options = Mapping[str, Mapping[str, Any]]
"""Flags of a command, each with what ``argparse`` takes for it."""

CLOCK_NAMES = {"wall": "wall clock", "cpu": "CPU time"}


def whole(text: str) -> int:
    """The whole number that a text says, also one that is written as a float, such as ``1e6``."""
    try:
        number = int(text) if text.strip().lstrip("+-").isdigit() else float(text)
        if number != int(number):
            raise ValueError
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no whole number, such as 1000 or 1e3") from None
    return int(number)


def numbers(text: str) -> tuple[int, ...]:
    """The whole numbers in a list with commas."""
    return tuple(map(whole, _some(names(text))))


def policies(text: str) -> tuple[Policy, ...]:
    """The policies in a list with semicolons, such as ``Chain(4); Iid(4, 3)``."""
    return tuple(map(get_policy, policy_names(text)))


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
    return tuple(map(_decimal, _some(names(text))))


def _some(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words:
        raise ValueError("the list is empty: give at least one")
    return words


def _decimal(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None


COUNT = words_of(whole)
"""The type of an option that is a whole number."""


def policy_names(text: str) -> tuple[str, ...]:
    """The policies in a list with semicolons, as text."""
    return _some(tuple(word.strip() for word in text.split(";") if word.strip()))


def default_of(settings: Mapping[str, Any]) -> Any:
    """What an option is where it is not given."""
    return settings.get("default", False if "action" in settings else None)


def command_of(words: Sequence[str], options: Options, given: Any) -> str:
    """The shell command of the words behind ``veridraft`` with the given values; defaults are left out."""
    said = ["veridraft", *words]
    for flag, settings in options.items():
        value = getattr(given, settings.get("dest", flag[2:].replace("-", "_")))
        if value != default_of(settings):
            for one in value if isinstance(value, list) else [value]:
                said += [flag] if one is True else [flag, _typed(one)]
    return shlex.join(said)


def _typed(value: Any) -> str:
    """A value as it is typed."""
    if not isinstance(value, tuple):
        return f"{value:g}" if isinstance(value, float) else str(value)
    texts = [":".join(map(_typed, one)) if isinstance(one, tuple) else _typed(one) for one in value]
    return ("; " if any("(" in text for text in texts) else ",").join(texts)


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
