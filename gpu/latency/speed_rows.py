"""Predicted against measured throughput: what the rounds of a run say, and by which term the two part.

X is measured, P predicted: tokens over seconds, sums over all rounds.  Then

    log(X / P) = log(tokens measured / predicted) - log(seconds measured / predicted),

and the share of a term in the second is (seconds of the term, measured - predicted) / seconds predicted, which add up
to it to first order.  A round is a unit: its texts, its latencies and its spell of machine noise are its own, so that
intervals come from leaving out one round after the other (jackknife; Student's quantile).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import exp, log
from typing import Any, ClassVar

import numpy as np

from veridraft.theory.speed.jackknife import jackknife_half
from veridraft.theory.speed.rates import StepTime, Term

from ..files.cell_file import CellFile

LEAST_SHARE = 0.01
"""A part of less than 1 % of the prediction is not named as what parts them."""

LEAST_ROUNDS = 3
"""Fewer say nothing about how much rounds differ."""

Sums = Sequence[Mapping[str, Any]]
"""One record a round: ``steps``, ``tokens``, ``predicted_tokens``, and by term ``seconds``, ``predicted_seconds``."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval at a level."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """True if 0 lies outside."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, eq=False)
class SpeedRow:
    """What the rounds of one verifier with one policy say, by one clock.

    Raises ``ValueError`` for fewer than 3 rounds.
    """

    verifier: str
    policy: str
    clock: str
    rounds: Sums
    level: float = 0.95

    def __post_init__(self) -> None:
        if len(self.rounds) < LEAST_ROUNDS:
            raise ValueError(f"{self.verifier} has {len(self.rounds)} rounds; {LEAST_ROUNDS} are the fewest")

    @property
    def steps(self) -> int:
        """Measured target passes."""
        return sum(int(record["steps"]) for record in self.rounds)

    @property
    def measured(self) -> float:
        """Tokens per second, measured."""
        return _speed(self.rounds, self.clock, "tokens", "seconds")

    @property
    def predicted(self) -> float:
        """Tokens per second, predicted."""
        return _speed(self.rounds, self.clock, "predicted_tokens", "predicted_seconds")

    def step(self, kind: str = "seconds") -> StepTime:
        """The mean step by term, of ``seconds`` or ``predicted_seconds``."""
        return StepTime(*(value / self.steps for value in _terms(self.rounds, self.clock, kind).values()))

    def tokens(self, kind: str = "tokens") -> float:
        """Mean tokens a step, of ``tokens`` or ``predicted_tokens``."""
        return float(sum(record[kind] for record in self.rounds)) / self.steps

    @property
    def ratio(self) -> Estimate:
        """Measured over predicted throughput, with its interval."""
        found = self._estimate(_log_ratio)
        return Estimate(exp(found.value), exp(found.low), exp(found.high))

    @property
    def agrees(self) -> bool:
        """True if 1 lies in the interval of the ratio."""
        return self.ratio.low <= 1 <= self.ratio.high

    @property
    def time_ratio(self) -> Estimate:
        """Measured over predicted time of a step, with its interval."""
        found = self._estimate(lambda rounds, clock: _log_tokens(rounds, clock) - _log_ratio(rounds, clock))
        return Estimate(exp(found.value), exp(found.low), exp(found.high))

    @property
    def parts(self) -> dict[str, Estimate]:
        """What parts them, in shares of throughput: tokens a step, and each term of the time.

        The level holds for the intervals of all of them together (its error is split evenly).
        """
        level = 1 - (1 - self.level) / (1 + len(Term))
        found = {"tokens a step": self._estimate(_log_tokens, level)}
        for term in Term:
            found[term.value] = self._estimate(partial(_share, term), level)
        return found

    @property
    def parting(self) -> str | None:
        """The part of the greatest share, of 1 % or more, that is beyond chance; ``None`` if there is none."""
        parts = self.parts.items()
        found = {name: part for name, part in parts if part.excludes_zero and abs(part.value) >= LEAST_SHARE}
        return max(found, key=lambda name: abs(found[name].value)) if found else None

    def _estimate(self, statistic: Callable[[Sums, str], float], level: float | None = None) -> Estimate:
        """The statistic of all rounds, and its jackknife interval at the level, the row's own by default."""
        count, value = len(self.rounds), statistic(self.rounds, self.clock)
        without = [statistic([*self.rounds[:r], *self.rounds[r + 1 :]], self.clock) for r in range(count)]
        half = jackknife_half(np.array(without), level or self.level)
        return Estimate(value, value - half, value + half)


def _terms(rounds: Sums, clock: str, kind: str) -> dict[Term, float]:
    """Seconds by term, summed over rounds."""
    return {term: float(sum(record[kind][term.value][clock] for record in rounds)) for term in Term}


def _speed(rounds: Sums, clock: str, tokens: str, seconds: str) -> float:
    return float(sum(record[tokens] for record in rounds)) / sum(_terms(rounds, clock, seconds).values())


def _log_ratio(rounds: Sums, clock: str) -> float:
    measured = _speed(rounds, clock, "tokens", "seconds")
    return log(measured / _speed(rounds, clock, "predicted_tokens", "predicted_seconds"))


def _log_tokens(rounds: Sums, clock: str) -> float:
    return log(sum(record["tokens"] for record in rounds) / sum(record["predicted_tokens"] for record in rounds))


def _share(term: Term, rounds: Sums, clock: str) -> float:
    """By what share of the predicted step the term makes throughput greater: negative if it took longer."""
    measured, predicted = _terms(rounds, clock, "seconds"), _terms(rounds, clock, "predicted_seconds")
    return -(measured[term] - predicted[term]) / sum(predicted.values())


@dataclass
class SpeedFile(CellFile):
    """The finished rounds of every row."""

    kind: ClassVar[str] = "veridraft speed"
    name: ClassVar[str] = "speed.jsonl"
    what: ClassVar[str] = "run"
    fields: ClassVar[tuple[str, ...]] = ("verifier", "policy", "round")
    grows: ClassVar[str] = "rounds"

    def row(self, verifier: str, policy: str, clock: str) -> SpeedRow:
        """What the finished rounds of a row say."""
        rounds = sorted(key for key in self.finished if key[:2] == (verifier, policy))
        return SpeedRow(verifier, policy, clock, [self.finished[key] for key in rounds])
