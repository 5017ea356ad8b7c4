"""The folder of a distillation: its settings and what it found, its last checkpoint, and in the end the draft."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..files.whole import check_same, write_json, write_whole
from ..models.backend import torch
from ..models.machine import machine

RECORD, CHECKPOINT, DRAFT = "distil.json", "checkpoint.pt", "draft"


@dataclass
class DistilFolder:
    """A run in its folder; every file in it is renamed into place, and never seen half written.

    ``head`` has the command, the settings and the machine; ``evaluations`` are those up to the last checkpoint that
    :meth:`checkpoint` read, and those added since.
    """

    path: Path
    head: dict[str, Any]
    evaluations: list[dict[str, Any]]

    @classmethod
    def open(cls, path: Path, command: str, settings: Mapping[str, Any]) -> DistilFolder:
        """The run in the folder, to be continued, or a new one.

        Raises ``ValueError`` if the folder holds a run whose settings differ, naming the first that does, or if
        something else stands in its place.
        """
        head = {"command": command, "settings": dict(settings), "machine": machine()}
        if path.exists() and not path.is_dir():
            raise ValueError(f"out {str(path)!r} is not a folder")
        if not (path / RECORD).exists():
            path.mkdir(parents=True, exist_ok=True)
            folder = cls(path, head, [])
            folder._write_record()
            return folder
        held = json.loads((path / RECORD).read_text(encoding="utf-8"))
        advice = "give another folder, or remove that run"
        check_same(held["settings"], settings, f"out {str(path)!r} holds a run", advice)
        return cls(path, head | {"command": held["command"]}, held["evaluations"])

    @property
    def draft(self) -> Path:
        """Where the draft lies once it is finished."""
        return self.path / DRAFT

    def is_finished(self) -> bool:
        """True if the draft is there."""
        return self.draft.exists()

    def add(self, evaluation: Mapping[str, Any]) -> None:
        """Take an evaluation, and write the record."""
        self.evaluations.append(dict(evaluation))
        self._write_record()

    def _write_record(self) -> None:
        write_json(self.path / RECORD, self.head | {"evaluations": self.evaluations})

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a checkpoint, and wait until it is on the disk."""
        write_whole(self.path / CHECKPOINT, partial(torch.save, dict(state)))

    def checkpoint(self) -> dict[str, Any] | None:
        """The last checkpoint's state, or ``None``; evaluations behind it are forgotten, since they come again."""
        place = self.path / CHECKPOINT
        state = torch.load(place, map_location="cpu", weights_only=True) if place.exists() else None
        steps = state["steps"] if state else 0
        self.evaluations = [one for one in self.evaluations if one["step"] <= steps]
        return state

    def finish(self, write: Callable[[Path], None]) -> None:
        """Let the draft be written into a folder, which then takes its place, and remove the checkpoint."""
        scratch = self.path / f"{DRAFT}.partial"
        shutil.rmtree(scratch, ignore_errors=True)
        write(scratch)
        scratch.replace(self.draft)
        (self.path / CHECKPOINT).unlink(missing_ok=True)
