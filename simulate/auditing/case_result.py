"""What was seen in one request of one case."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import log
from typing import Any

import numpy as np

from veridraft.theory.display import Sheet, Shown
from veridraft.theory.display.charts import AROUND, ROW, plotted

from ..batches.rows import Floats, Ints
from .evidence import MIXTURE_SHARE, Pattern, smallest_excess


@dataclass(frozen=True, eq=False)
class CaseResult(Shown):
    """What was seen in one request of one case.

    Fields
    ------
    case, request, policy, vocabulary_size, length : what was tried; judged strings have ``length`` tokens
    trials : how many
    log_e : the natural logarithm of the largest evidence so far; its exponential exceeds 1/a with probability <= a
    total_variation : of frequencies to the law; above 0 by chance alone
    smallest_total_variation : any deviation of this size would have been found with probability 0.999; 1: none surely
    needed : what the logarithm of a first token's own e-process must reach for the evidence to suffice
    mean_acceptance_length : drafted tokens that were kept, per trial; ``None`` where nothing is known to be drafted
    optimum : the greatest mean acceptance length of any lossless verifier, if known
    token_wise : that of token-wise speculative sampling on one drafted path, if paths are drawn
    level : the share of the audit's level that the request has
    law, counts : (V ** length,) the target's probability of every string, and how often it came
    """

    case: str
    request: int
    policy: str
    vocabulary_size: int
    length: int
    trials: int
    log_e: float
    total_variation: float
    smallest_total_variation: float
    needed: float
    mean_acceptance_length: float | None
    optimum: float | None
    token_wise: float | None
    level: float
    law: Floats = field(repr=False)
    counts: Ints = field(repr=False)

    @property
    def name(self) -> str:
        """The case, and the request if there are several."""
        return self.case + (f", request {self.request}" if self.request else "")

    @property
    def sufficient(self) -> float:
        """The ``log_e`` at which the verifier is called lossy."""
        return -log(MIXTURE_SHARE * self.level)

    @cached_property
    def smallest_token_deviation(self) -> float:
        """A first token too frequent by this much would have been found with probability 0.999; 1: none surely."""
        first = self.law.reshape(self.vocabulary_size, -1).sum(axis=1)
        return smallest_excess(first, self.trials, self.needed)

    def sheet(self) -> Sheet:
        """The evidence, and the strings that depart most."""
        strings, expected, observed = zip(*departures(self), strict=True)
        facts = (
            ("evidence (log 10)", self.log_e / log(10)), ("suffices at", self.sufficient / log(10)),
            ("total variation seen", self.total_variation), ("surely found", self.smallest_total_variation),
        )  # fmt: skip
        columns = {"string": [" ".join(map(str, one)) for one in strings], "expected": expected, "observed": observed}
        return Sheet(f"Case {self.name}: {self.trials:,} trials", facts, self.log_e < self.sufficient, "", columns)

    def plot(self, axes: Any = None) -> Any:
        """The strings that depart most, on matplotlib's axes or new ones, which are returned.

        A diamond is a frequency; its bar is where that of a lossless verifier lies, but for the case's level.
        ``ImportError`` without matplotlib.
        """
        from .pictures import paint_frequencies

        rows = [(" ".join(map(str, string)), law, seen) for string, law, seen in departures(self)]

        def paint(place: Any) -> None:
            paint_frequencies(place, rows, self.trials, self.level)
            place.set_xlabel("frequency of the string: observed ◆, expected and its range ❙")

        return plotted(axes, 7.0, ROW * len(rows) + AROUND, paint)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON's kinds of values; of laws and counts the strings that depart most."""
        kept = {name: value for name, value in vars(self).items() if name not in ("law", "counts")}
        kept["log_e"] = self.log_e if self.log_e < float("inf") else "infinite"
        kept["smallest_token_deviation"] = self.smallest_token_deviation
        return kept | {"departures": [list(row) for row in departures(self)]}


def departures(case: CaseResult, most: int = 12) -> list[tuple[Pattern, float, float]]:
    """The strings that depart most: tokens, expected and observed frequency, by the difference in standard errors."""
    frequency = case.counts / max(1, case.trials)
    spread = np.sqrt(np.maximum(case.law * (1 - case.law), 1e-12))
    order = np.argsort(-np.abs(frequency - case.law) / spread, kind="stable")[:most]
    shape = (case.vocabulary_size,) * case.length
    strings = (tuple(int(token) for token in np.unravel_index(number, shape)) for number in order)
    return [
        (string, float(case.law[number]), float(frequency[number]))
        for string, number in zip(strings, order, strict=True)
    ]


def acceptance_text(cases: tuple[CaseResult, ...]) -> str:
    """Drafted tokens kept per trial, the cases alike, beside what others keep, in words; empty if nothing is known."""
    kept = [case.mean_acceptance_length for case in cases if case.mean_acceptance_length is not None]
    if not kept:
        return ""
    said = []
    beside = {"token_wise": "token-wise speculative sampling", "optimum": "lossless optimum"}
    for name, what in beside.items():
        values = [getattr(case, name) for case in cases]
        if None not in values:
            said.append(f"{what} {np.mean(values):.3f}")
    others = f" ({', '.join(said)})" if said else ""
    return f"{np.mean(kept):.3f} drafted tokens kept per trial{others}"
