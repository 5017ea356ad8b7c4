"""How the command speaks: one-line errors, exit statuses, the word about a stop."""

from __future__ import annotations

import argparse
import codecs
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from .progress import Talk

FAILED, BAD_INPUT, FAULT, STOPPED, BROKEN_PIPE = 1, 2, 70, 130, 141

EXTRAS = {"torch": "gpu", "transformers": "gpu", "accelerate": "gpu", "gguf": "gpu",
          "matplotlib": "report", "jinja2": "report", "pandas": "frames", "pyarrow": "frames",
          "distributed": "cluster", "sklearn": "selector"}  # fmt: skip
"""Packages that only some installations have, and the extra that brings each."""

PLAIN = {"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{RIGHT SINGLE QUOTATION MARK}": "'"}
"""What stands for a sign that a console cannot show."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and know what may have been meant; every command can be quiet."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.add_argument("--quiet", action=_Quiet, nargs=0, default=argparse.SUPPRESS,
                          help="no progress and no words in between")

    def error(self, message: str) -> NoReturn:
        """Print the message on one line and exit with status 2."""
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}{self._meant(message)}\n")

    def _meant(self, message: str) -> str:
        """A choice, or an option, that is near what was typed."""
        from veridraft.theory.rows.near_names import did_you_mean

        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if choice:
            return did_you_mean(choice[1], re.findall(r"[\w-]+", choice[2]))
        flag = re.search(r"unrecognized arguments: (--[\w-]+)", message)
        return did_you_mean(flag[1], list(self._option_string_actions)) if flag else ""


class _Quiet(argparse.Action):
    """Turns off what is said in between."""

    def __call__(self, *_: Any) -> None:
        Talk.quiet = True


def speak_plainly() -> None:
    """Let consoles that cannot show a sign show a plainer one, in place of an error."""
    codecs.register_error("plainly", lambda error: (_plainly(error), error.end))  # type: ignore[attr-defined]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="plainly")


def _plainly(error: UnicodeError) -> str:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(PLAIN.get(sign, "?") for sign in error.object[error.start : error.end])


def names(text: str) -> tuple[str, ...]:
    """The names in a list with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


@contextmanager
def bad_input(command: str) -> Iterator[None]:
    """Turn an error about what was asked for into one line and status 2; for checks before the work only."""
    try:
        yield
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"veridraft {command}: error: {_sentence(error)}", file=sys.stderr)
        raise SystemExit(BAD_INPUT) from None


def _sentence(error: Exception) -> str:
    """What an error says, on one line; of a file that cannot be used the system's words follow its name."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{str(error.filename)!r}: {error.strerror}"
    extra = EXTRAS.get(error.name or "") if isinstance(error, ModuleNotFoundError) else None
    return " ".join(str(error).split()) + (f": pip install 'veridraft[{extra}]'" if extra else "")


@contextmanager
def broken_off(command: str) -> Iterator[None]:
    """Turn a number that is not finite, or memory that does not suffice, into one line and status 1; for the work."""
    try:
        yield
    except (FloatingPointError, MemoryError) as error:
        print(f"\nveridraft {command}: error: {error}", file=sys.stderr)
        raise SystemExit(FAILED) from None


def break_line() -> str:
    """What parts a word about a stop from the ``^C`` of a terminal."""
    return "\n" if sys.stderr.isatty() else ""


def say_stopped(folder: Path) -> None:
    """Say that a run was stopped, what is kept, and how it goes on."""
    kept = f"what was finished is kept in {folder}; the same command goes on from here."
    print(f"{break_line()}Stopped: {kept}", file=sys.stderr)
