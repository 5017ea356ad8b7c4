"""How the command speaks: one-line errors, exit statuses, the word about a stop."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

FAILED, BAD_INPUT, STOPPED = 1, 2, 130


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print the message on one line and exit with status 2."""
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}\n")


def names(text: str) -> tuple[str, ...]:
    """The names in a list with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


@contextmanager
def bad_input(command: str) -> Iterator[None]:
    """Turn an error about what was asked for into one line and status 2; for checks before the work only."""
    try:
        yield
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"veridraft {command}: error: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(BAD_INPUT) from None


@contextmanager
def broken_off(command: str) -> Iterator[None]:
    """Turn a number that is not finite, or memory that does not suffice, into one line and status 1; for the work."""
    try:
        yield
    except (FloatingPointError, MemoryError) as error:
        print(f"\nveridraft {command}: error: {error}", file=sys.stderr)
        raise SystemExit(FAILED) from None


def say_stopped() -> None:
    """Say that a run was stopped and can go on."""
    print("\nStopped: the same command goes on from here.", file=sys.stderr)
