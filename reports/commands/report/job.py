"""The main job: everything that one report shows, piece by piece, each piece kept once it is finished.

The folder of a report holds ``run.json`` (what was asked for, and how it was run), a folder for each set of settings
and state of the code with the finished pieces, and what is made from them: ``report.html``, ``report.json`` and, with a
real pair, ``crosscheck.jsonl``.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import islice, product
from pathlib import Path
from typing import Any

from veridraft.gpu.files.cell_file import CellFile

from ...running.families import FAMILIES
from ...running.files import write_json
from ...running.progress import ProgressLine
from ...running.sources import source_digest
from ..certify.certificates import CertificatesPlan, rows_of
from . import real, synthetic
from .data import Provenance, Report
from .provenance import provenance
from .settings import Settings

PAIRS = 54
MOST_TREES = 729
"""The report's certificates: every verifier and policy on so many pairs, up to so many trees."""


class PiecesFile(CellFile):
    """The finished pieces of the synthetic part: profiles by verifier and family, certificates by pair and policy."""

    kind, name, what, fields = "veridraft report", "pieces.jsonl", "report", ("part", "of", "with")


class Job:
    """One report in its folder: ``run`` does what is missing, ``read`` gives what is finished.

    ``made`` says how the pieces were made, ``left_out`` what is not done and why.
    """

    def __init__(self, settings: Settings, folder: Path, made: Provenance, left_out: Sequence[str] = ()) -> None:
        self.settings, self.folder, self.made, self.left_out = settings, folder, made, tuple(left_out)
        digest = hashlib.sha256(repr((settings, made.source)).encode()).hexdigest()[:8]
        self.work = folder / f"work-{digest}"
        self._plan = CertificatesPlan(PAIRS, settings.verifiers, MOST_TREES, settings.seed)

    @classmethod
    def new(cls, settings: Settings, folder: Path, left_out: Sequence[str] = ()) -> Job:
        """The job of these settings with the code as it is; finished pieces in the folder are taken over."""
        return cls(settings, folder, provenance(settings, time.time(), source_digest(__name__)), left_out)

    @classmethod
    def opened(cls, folder: Path) -> Job:
        """The job that a folder holds, as it was started; ``ValueError`` if there is none."""
        try:
            record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ValueError(f"out {str(folder)!r} holds no report: it has no run.json") from None
        settings = Settings.from_json(record["settings"])
        return cls(settings, folder, Provenance.from_json(record["provenance"]), record["left_out"])

    def run(self, pair: Any | None) -> None:
        """Do every piece that is not finished; a stop at any moment loses the current piece only.

        ``pair`` is a loaded model pair, or ``None`` to leave the real part out.
        """
        started = time.monotonic()
        self._save_record()
        try:
            self._run_synthetic()
            if pair is not None:
                real.run_real(self.settings, pair, self.work, self.made.command)
        finally:
            self.made = replace(self.made, seconds=time.monotonic() - started)
            self._save_record()

    def _run_synthetic(self) -> None:
        file = self._pieces()
        label = "synthetic pairs and certificates"
        with ProgressLine(label, len(file.planned), done=len(file.finished)) as progress:
            for _ in islice(file.finish(self._measure), 1, None):
                progress.step(", ".join(map(str, next(reversed(file.finished)))))

    def _pieces(self) -> PiecesFile:
        profiles = [["profile", name, family.name] for name, family in product(self.settings.verifiers, FAMILIES)]
        cells = profiles + [["certificates", *key] for key in self._plan.cases]
        return PiecesFile.open(self.work, self.made.command, {"cells": cells}, {})

    def _measure(self, part: str, of: Any, other: str) -> dict[str, Any]:
        """One profile, or the certificates of one pair with one policy."""
        if part == "certificates":
            return self._plan.measure(of, other) | {"policy": other}
        family = next(family for family in FAMILIES if family.name == other)
        return {"profile": synthetic.mean_profile(of, family, self.settings)}

    def read(self, unfinished: bool = False) -> Report:
        """The report of the finished pieces; ``unfinished`` adds a line that says that it is not whole."""
        stopped = ("the run was stopped; what it had finished is here",) if unfinished else ()
        cells = self._pieces().cells
        profiles = {(cell["of"], cell["with"]): cell["profile"] for cell in cells if cell["part"] == "profile"}
        return Report(
            settings=self.settings,
            provenance=self.made,
            league=synthetic.read_league(self.settings, profiles),
            profile_family=synthetic.PROFILE_FAMILY.name,
            profiles=synthetic.read_profiles(self.settings, profiles),
            certificates=rows_of(cell for cell in cells if cell["part"] == "certificates"),
            real=real.read_real(self.work),
            left_out=self.left_out + stopped,
        )

    def _save_record(self) -> None:
        record = {"settings": asdict(self.settings), "provenance": asdict(self.made), "left_out": self.left_out}
        write_json(self.folder / "run.json", record)


