"""A suite of cross-checks: every verifier with its policies under every sampling, cell by cell, on one pair.

In each cell many requests are decoded at once; a seed and the cell's name alone settle what is drawn.  Finished cells
are appended to a file, so that a killed suite goes on with the cell that it was in.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from statistics import NormalDist
from time import monotonic
from typing import Any, TypeVar
from zlib import crc32

import numpy as np

from veridraft.theory.policies.base import Policy

from ..decoding.memory import PeakMemory
from ..decoding.passes.packing import is_packed
from ..decoding.requests import Request
from ..decoding.step_watch import WatchedDecoder
from ..files.kinds import SuiteFile
from ..models.machine import machine_of
from ..models.names import is_random
from ..models.pairs import ModelPair
from ..models.prompts import prompts_of
from ..verification.theory_route import too_large
from .cells import SuiteCell, cells_of
from .scores import NO_SCORE, Score, text_score
from .tally import CellTally

LEVEL = 0.99
"""The level of all intervals of a run together; it is split over the cells."""

STEPS = 1000
"""Verified trees in a cell, where no other number is asked for."""

SAY_EVERY = 30.0
"""Seconds between two words about a cell that takes long."""

Kind = TypeVar("Kind", bound=SuiteFile)

LEAST_PASSES = 6
"""Fewer passes in a cell do not make three rounds."""


class CellVerdict(Enum):
    """What a cell says."""

    AGREES = "agrees"
    DISAGREES = "disagrees"


@dataclass(frozen=True)
class SuitePlan:
    """Everything that determines the cells of a suite, checked when it is made.

    steps : verified trees in each cell, at least; rows : requests at once; prompts : tokens of each
    """

    suite: str
    cells: tuple[SuiteCell, ...]
    prompts: tuple[tuple[int, ...], ...]
    steps: int = STEPS
    rows: int = 8
    seed: int = 0
    max_new_tokens: int = 96

    def __post_init__(self) -> None:
        for name, least in (("rows", 1), ("max_new_tokens", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, but is {getattr(self, name)}")
        for name in ("cells", "prompts"):
            if not getattr(self, name):
                raise ValueError(f"{name} must hold at least one")
        if self.steps < LEAST_PASSES * self.rows:
            raise ValueError(f"steps must be at least {LEAST_PASSES} for each of the {self.rows} rows, that is "
                             f"{LEAST_PASSES * self.rows}, but is {self.steps}")  # fmt: skip

    @classmethod
    def of(cls, suite: str, pair: ModelPair, verifiers: Sequence[str] | None = None,
           policies: Sequence[str | Policy] | None = None, temperatures: Sequence[float] | None = None,
           top_ps: Sequence[float] | None = None, steps: int = STEPS, rows: int = 8, seed: int = 0,
           ) -> SuitePlan:  # fmt: skip
        """The plan of a suite, or of the part of it that is named; errors are those of :func:`.cells_of`."""
        cells = cells_of(suite, verifiers, policies, temperatures, top_ps)
        return cls(suite, cells, prompts_of(pair), steps, rows, seed)

    @property
    def passes(self) -> int:
        """Target passes of a cell, each over all rows."""
        return -(-self.steps // self.rows)

    @property
    def cell_level(self) -> float:
        """The level of one cell's interval."""
        return 1 - (1 - LEVEL) / len(self.cells)

    @property
    def threshold(self) -> float:
        """A score fails beyond this: 4, or what chance reaches in 1 % of the suites of that many cells."""
        return max(4.0, NormalDist().inv_cdf(1 - (1 - LEVEL) / (2 * 3 * len(self.cells))))

    def settings(self, pair: ModelPair) -> dict[str, Any]:
        """What a suite in a file must agree in before it is continued."""
        return {
            "suite": self.suite,
            **pair.traits,
            "packed": is_packed(pair),
            "timing_only": is_random(pair.target_name),
            "cells": [list(cell.key) for cell in self.cells],
            "steps": self.steps,
            "rows": self.rows,
            "seed": self.seed,
            "level": LEVEL,
            "threshold": self.threshold,
            "max_new_tokens": self.max_new_tokens,
            "prompts": crc32(repr(self.prompts).encode()),
        }


def run_suite(
    pair: ModelPair, plan: SuitePlan, out: str | Path | None = None, command: str = ""
) -> Iterator[tuple[int, int, SuiteFile]]:
    """Cells done, cells in all, and the file: once at the start, then after each cell.

    A suite in the folder ``out`` is continued.  Raises ``ValueError``, before any work, for a folder that holds a suite
    with other settings or of another machine; later ``FloatingPointError`` that names step and row if a logit is not
    finite, and ``MemoryError`` that says which tree would fit: what is finished stays in the file.
    """
    return finish(SuiteFile.open(out, command, plan.settings(pair), machine_of(pair.device)), pair, plan)


