"""The cells of a suite as a report reads them: shapes of drafts, scores, speed by the clock that counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridraft.gpu.files.kinds import SuiteFile
from veridraft.gpu.latency.speed_rows import LEAST_ROUNDS, LEAST_SHARE, Estimate, SpeedRow
from veridraft.theory.speed.rates import Term

WITHIN = 0.1
"""Predicted throughput should come as near as this share."""

SCORES = {"z": "the verifier's coins", "z_draft": "the drawn draft tokens", "z_text": "the emitted texts"}
"""What each score is about."""

Setting = tuple[float, float]
"""Temperature and top-p."""


class Shape(Enum):
    """What is drafted."""

    PLAIN = "plain decoding"
    LOOKUP = "prompt lookup"
    CHAIN = "chains"
    INDEPENDENT = "independent trees"
    DELAYED = "delayed trees"
    OTHER = "other trees"


FORMS = {
    "NGram": Shape.LOOKUP,
    "Chain": Shape.CHAIN,
    "Iid": Shape.INDEPENDENT,
    "Delayed": Shape.DELAYED,
}


def shape_of(policy: str) -> Shape:
    """The shape of a policy by its name, such as ``Chain(3)``."""
    return Shape.PLAIN if policy == "Chain(0)" else FORMS.get(policy.partition("(")[0], Shape.OTHER)


@dataclass(frozen=True, eq=False)
class SuiteRow:
    """A finished cell that was run.

    clock : ``cpu`` or ``wall``; threshold : that of its scores
    level : at which something is called beyond chance, in its throughput or against another cell
    """

    cell: Mapping[str, Any]
    clock: str
    threshold: float
    level: float

    @property
    def verifier(self) -> str:
        """Its name."""
        return str(self.cell["verifier"])

    @property
    def policy(self) -> str:
        """The policy's name."""
        return str(self.cell["policy"])

    @property
    def name(self) -> str:
        """Verifier and policy."""
        return f"{self.verifier}, {self.policy}"

    @property
    def setting(self) -> Setting:
        """Temperature and top-p."""
        return float(self.cell["temperature"]), float(self.cell["top_p"])

    @property
    def shape(self) -> Shape:
        """What is drafted."""
        return shape_of(self.policy)

    @property
    def agrees(self) -> bool:
        """True if the difference and all scores are where they should be."""
        return bool(self.cell["verdict"] == "agrees")

    @property
    def scores(self) -> dict[str, float]:
        """The scores that apply, by name."""
        return {name: float(self.cell[name]) for name in SCORES if self.cell.get(name) is not None}

    @property
    def worst_score(self) -> float:
        """The largest absolute score, 0 without one."""
        return max(map(abs, self.scores.values()), default=0.0)

    @cached_property
    def speed(self) -> SpeedRow | None:
        """Measured and predicted throughput; ``None`` with too few rounds to say how much they differ."""
        return self.speed_by(self.clock)

    def speed_by(self, clock: str, level: float = 0.95) -> SpeedRow | None:
        """The same by another clock, or with intervals at another level."""
        if len(self.cell["rounds"]) < LEAST_ROUNDS:
            return None
        return SpeedRow(self.verifier, self.policy, clock, self.cell["rounds"], level)

    @cached_property
    def ratio(self) -> Estimate | None:
        """Measured over predicted throughput, ``None`` with too few rounds.

        The interval is at the cell's own level, at which those of the whole suite hold together.
        """
        speed = self.speed_by(self.clock, float(self.cell["level"]))
        return speed.ratio if speed else None

    @cached_property
    def parting(self) -> tuple[str, Estimate] | None:
        """The part of 1 % or more that parts the two most beyond chance, and its share; ``None`` without one.

        By chance a row has one with probability 1 - ``level`` at most.
        """
        parts = self._parts.items()
        beyond = [(name, part) for name, part in parts if part.excludes_zero and abs(part.value) >= LEAST_SHARE]
        return max(beyond, key=lambda found: abs(found[1].value), default=None)

    @cached_property
    def _parts(self) -> dict[str, Estimate]:
        """What parts the two, tokens and terms, all at ``level`` together."""
        speed = self.speed_by(self.clock, self.level)
        return speed.parts if speed else {}

    @property
    def near(self) -> bool:
        """True if measured throughput is within 10 % of the predicted one."""
        return self.ratio is not None and abs(self.ratio.value - 1) <= WITHIN

    @property
    def inside(self) -> bool:
        """True if the interval of the ratio holds 1."""
        return self.ratio is not None and bool(self.ratio.low <= 1 <= self.ratio.high)

    @property
    def far(self) -> bool:
        """True if the ratio is not near, and not by chance: its interval does not hold 1."""
        return self.ratio is not None and not self.near and not self.inside

    def sums(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """By round, of all passes: tokens by the laws of the drafted trees, trees, seconds."""
        found = self.cell["speeds"]
        seconds = [sum(one["seconds"][term.value][self.clock] for term in Term) for one in found]
        tokens, trees = ([float(one[name]) for one in found] for name in ("law_tokens", "trees"))
        return np.array(tokens), np.array(trees), np.array(seconds)

    @cached_property
    def tokens_per_second(self) -> float:
        """Of all passes and requests, tokens by the laws of the drafted trees; 0 with too few rounds."""
        tokens, _, seconds = self.sums()
        return float(tokens.sum() / seconds.sum()) if self.speed else 0.0


@dataclass(frozen=True, eq=False)
class Suite:
    """A suite's file with its cells as rows, in the order of the file; ``left_out`` are cells that cannot be run."""

    file: SuiteFile
    rows: tuple[SuiteRow, ...]
    left_out: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, file: SuiteFile) -> Suite:
        """The suite of a file: CPU time on a CPU, the wall clock elsewhere."""
        clock = "cpu" if file.settings["device"] == "cpu" else "wall"
        threshold, level = float(file.settings["threshold"]), float(file.settings["level"])
        run = [one for one in file.cells if "left_out" not in one]
        left_out = tuple(one for one in file.cells if "left_out" in one)
        return cls(file, tuple(SuiteRow(one, clock, threshold, level) for one in run), left_out)

    @property
    def clock(self) -> str:
        """By which speeds are told: ``cpu`` or ``wall``."""
        return "cpu" if self.file.settings["device"] == "cpu" else "wall"

    @property
    def threshold(self) -> float:
        """A score fails beyond it."""
        return float(self.file.settings["threshold"])

    @property
    def level(self) -> float:
        """The level that the run states for its intervals together."""
        return float(self.file.settings["level"])

    @property
    def timing_only(self) -> bool:
        """True if weights are random: acceptance means nothing."""
        return bool(self.file.settings["timing_only"])

    @property
    def agrees(self) -> bool:
        """True if every row does."""
        return all(row.agrees for row in self.rows)

    @property
    def timed(self) -> tuple[SuiteRow, ...]:
        """The rows with rounds enough for a throughput."""
        return tuple(row for row in self.rows if row.speed is not None)

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """The settings that rows have, by temperature and falling top-p."""
        return tuple(sorted({row.setting for row in self.rows}, key=lambda pair: (pair[0], -pair[1])))

    def at(self, setting: Setting) -> tuple[SuiteRow, ...]:
        """The rows of a setting."""
        return tuple(row for row in self.rows if row.setting == setting)

    @property
    def scores(self) -> list[float]:
        """All scores that apply."""
        return [score for row in self.rows for score in row.scores.values()]


def setting_text(setting: Setting) -> str:
    """The setting in words."""
    return f"T {setting[0]:g}, top-p {setting[1]:g}"


def fastest(rows: Sequence[SuiteRow]) -> SuiteRow | None:
    """The row with the most tokens per second, if there is one with a throughput."""
    timed = [row for row in rows if row.speed is not None]
    return max(timed, key=lambda row: row.tokens_per_second, default=None)
