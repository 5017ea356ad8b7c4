"""Does a run accept what was predicted?  Position by position, in the mean, and as a whole distribution.

One level covers all answers together: its error is split evenly over L positions, the mean and the distribution.
An interval is one of the *difference* observed - predicted, and the answer holds if 0 lies in it:

- a position: the exact binomial interval (Clopper and Pearson), made wider where units of steps differ by more than
  independent steps would (Student's interval over units, see ``clusters``), joined with the prediction's own
  uncertainty by squares (MOVER, Zou and Donner 2008).  Steps that drafted less than the position are left out; where
  the file does not say which, the interval covers every possibility;
  Where neither requests nor the order of steps is known, N steps are counted as N over a *design effect*: the
  variance of a mean over dependent steps over that over independent ones, 1 + (steps in a request - 1) x (share of
  the variance that lies between requests);
- the mean: Bernstein's inequality with the greater of observed and predicted variance, widened and joined alike;
- the distribution: the quadratic form of all differences under the multinomial law (Pearson's statistic) plus the
  prediction's covariance, and again under the covariance of units (Hotelling's); the greater p-value counts.  The
  deepest positions are dropped until every cell expects 5 steps.

Where rows and accepted lengths were recorded in the *same* steps, the prediction is made step by step given the
tree: the differences are a martingale with known variance, contexts and drafts cancel, and Freedman's inequality
(Annals of Probability 3, 1975) bounds it, whatever the steps depend on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import hypot, inf, sqrt

import numpy as np

from ..runs import EngineRun
from .clusters import Floats, Unit, Units, units_of_run
from .predictions import RATE_ROUNDING, LengthPrediction
from .rate_tests import (
    LEAST_EXPECTED,
    binomial_interval,
    length_variance,
    mean_half_width,
    quadratic_p_value,
    step_covariance,
    telling_positions,
    two_sided_quantile,
)

LEVEL = 0.99
"""The level of all answers together."""

WITHIN = 0.1
"""A rate known no better than this cannot be said to agree."""

DESIGN_EFFECT = 10.0
"""That of requests of 100 steps, a tenth of whose variance lies between requests: rates that differ by some 0.15."""


class LengthOutcome(Enum):
    """What all answers together say."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class LengthDifference:
    """One comparison: ``low`` to ``high`` is the interval of observed - predicted, over ``steps`` steps.

    impossible : steps that did what has probability 0
    """

    name: str
    observed: float
    predicted: float
    low: float
    high: float
    steps: int
    impossible: int = 0

    @property
    def difference(self) -> float:
        """Observed - predicted."""
        return self.observed - self.predicted

    @property
    def half_width(self) -> float:
        """A difference greater than this would have been seen, wherever the observed rate had been."""
        return max(self.high - self.difference, self.difference - self.low)

    @property
    def holds(self) -> bool:
        """True if no difference lies in the interval."""
        return self.low <= RATE_ROUNDING and self.high >= -RATE_ROUNDING and not self.impossible


@dataclass(frozen=True)
class WholeTest:
    """The test of the whole distribution: ``cells`` of accepted lengths, and the p-value, held against ``error``."""

    cells: int
    p_value: float
    error: float

    @property
    def holds(self) -> bool:
        """True if the p-value is no less than the error that this test has."""
        return self.p_value >= self.error


@dataclass(frozen=True)
class LengthAgreement:
    """All comparisons of a run with a prediction at one level.

    positions : L differences; mean : of accepted lengths, ``None`` if short drafts hide it; whole : likewise
    level : of all together; within : the half-width that every position must reach before anything agrees
    unit, units : what was taken as independent, and how many of it; paired : True if given the recorded trees
    design_effect : by which single steps were counted down; 1 where dependence was seen or does not matter
    """

    positions: tuple[LengthDifference, ...]
    mean: LengthDifference | None
    whole: WholeTest | None
    level: float
    within: float
    unit: Unit
    units: int
    paired: bool
    design_effect: float = 1.0

    @property
    def outcome(self) -> LengthOutcome:
        """DISAGREES if a comparison fails; UNDECIDED if a position is known too badly; else AGREES."""
        if not all(part.holds for part in (*self.positions, self.mean, self.whole) if part is not None):
            return LengthOutcome.DISAGREES
        known = all(position.half_width <= self.within for position in self.positions)
        return LengthOutcome.AGREES if known else LengthOutcome.UNDECIDED


