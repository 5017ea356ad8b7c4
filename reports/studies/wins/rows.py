"""Verifiers and policies at the same roots, as a report reads them: rates over the units of each setting.

A rate is a ratio of sums over units of roots: tokens that the laws of the drafted trees give, over seconds or roots.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridraft.gpu.files.kinds import WinsFile
from veridraft.gpu.latency.speed_rows import LEAST_ROUNDS

from ..suites.rows import Setting, Shape, setting_text, shape_of

LEAST_UNITS = LEAST_ROUNDS
"""A setting with fewer says nothing about how much units differ."""


class Yardstick(Enum):
    """What cells are compared by."""

    SPEED = "tokens per second"
    EFFICIENCY = "block efficiency"


@dataclass(frozen=True, eq=False)
class RootRow:
    """A verifier with a policy at a setting, unit by unit (U units).

    tokens, roots : (U,); seconds : (3, U) of drafting, the target's pass, verification
    texts : (U,) rising numbers of the texts that the units belong to
    """

    verifier: str
    policy: str
    tokens: NDArray[np.float64]
    roots: NDArray[np.float64]
    seconds: NDArray[np.float64]
    texts: NDArray[np.int64]

    @property
    def name(self) -> str:
        """Verifier and policy."""
        return f"{self.verifier}, {self.policy}"

    @property
    def shape(self) -> Shape:
        """What is drafted."""
        return shape_of(self.policy)

    @property
    def share(self) -> float:
        """Verification's share of the time."""
        return float(self.seconds[2].sum() / self.seconds.sum())

    @property
    def step(self) -> tuple[float, float, float]:
        """Mean milliseconds a root of drafting, the target's pass, verification."""
        draft, target, verification = (1e3 * self.seconds.sum(axis=1) / self.roots.sum()).tolist()
        return draft, target, verification

    @property
    def by_text(self) -> RootRow:
        """The same with each text as one unit."""
        first = np.flatnonzero(np.diff(self.texts, prepend=-1))
        tokens, roots, seconds = (
            np.add.reduceat(one, first, axis=-1) for one in (self.tokens, self.roots, self.seconds)
        )
        return RootRow(self.verifier, self.policy, tokens, roots, seconds, self.texts[first])

    def rate(self, quantity: Yardstick) -> float:
        """Tokens a second, or tokens a root."""
        return float(self.tokens.sum() / self._below(quantity).sum())

    def without(self, quantity: Yardstick) -> NDArray[np.float64]:
        """The logarithms of the rate with each unit left out."""
        below = self._below(quantity)
        return np.log((self.tokens.sum() - self.tokens) / (below.sum() - below))

    def _below(self, quantity: Yardstick) -> NDArray[np.float64]:
        return self.seconds.sum(axis=0) if quantity is Yardstick.SPEED else self.roots


@dataclass(frozen=True, eq=False)
class RootSetting:
    """The rows of a setting, all of the same units."""

    setting: Setting
    rows: tuple[RootRow, ...]

    def ranked(self, quantity: Yardstick) -> tuple[RootRow, ...]:
        """The rows, the greatest first."""
        return tuple(sorted(self.rows, key=lambda row: -row.rate(quantity)))

    def best(self, quantity: Yardstick, **traits: Any) -> RootRow | None:
        """The greatest of those with given traits, such as ``shape`` or ``verifier``; ``None`` without one."""
        return next(iter(self.select(self.ranked(quantity), **traits)), None)

    def select(self, rows: Iterable[RootRow], **traits: Any) -> list[RootRow]:
        """Those of some rows with given traits."""
        return [row for row in rows if all(getattr(row, name) == value for name, value in traits.items())]

    @property
    def plain(self) -> RootRow | None:
        """Plain decoding, where it was run."""
        return self.best(Yardstick.SPEED, shape=Shape.PLAIN)

    def row(self, verifier: str, policy: str) -> RootRow:
        """The row of a verifier and a policy; ``KeyError`` if there is none."""
        return {(row.verifier, row.policy): row for row in self.rows}[verifier, policy]


@dataclass(frozen=True, eq=False)
class Wins:
    """A run's file, and its settings that have units enough."""

    file: WinsFile
    settings: tuple[RootSetting, ...]
    short: tuple[Setting, ...]

    @classmethod
    def of(cls, file: WinsFile) -> Wins:
        """What a file holds.

        Raises ``ValueError`` that names the text for one that lacks a pair, or has a rate that is not positive.
        """
        for cell in file.cells:
            _check(file, cell)
        ordered = sorted(file.cells, key=lambda cell: (cell["temperature"], -cell["top_p"], cell["text"]))
        grouped = {setting: [unit | {"text": cell["text"]} for cell in cells for unit in cell["units"]]
                   for setting, cells in groupby(ordered, _setting)}  # fmt: skip
        pairs, clock = file.settings["pairs"], clock_of(file)
        enough = {setting: units for setting, units in grouped.items() if len(units) >= LEAST_UNITS}
        settings = tuple(
            RootSetting(setting, tuple(_row(verifier, policy, units, clock) for verifier, policy in pairs))
            for setting, units in enough.items()
        )
        return cls(file, settings, tuple(setting for setting in grouped if setting not in enough))

    @property
    def clock(self) -> str:
        """By which speeds are told: ``cpu`` or ``wall``."""
        return clock_of(self.file)

    @property
    def timing_only(self) -> bool:
        """True if weights are random: acceptance means nothing."""
        return bool(self.file.settings["timing_only"])


def clock_of(file: WinsFile) -> str:
    """CPU time on a CPU, the wall clock elsewhere."""
    return "cpu" if file.settings["device"] == "cpu" else "wall"


def _setting(cell: Mapping[str, Any]) -> Setting:
    return cell["temperature"], cell["top_p"]


def _row(verifier: str, policy: str, units: Sequence[Mapping[str, Any]], clock: str) -> RootRow:
    """A verifier and a policy, from what the units of a setting say."""
    cells, trees = ([unit[kind][name] for unit in units] for kind, name in
                    (("cells", f"{verifier} {policy}"), ("policies", policy)))  # fmt: skip
    seconds = [[one["draft"][clock] for one in trees], [one["target"][clock] for one in trees],
               [one["verification"][clock] for one in cells]]  # fmt: skip
    tokens, roots = [one["tokens"] for one in cells], [unit["roots"] for unit in units]
    texts = np.array([unit.get("text", 0) for unit in units], int)
    return RootRow(verifier, policy, np.array(tokens, float), np.array(roots, float), np.array(seconds, float), texts)


def _check(file: WinsFile, cell: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` unless every unit of a text has a positive rate for every verifier and policy."""
    where = f"run file {file.path}: text {cell['text']} at {setting_text((cell['temperature'], cell['top_p']))}"
    for verifier, policy in file.settings["pairs"]:
        try:
            row = _row(verifier, policy, cell["units"], clock_of(file))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{where} lacks {error} for {verifier}, {policy}") from None
        numbers = (row.tokens, row.roots, row.seconds.sum(axis=0))
        if not all((one > 0).all() and np.isfinite(one).all() for one in numbers):
            raise ValueError(f"{where}: tokens, roots or seconds of {verifier}, {policy} are not positive and finite")
