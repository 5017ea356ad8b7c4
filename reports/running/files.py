"""Folders and files that a run writes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

JSON_OPTION: dict[str, Any] = {
    "metavar": "FILE",
    "help": "write the answer there as JSON; - is the standard output, the text then goes to standard error",
}
"""What ``--json`` is, in every command that has it."""


def check_file(name: str, place: Path | str | None) -> None:
    """Raise ``ValueError`` that names the option unless a file can be written there; its folder is made if missing."""
    if place is None or str(place) == "-":
        return
    path = Path(place)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{name} {str(path)!r} cannot be written: {error.strerror}") from None
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ValueError(f"{name} {str(path)!r} cannot be written: {'a folder' if path.is_dir() else 'not allowed'}")
    _check_by_writing(name, path)


def _check_by_writing(name: str, path: Path) -> None:
    """Raise ``ValueError`` unless the file can be opened to be written to; nothing is changed."""
    new = not path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise ValueError(f"{name} {str(path)!r} cannot be written: {error.strerror}") from None
    if new:
        path.unlink()


def say(text: str, answer: Any, place: str | None) -> None:
    """Print the text, and write the answer's JSON values where ``--json`` asks for them."""
    print(text, file=sys.stderr if place == "-" else sys.stdout)
    if place == "-":
        print(json.dumps(answer, indent=1, allow_nan=False))
    elif place is not None:
        write_json(Path(place), answer)


def write_json(path: Path, values: Any) -> None:
    """Write JSON values to a file that is never seen half written."""
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    scratch.replace(path)
