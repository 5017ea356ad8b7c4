"""Do the counts of a run agree with the exact mathematics?  All at one error level.

Is each completed string as frequent as the target makes it, alone and all together; is each depth reached as
often as it should be; and is the mean of tau the exact one?  Every bound holds at any number of trials, and the
level is divided by the number of comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import cast

import numpy as np

from veridraft.theory.efficiency.efficiency import BlockEfficiency, block_efficiency
from veridraft.theory.pairs.base import Pair
from veridraft.theory.policies.base import Policy
from veridraft.theory.rows.trees import Context
from veridraft.theory.verifiers.table import Verifier

from ..batches.intervals import (
    MISS,
    bernstein_deviation,
    bernstein_error,
    binomial_deviations,
    binomial_errors,
    chance_deviation,
    check_level,
    total_variation_error,
    total_variation_threshold,
)
from ..batches.row_tables import tabulate
from ..batches.rows import Floats, Ints
from .simulation import Simulation


class Agreement(Enum):
    """What a comparison found."""

    AGREES = "agrees"
    DIFFERS = "differs"


class Quantity(Enum):
    """What was compared."""

    STRING = "frequency of a completed string"
    TOTAL_VARIATION = "total variation of all completed strings"
    DEPTH = "frequency of an acceptance length"
    ACCEPTANCE_LENGTH = "mean acceptance length"


@dataclass(frozen=True)
class RunDifference:
    """A comparison that failed.

    Fields
    ------
    quantity : what was compared
    string : the completed string, for a frequency of one; None otherwise
    depth : the acceptance length, for a frequency of one; None otherwise
    expected, observed : the exact value, and the run's (a total variation is expected to be 0)
    error : a bound on the probability of a deviation as large, were the procedure right
    """

    quantity: Quantity
    expected: float
    observed: float
    error: float
    string: Context | None = None
    depth: int | None = None


@dataclass(frozen=True)
class Comparison:
    """The comparison of a run with the exact values.

    Fields
    ------
    verifier, policy : what was run, by name; trials : T
    level : the probability that a right procedure is said to differ is at most this
    comparisons : among how many the level was divided
    differences : those that failed, the least probable first
    total_variation : of the run's frequencies to the target's probabilities
    smallest_deviation : a string whose probability is off by this much is reported with probability 0.999
    smallest_total_variation : likewise strings off by this much in total variation (1 or more: none surely)
    smallest_length_deviation : likewise a mean acceptance length off by this much
    """

    verifier: str
    policy: str
    trials: int
    level: float
    comparisons: int
    differences: tuple[RunDifference, ...]
    total_variation: float
    smallest_deviation: float
    smallest_total_variation: float
    smallest_length_deviation: float

    @property
    def outcome(self) -> Agreement:
        """DIFFERS if a comparison failed.  AGREES says only that nothing above the smallest deviations is there."""
        return Agreement.DIFFERS if self.differences else Agreement.AGREES

    @property
    def first_difference(self) -> RunDifference | None:
        """The least probable of the comparisons that failed, or None."""
        return self.differences[0] if self.differences else None


def compare(
    run: Simulation,
    verifier: str | Verifier,
    policy: Policy,
    pair: Pair,
    level: float = 1e-6,
    *,
    exact: BlockEfficiency | None = None,
) -> Comparison:
    """The comparison of a run with the target's law of strings and a verifier's exact acceptance length.

    Parameters
    ----------
    run : the counts
    verifier, policy, pair : what the run should agree with; the run's own context is the root
    level : in (0, 1), the probability of a false alarm; divided by V ** (L + 1) + 2 comparisons
    exact : the exact block efficiency, if it is at hand; else it is enumerated

    The count of each string and of each depth is tested by the exact binomial test; the strings' total
    variation by McDiarmid's inequality; the mean of tau by Bernstein's, with the exact law of tau.
    Raises ``ValueError`` for a level outside (0, 1), a run that has another vocabulary or depth than the pair
    and the policy, and what ``block_efficiency`` refuses.
    """
    _check_fit(run, policy, pair, exact)
    probabilities = tabulate(pair, policy.depth, run.context).string_probabilities()
    exact = exact or _enumerated(verifier, policy, pair, run.context)
    comparisons = len(probabilities) + policy.depth + 3
    share = check_level("level", level) / comparisons
    found = [
        *_strings(run, probabilities, share),
        *_total(run, probabilities, share),
        *_depths(run, exact, share),
        *_length(run, exact, share),
    ]
    _, variance, span = _length_moments(exact)
    chance = chance_deviation(MISS, run.trials)
    return Comparison(
        verifier=run.verifier,
        policy=run.policy.name,
        trials=run.trials,
        level=level,
        comparisons=comparisons,
        differences=tuple(sorted(found, key=lambda difference: difference.error)),
        total_variation=_variation(run, probabilities),
        smallest_deviation=float(binomial_deviations(share, run.trials, probabilities).max()) + chance,
        smallest_total_variation=total_variation_threshold(share, run.trials, probabilities) + chance,
        smallest_length_deviation=bernstein_deviation(share, variance, run.trials, span) + policy.depth * chance,
    )


def _check_fit(run: Simulation, policy: Policy, pair: Pair, exact: BlockEfficiency | None) -> None:
    if run.vocabulary_size != pair.vocabulary_size:
        raise ValueError(f"run has a vocabulary of {run.vocabulary_size}, but pair one of {pair.vocabulary_size}")
    for name, length in (("run", len(run.depth_counts)), ("exact", len(exact.by_depth) if exact else policy.depth + 1)):
        if length != policy.depth + 1:
            raise ValueError(f"{name} has depth {length - 1}, but policy {policy.name} has depth {policy.depth}")


def _enumerated(verifier: str | Verifier, policy: Policy, pair: Pair, context: Context) -> BlockEfficiency:
    return cast(BlockEfficiency, block_efficiency(verifier, policy, pair, "enumerate", context=context))


def _strings(run: Simulation, probabilities: Floats, share: float) -> Iterator[RunDifference]:
    shape = (run.vocabulary_size,) * len(run.depth_counts)
    for number, expected, observed, error in _unlikely(run.string_counts, probabilities, share):
        string = tuple(int(token) for token in np.unravel_index(number, shape))
        yield RunDifference(Quantity.STRING, expected, observed, error, string=string)


def _depths(run: Simulation, exact: BlockEfficiency, share: float) -> Iterator[RunDifference]:
    for depth, expected, observed, error in _unlikely(run.depth_counts, _depth_law(exact), share):
        yield RunDifference(Quantity.DEPTH, expected, observed, error, depth=depth)


def _unlikely(counts: Ints, probabilities: Floats, share: float) -> Iterator[tuple[int, float, float, float]]:
    """Index, expected, observed and p-value of each count whose binomial p-value is below the share."""
    trials = int(counts.sum())
    errors = binomial_errors(counts, trials, probabilities)
    for index in np.flatnonzero(errors < share):
        yield int(index), float(probabilities[index]), float(counts[index] / trials), float(errors[index])


def _total(run: Simulation, probabilities: Floats, share: float) -> Iterator[RunDifference]:
    observed = _variation(run, probabilities)
    error = total_variation_error(observed, run.trials, probabilities)
    if error < share:
        yield RunDifference(Quantity.TOTAL_VARIATION, 0.0, observed, error)


def _length(run: Simulation, exact: BlockEfficiency, share: float) -> Iterator[RunDifference]:
    mean, variance, span = _length_moments(exact)
    error = bernstein_error(abs(run.mean_acceptance_length - mean), variance, run.trials, span)
    if error < share:
        yield RunDifference(Quantity.ACCEPTANCE_LENGTH, mean, run.mean_acceptance_length, error)


def _depth_law(exact: BlockEfficiency) -> Floats:
    """The exact law of tau in float64; a sum that rounding puts above 1 is 1."""
    return np.minimum(exact.by_depth.astype(np.float64), 1.0)


def _variation(run: Simulation, probabilities: Floats) -> float:
    return float(np.abs(run.string_counts / run.trials - probabilities).sum() / 2.0)


def _length_moments(exact: BlockEfficiency) -> tuple[float, float, float]:
    """The exact mean and variance of tau, and the furthest that tau can lie from its mean."""
    law = _depth_law(exact)
    depths = np.arange(len(law))
    mean = float(law @ depths)
    return mean, float(law @ (depths - mean) ** 2), max(mean, len(law) - 1 - mean)