def finish(file: Kind, pair: ModelPair, plan: SuitePlan) -> Iterator[tuple[int, int, Kind]]:
    """Cells done, cells in all, and the file: once at the start, then after each cell that it lacked."""
    missing = set(file.missing)
    total = len(plan.cells)
    yield total - len(missing), total, file
    for cell in plan.cells:
        if cell.key in missing:
            file.add(measure_cell(pair, cell, plan))
            missing.remove(cell.key)
            yield total - len(missing), total, file


def measure_cell(pair: ModelPair, cell: SuiteCell, plan: SuitePlan) -> dict[str, Any]:
    """One finished cell, as the file holds it; with ``left_out`` where the verifier is for small vocabularies."""
    streams = np.random.default_rng([plan.seed, crc32(repr(cell.key).encode())]).spawn(2)
    tally = CellTally(cell, plan.passes, streams[0])
    begin, reason = monotonic(), too_large(cell.verifier, cell.policy, pair.vocabulary_size)
    if reason:
        return _named(cell) | {"left_out": reason}
    with PeakMemory(pair.device) as peak:
        _decode(pair, cell, plan, tally, streams[1])
        texts = _text_score(pair, cell, plan, tally)
    return _record(cell, plan, tally, texts) | {"peak_bytes": peak.bytes, "seconds": monotonic() - begin}


def _decode(pair: ModelPair, cell: SuiteCell, plan: SuitePlan, tally: CellTally, rng: np.random.Generator) -> None:
    """As many passes as the plan wants, all of them over full batches: more requests wait than can be needed."""
    decoder = WatchedDecoder(pair, cell.verifier, cell.policy, tally, cell.sampling, plan.rows)
    seeds = rng.integers(2**63, size=plan.rows * (plan.passes + 1)).tolist()
    requests = [Request(plan.prompts[n % len(plan.prompts)], plan.max_new_tokens, seed) for n, seed in enumerate(seeds)]
    said = monotonic()
    with closing(decoder.stream(requests)) as blocks:
        for _ in blocks:
            if tally.done == plan.passes:
                break
            if monotonic() > said + SAY_EVERY:
                said = monotonic()
                logging.getLogger(__name__).info("%s: %d/%d passes", cell, tally.done, plan.passes)


def _text_score(pair: ModelPair, cell: SuiteCell, plan: SuitePlan, tally: CellTally) -> Score:
    """The score of all texts of a cell."""
    score = NO_SCORE
    for number, text in tally.texts.items():
        more = text_score(pair, cell.sampling, plan.prompts[number % len(plan.prompts)], text)
        score = score.plus(more.total, more.variance, more.count)
    return score


def _named(cell: SuiteCell) -> dict[str, Any]:
    return dict(zip(("verifier", "policy", "temperature", "top_p"), cell.key, strict=True))


def _record(cell: SuiteCell, plan: SuitePlan, tally: CellTally, texts: Score) -> dict[str, Any]:
    """The cell as the file holds it."""
    scores = {"z": tally.coins, "z_draft": tally.drafts, "z_text": texts}
    compared, level = tally.comparison, plan.cell_level
    count = compared.score.count
    agrees = compared.holds(level) and all(score.holds(plan.threshold) for score in scores.values())
    return _named(cell) | {
        "trees": tally.trees,
        "passes": tally.done,
        "compared": count,
        "measured": compared.measured / count + 1,
        "predicted": compared.predicted / count + 1,
        "difference": compared.difference,
        "interval": list(compared.interval(level)),
        "level": level,
        "measured_all": tally.accepted / tally.trees + 1,
        **{name: score.z for name, score in scores.items()},
        "notes": {name: score.note for name, score in scores.items() if score.note},
        "verdict": (CellVerdict.AGREES if agrees else CellVerdict.DISAGREES).value,
        "by_depth": {name: values.tolist() for name, values in tally.by_depth.items()},
        "rounds": tally.rounds(),
        "speeds": tally.speeds(),
        "tokens_per_second": tally.tokens_per_second,
        "mean_tree_size": tally.nodes / tally.trees,
        "texts": len(tally.texts),
        "text_tokens": texts.count,
        "drawn_tokens": tally.drafts.count,
        "prediction_seconds": tally.predicting,
    }
