"""The file of a run: rows appended as they finish, each time as a whole file renamed into place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "crosscheck.json"


@dataclass
class RunFile:
    """The rows that are finished, by verifier, and where they are written (``None`` keeps them in memory)."""

    path: Path | None
    head: dict[str, Any]
    finished: dict[str, dict[str, Any]]

    @classmethod
    def open(cls, folder: str | Path | None, command: str, settings: Mapping[str, Any]) -> RunFile:
        """The run in the folder, to be continued, or a new one.

        Raises ``ValueError`` if the folder holds a run whose settings differ, naming the first that does, or a file
        that is no run, or if it cannot be made.
        """
        head: dict[str, Any] = {"command": command, "settings": dict(settings)}
        if folder is None:
            return cls(None, head, {})
        path = Path(folder) / NAME
        if not path.exists():
            _make(path.parent)
            return cls(path, head, {})
        held = _held(path)
        for name, value in head["settings"].items():
            if held["settings"].get(name) != value:
                raise ValueError(
                    f"out {str(folder)!r} holds a run with {name} = {held['settings'].get(name)!r}, not {value!r}: "
                    "give another folder, or remove that run"
                )
        head["command"] = held["command"]
        return cls(path, head, {row["verifier"]: row for row in held["rows"]})

    def add(self, row: dict[str, Any]) -> None:
        """Take a finished row, and write the file at once."""
        self.finished[row["verifier"]] = row
        if self.path is None:
            return
        order = [name for name in self.head["settings"]["verifiers"] if name in self.finished]
        rows = [self.finished[name] for name in order]
        text = json.dumps(self.head | {"rows": rows}, indent=1, allow_nan=False)
        scratch = self.path.with_suffix(".partial")
        scratch.write_text(text + "\n")
        scratch.replace(self.path)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"out {str(folder)!r} cannot be made a folder: {error.strerror}") from None


def _held(path: Path) -> dict[str, Any]:
    """The run in a file."""
    try:
        held = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"out {str(path.parent)!r} holds a {path.name} that is not JSON: {error}") from None
    if not isinstance(held, dict) or not {"command", "settings", "rows"} <= held.keys():
        raise ValueError(f"out {str(path.parent)!r} holds a {path.name} that is no run: command, settings or rows miss")
    return held


