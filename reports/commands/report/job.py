"""The main job: everything that one report shows, piece by piece, each piece kept once it is finished.

The folder of a report holds ``run.json`` (what was asked for, and how it was run), ``pieces.jsonl`` (finished
pieces), and what is made from them: ``report.html``, ``report.json`` and, with a real pair, ``crosscheck.jsonl``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ...running.sources import source_digest
from ...running.store import Store, write_json
from ..certify import certificates
from . import real, synthetic
from .data import Provenance, Report
from .provenance import provenance
from .settings import Settings

PAIRS = 54
MOST_TREES = 729
"""The report's certificates: every verifier and policy on so many pairs, up to so many trees."""


class Job:
    """One report in its folder: ``run`` does what is missing, ``read`` gives what is finished.

    ``made`` says how the pieces were made, ``left_out`` what is not done and why.
    """

    def __init__(self, settings: Settings, folder: Path, made: Provenance, left_out: Sequence[str] = ()) -> None:
        self.settings, self.folder, self.made, self.left_out = settings, folder, made, tuple(left_out)
        self.store = Store(folder / "pieces.jsonl", made.source)
        self.real_folder = real.folder_of(settings, folder, made.source)
        self._cells = certificates.cells(PAIRS, settings.verifiers, MOST_TREES)

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
            synthetic.run_synthetic(self.settings, self.store)
            certificates.run_certificates(self._cells, self.settings.seed, self.store)
            if pair is not None:
                real.run_real(self.settings, pair, self.real_folder, self.made.command)
        finally:
            self.made = replace(self.made, seconds=time.monotonic() - started)
            self._save_record()

    def read(self, unfinished: bool = False) -> Report:
        """The report of the finished pieces; ``unfinished`` adds a line that says that it is not whole."""
        stopped = ("the run was stopped; what it had finished is here",) if unfinished else ()
        return Report(
            settings=self.settings,
            provenance=self.made,
            league=synthetic.read_league(self.settings, self.store),
            profile_family=synthetic.PROFILE_FAMILY.name,
            profiles=synthetic.read_profiles(self.settings, self.store),
            certificates=certificates.read_certificates(self._cells, self.settings.seed, self.store),
            real=real.read_real(self.real_folder),
            left_out=self.left_out + stopped,
        )

    def _save_record(self) -> None:
        record = {"settings": asdict(self.settings), "provenance": asdict(self.made), "left_out": self.left_out}
        write_json(self.folder / "run.json", record)


