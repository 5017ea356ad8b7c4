"""A file of many finished cells: one line for the head, then one line for each.  No torch is needed to read it.

A cell is written as one line and forced to the disk before the next one begins, so that a killed run loses at most the
cell that it was in.  A line that a kill cut short is taken away when the run goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

CellKey = tuple[Any, ...]
"""What tells a cell from the others."""

Kind = TypeVar("Kind", bound="CellFile")


@dataclass
class CellFile:
    """The finished cells of a run, in the order in which they finished; ``path`` ``None`` keeps them in memory.

    A kind of run says what its files are called and which ``fields`` of a cell make its key; the settings hold the keys
    of all cells that are planned, as ``cells``.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    what: ClassVar[str]
    fields: ClassVar[tuple[str, ...]]
    grows: ClassVar[str] = ""
    """A setting, a number, that a later run may raise: its cells are added to those that are planned."""

    path: Path | None
    command: str
    settings: dict[str, Any]
    machine: dict[str, Any]
    finished: dict[CellKey, dict[str, Any]] = field(default_factory=dict)

    @property
    def cells(self) -> list[dict[str, Any]]:
        """The finished cells in the order of the plan, whatever the order in which they finished."""
        return [self.finished[key] for key in self.planned if key in self.finished]

    @cached_property
    def planned(self) -> tuple[CellKey, ...]:
        """The keys of all cells."""
        return tuple(dict.fromkeys(tuple(key) for key in self.settings["cells"]))

    @cached_property
    def _places(self) -> frozenset[CellKey]:
        return frozenset(self.planned)

    @property
    def missing(self) -> tuple[CellKey, ...]:
        """The keys of planned cells that are not finished, in their order."""
        return tuple(key for key in self.planned if key not in self.finished)

    def finish(self: Kind, measure: Callable[..., dict[str, Any]]) -> Iterator[tuple[int, int, Kind]]:
        """Cells done, cells in all, and the file: at once, then after each cell that ``measure(*key)`` gives."""
        total = len(self.planned)
        yield len(self.finished), total, self
        for key in self.missing:
            self.add(dict(zip(self.fields, key, strict=True)) | measure(*key))
            yield len(self.finished), total, self

    @classmethod
    def key(cls, record: Mapping[str, Any]) -> CellKey:
        """Which cell a finished one is."""
        return tuple(record[name] for name in cls.fields)

    @classmethod
    def load(cls: type[Kind], place: str | Path) -> Kind:
        """The file, or the one in a folder; a last line that was cut short is left out.

        Raises ``ValueError`` that names the line, for a file that is none, a broken line, a cell that stands twice or
        was not planned; ``FileNotFoundError`` if there is none.
        """
        path = Path(place) / cls.name if Path(place).is_dir() else Path(place)
        if not path.exists():
            raise FileNotFoundError(f"there is no {cls.what} at {str(place)!r}")
        lines = _whole_lines(path.read_text(encoding="utf-8"))
        records = [cls._record(path, number, line) for number, line in enumerate(lines, start=1)]
        if not records or records[0].get("kind") != cls.kind:
            raise ValueError(f"{cls.what} file {path} is none: its first line's kind is not {cls.kind!r}")
        head, *cells = records
        file = cls(path, head["command"], head["settings"], head["machine"])
        for number, record in enumerate(cells, start=2):
            file._take(number, record)
        return file

    @classmethod
    def open(cls: type[Kind], folder: str | Path | None, command: str, settings: Mapping[str, Any],
             machine: Mapping[str, Any]) -> Kind:  # fmt: skip
        """The run in a folder, to be continued, or a new one.

        Raises ``ValueError`` that names the first setting, or trait of the machine, in which they differ, or a folder
        that cannot be made.
        """
        path = None if folder is None else Path(folder) / cls.name
        if path is None or not path.exists() or "\n" not in path.read_text(encoding="utf-8"):
            file = cls(path, command, dict(settings), dict(machine))
            file._begin()
            return file
        held = cls.load(path)
        held = held._grown(settings)
        for kind, found, wanted in (("", held.settings, settings), ("machine's ", held.machine, machine)):
            for name, value in wanted.items():
                if found.get(name) != value:
                    raise ValueError(
                        f"out {str(folder)!r} holds a {cls.what} whose {kind}{name} is {_short(found.get(name))}, "
                        f"not {_short(value)}: give another folder"
                    )
        _cut(path)
        return held

    def _grown(self: Kind, settings: Mapping[str, Any]) -> Kind:
        """The file with a raised number and its cells, written anew, if nothing else differs; else as it is."""
        kept = settings.keys() - {self.grows, "cells"}
        same = all(self.settings.get(name) == settings[name] for name in kept)
        if self.path is None or not self.grows or not same or settings[self.grows] <= self.settings[self.grows]:
            return self
        scratch = self.path.with_suffix(".partial")
        grown = type(self)(scratch, self.command, dict(settings), self.machine)
        grown._begin()
        for record in self.cells:
            grown.add(record)
        scratch.replace(self.path)
        grown.path = self.path
        return grown

    def add(self, record: dict[str, Any]) -> None:
        """Append a finished cell, and force it to the disk."""
        self._take(len(self.finished) + 2, json.loads(json.dumps(record, allow_nan=False)))
        self._write(record, "a")

    def _take(self, number: int, record: dict[str, Any]) -> None:
        """Keep a cell; raises ``ValueError`` where it stands twice, or was not planned."""
        key, where = self.key(record), f"{self.what} file {self.path} line {number}"
        if key not in self._places:
            raise ValueError(f"{where}: {key} is none of its planned cells")
        if key in self.finished:
            raise ValueError(f"{where}: {key} stands there twice")
        self.finished[key] = record

    def _begin(self) -> None:
        if self.path is not None:
            check_folder(self.path.parent)
        head = {"kind": self.kind, "command": self.command, "settings": self.settings, "machine": self.machine}
        self._write(head, "w")

    @classmethod
    def _record(cls, path: Path, number: int, line: str) -> dict[str, Any]:
        """What a line says."""
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{cls.what} file {path} line {number} is no JSON: {error}") from None
        for name in ("command", "settings", "machine") if number == 1 else cls.fields:
            if not isinstance(record, dict) or name not in record:
                raise ValueError(f"{cls.what} file {path} line {number} lacks {name!r}")
        return record

    def _write(self, record: Mapping[str, Any], mode: str) -> None:
        if self.path is None:
            return
        with self.path.open(mode, encoding="utf-8") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def check_folder(folder: Path) -> Path:
    """The folder, made if it is missing; ``ValueError`` if it cannot be made, or nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"out {str(folder)!r} cannot be made a folder: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise ValueError(f"out {str(folder)!r} cannot be written: not allowed")
    return folder


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


def _short(value: Any) -> str:
    """A value as an error can hold it."""
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."


