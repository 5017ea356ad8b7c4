"""The file of a suite: one line for the head, then one line for each finished cell.  No torch is needed to read it.

A cell is written as one line and forced to the disk before the next one begins, so that a killed run loses at most the
cell that it was in.  A line that a kill cut short is taken away when the run goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KIND = "veridraft suite"
NAME = "suite.jsonl"

Cell = tuple[str, str, float, float]
"""Verifier, policy by its name, temperature, top-p."""


def cell_of(record: Mapping[str, Any]) -> Cell:
    """Which cell a finished one is."""
    return record["verifier"], record["policy"], float(record["temperature"]), float(record["top_p"])


@dataclass
class SuiteFile:
    """The finished cells of a suite, in the order in which they finished; ``path`` ``None`` keeps them in memory."""

    path: Path | None
    command: str
    settings: dict[str, Any]
    machine: dict[str, Any]
    cells: list[dict[str, Any]] = field(default_factory=list)

    @property
    def planned(self) -> tuple[Cell, ...]:
        """All cells of the suite."""
        return tuple((verifier, policy, temperature, top_p)
                     for verifier, policy, temperature, top_p in self.settings["cells"])  # fmt: skip

    @property
    def missing(self) -> tuple[Cell, ...]:
        """The planned cells that are not finished, in their order."""
        finished = set(map(cell_of, self.cells))
        return tuple(cell for cell in self.planned if cell not in finished)

    @classmethod
    def load(cls, place: str | Path) -> SuiteFile:
        """The file, or the one in a folder; a last line that was cut short is left out.

        Raises ``ValueError`` that names the line, for a file that is none, a broken line, a cell that stands twice or
        was not planned; ``FileNotFoundError`` if there is none.
        """
        path = Path(place) / NAME if Path(place).is_dir() else Path(place)
        lines = _whole_lines(path.read_text(encoding="utf-8"))
        records = [_record(path, number, line) for number, line in enumerate(lines, start=1)]
        if not records or records[0].get("kind") != KIND:
            raise ValueError(f"suite file {path} is none: its first line's kind is not {KIND!r}")
        head, *cells = records
        file = cls(path, head["command"], head["settings"], head["machine"])
        for number, record in enumerate(cells, start=2):
            file._take(number, record)
        return file

    @classmethod
    def open(cls, folder: str | Path | None, command: str, settings: Mapping[str, Any],
             machine: Mapping[str, Any]) -> SuiteFile:  # fmt: skip
        """The suite in a folder, to be continued, or a new one.

        Raises ``ValueError`` that names the first setting, or trait of the machine, in which they differ.
        """
        path = None if folder is None else Path(folder) / NAME
        if path is None or not path.exists() or "\n" not in path.read_text(encoding="utf-8"):
            file = cls(path, command, dict(settings), dict(machine))
            file._begin()
            return file
        held = cls.load(path)
        for kind, found, wanted in (("", held.settings, settings), ("machine's ", held.machine, machine)):
            for name, value in wanted.items():
                if found.get(name) != value:
                    raise ValueError(
                        f"out {str(folder)!r} holds a suite whose {kind}{name} is {_short(found.get(name))}, "
                        f"not {_short(value)}: give another folder"
                    )
        _cut(path)
        return held

    def add(self, record: dict[str, Any]) -> None:
        """Append a finished cell, and force it to the disk."""
        self._take(len(self.cells) + 2, record)
        self._write(record, "a")

    def _take(self, number: int, record: dict[str, Any]) -> None:
        """Keep a cell; raises ``ValueError`` where it stands twice, or was not planned."""
        cell = cell_of(record)
        if cell not in self.planned:
            raise ValueError(f"suite file {self.path} line {number}: {cell} is none of its planned cells")
        if cell in map(cell_of, self.cells):
            raise ValueError(f"suite file {self.path} line {number}: {cell} stands there twice")
        self.cells.append(record)

    def _begin(self) -> None:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self._write({"kind": KIND, "command": self.command, "settings": self.settings, "machine": self.machine}, "w")

    def _write(self, record: Mapping[str, Any], mode: str) -> None:
        if self.path is None:
            return
        with self.path.open(mode, encoding="utf-8") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _whole_lines(text: str) -> Sequence[str]:
    """The lines that end."""
    return text[: text.rfind("\n") + 1].splitlines()


def _cut(path: Path) -> None:
    """Take away a last line that does not end."""
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        with path.open("r+b") as file:
            file.truncate(end)


def _record(path: Path, number: int, line: str) -> dict[str, Any]:
    """What a line says."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"suite file {path} line {number} is no JSON: {error}") from None
    wanted = ("command", "settings", "machine") if number == 1 else ("verifier", "policy", "temperature", "top_p")
    for name in wanted:
        if not isinstance(record, dict) or name not in record:
            raise ValueError(f"suite file {path} line {number} lacks {name!r}")
    return record


def _short(value: Any) -> str:
    """A value as an error can hold it."""
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."