def compare_lengths(
    run: EngineRun,
    prediction: LengthPrediction,
    level: float = LEVEL,
    within: float = WITHIN,
    design_effect: float = DESIGN_EFFECT,
) -> LengthAgreement:
    """The run held against the prediction; ``design_effect`` counts where units of steps cannot be told apart.

    Raises ``ValueError`` for a level or ``within`` outside (0, 1), a design effect below 1, and a run that drafts
    other numbers of tokens.
    """
    _check_settings(level, within, design_effect)
    run = run.fitted(prediction.depth)
    full = run.fully_drafted()
    full = full if full is not None and full.steps else None
    error = (1 - level) / (run.spec_tokens + (2 if full else 0))
    units = units_of_run(run)
    effect = 1.0 if units else design_effect
    rows = tuple(_position(run, units, prediction, depth, error, effect) for depth in range(run.spec_tokens))
    mean = _mean(full, prediction, error, effect) if full else None
    whole = _whole(full, prediction, error, effect) if full else None
    unit, count = (units.kind, units.count) if units else (Unit.STEPS, run.steps)
    return LengthAgreement(rows, mean, whole, level, within, unit, count, False, effect)


def _check_settings(level: float, within: float, design_effect: float = 1.0) -> None:
    if not design_effect >= 1:
        raise ValueError(f"design_effect must be at least 1, but is {design_effect}")
    for name, value in (("level", level), ("within", within)):
        if not 0 < value < 1:
            raise ValueError(f"{name} must lie in (0, 1), but is {value}")


def _position(
    run: EngineRun, units: Units | None, prediction: LengthPrediction, depth: int, error: float, effect: float
) -> LengthDifference:
    """The comparison at position ``depth`` + 1."""
    count = int(run.histogram[depth + 1 :].sum())
    most, least = _drafted(run, depth)
    observed, predicted = count / max(most, 1), float(prediction.rates[depth])
    low = binomial_interval(count / effect, most / effect, error)[0]
    high = binomial_interval(count / effect, max(least, count) / effect, error)[1]
    if units is not None:
        half = two_sided_quantile(error, units.count - 1) * sqrt(units.covariance[depth, depth])
        low, high = min(low, observed - half), max(high, observed + half)
    variance = float(prediction.covariance[depth, depth])
    known = two_sided_quantile(error, prediction.freedom) * sqrt(variance)
    below, above = hypot(observed - low, known), hypot(high - observed, known)
    difference = observed - predicted
    impossible = 0 if variance else count * (predicted == 0) + max(least - count, 0) * (predicted == 1)
    return LengthDifference(f"position {depth + 1}", observed, predicted, difference - below, difference + above, most,
                      impossible)  # fmt: skip


def _drafted(run: EngineRun, depth: int) -> tuple[int, int]:
    """The most and the least number of steps that can have drafted position ``depth`` + 1."""
    if run.missing == 0:
        return run.steps, run.steps
    if run.widths_known:
        count = sum(width > depth for request in run.requests for width in request.drafted or ())
        return count, count
    return run.steps, run.steps - run.missing // (run.spec_tokens - depth)


def _mean(run: EngineRun, prediction: LengthPrediction, error: float, effect: float) -> LengthDifference:
    reached = np.array([run.histogram[depth + 1 :].sum() for depth in range(run.spec_tokens)]) / run.steps
    variance = max(length_variance(reached), length_variance(prediction.rates))
    half = mean_half_width(variance, run.steps / effect, run.spec_tokens, error)
    units = units_of_run(run)
    if units is not None:
        half = max(half, two_sided_quantile(error, units.count - 1) * sqrt(units.covariance.sum()))
    half = hypot(half, two_sided_quantile(error, prediction.freedom) * sqrt(max(0.0, prediction.covariance.sum())))
    difference = float(reached.sum()) - prediction.mean
    return LengthDifference("mean accepted length", float(reached.sum()), prediction.mean, difference - half,
                      difference + half, run.steps)  # fmt: skip


def _whole(run: EngineRun, prediction: LengthPrediction, error: float, effect: float) -> WholeTest | None:
    """The test of the whole distribution; ``None`` if no cell can be told from the others."""
    kept = telling_positions(prediction.rates, run.steps / effect)
    if not kept:
        return None
    rates, known = prediction.rates[kept], prediction.covariance[np.ix_(kept, kept)]
    reached = np.array([run.histogram[depth + 1 :].sum() for depth in kept]) / run.steps
    p_value = quadratic_p_value(
        reached - rates, step_covariance(rates) * effect / run.steps + known, prediction.freedom
    )
    units = units_of_run(run)
    if units is not None and units.count > 2 * len(kept):
        between = units.covariance[np.ix_(kept, kept)] + known
        p_value = max(p_value, quadratic_p_value(reached - rates, between, min(units.count - 1, prediction.freedom)))
    return WholeTest(len(kept) + 1, p_value, error)


def compare_same_steps(prediction: LengthPrediction, level: float = LEVEL, within: float = WITHIN) -> LengthAgreement:
    """What an engine accepted in the recorded steps, held against the law given the trees of these very steps.

    Raises ``ValueError`` for a level or ``within`` outside (0, 1), and a prediction without recorded steps.
    """
    _check_settings(level, within)
    if prediction.run is None or prediction.laws is None:
        raise ValueError("the prediction has no recorded steps to compare with")
    taus = np.array([tau for request in prediction.run.requests for tau in request.accepted or ()], dtype=int)
    reached = (taus[:, None] > np.arange(prediction.depth)).astype(float)
    error = (1 - level) / (prediction.depth + 2)
    rows = tuple(_given_trees(f"position {depth + 1}", reached[:, depth], prediction.laws[:, depth], error)
                 for depth in range(prediction.depth))  # fmt: skip
    covariance = sum(step_covariance(law) for law in prediction.laws) / len(taus) ** 2
    mean = _mean_given_trees(reached, prediction.laws, np.asarray(covariance), error)
    whole = _whole_given_trees(reached, prediction.laws, np.asarray(covariance), error)
    return LengthAgreement(rows, mean, whole, level, within, Unit.STEPS, len(taus), paired=True)


def _given_trees(name: str, reached: Floats, law: Floats, error: float) -> LengthDifference:
    """The comparison of one position over steps (S,): its probability is known in each."""
    impossible = int((np.abs(reached - law) > 1 - RATE_ROUNDING).sum())
    half = mean_half_width(float((law * (1 - law)).mean()), len(law), 1.0, error)
    difference = float((reached - law).mean())
    observed, predicted = float(reached.mean()), float(law.mean())
    return LengthDifference(name, observed, predicted, difference - half, difference + half, len(law), impossible)


def _mean_given_trees(reached: Floats, laws: Floats, covariance: Floats, error: float) -> LengthDifference:
    steps, depth = laws.shape
    half = mean_half_width(float(covariance.sum()) * steps, steps, depth, error)
    observed, predicted = float(reached.sum() / steps), float(laws.sum() / steps)
    difference = observed - predicted
    return LengthDifference("mean accepted length", observed, predicted, difference - half, difference + half, steps)


def _whole_given_trees(reached: Floats, laws: Floats, covariance: Floats, error: float) -> WholeTest | None:
    """The test over the positions whose variance, over all steps, is that of 5 uncertain ones or more."""
    steps = len(laws)
    kept = [d for d in telling_positions(laws.mean(axis=0), steps) if covariance[d, d] * steps**2 >= LEAST_EXPECTED]
    if not kept:
        return None
    p_value = quadratic_p_value((reached - laws).mean(axis=0)[kept], covariance[np.ix_(kept, kept)], inf)
    return WholeTest(len(kept) + 1, p_value, error)
