"""What accepted lengths a run should show: from recorded rows and the law of a verifier, or from given rates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from veridraft.theory.efficiency.efficiency import block_efficiency
from veridraft.theory.pairs.recorded import RecordedPair
from veridraft.theory.policies.arguments import get_policy
from veridraft.theory.policies.base import Policy
from veridraft.theory.rows.trees import DraftTree
from veridraft.theory.verifiers.table import Verifier, get_verifier

from ..runs import EngineRun
from ..traces import Trace
from .clusters import Floats, units

RATE_ROUNDING = 1e-9
"""A rate may stray from [0, 1], or from the rate before it, by so much: it is rounding."""


@dataclass(frozen=True, eq=False)
class LengthPrediction:
    """The probability of accepting each position, and how well it is known.

    rates : (L,) P(tau >= 1), ..., P(tau >= L), not rising
    covariance : (L, L) of their estimate; zeros where they are exact or taken to be
    freedom : degrees of freedom of that covariance, ``inf`` where it is known
    origin : what they were made from, in words
    steps : how many recorded steps or contexts went in, 0 for given rates
    notes : what a reader should know
    run : what the engine accepted in the recorded steps, where it is recorded
    laws : (S, L) the rates of each of these steps, in the order of ``run``
    """

    rates: Floats
    covariance: Floats
    freedom: float
    origin: str
    steps: int = 0
    notes: tuple[str, ...] = ()
    run: EngineRun | None = None
    laws: Floats | None = None

    @property
    def depth(self) -> int:
        """L."""
        return len(self.rates)

    @property
    def mean(self) -> float:
        """The mean accepted length: the sum of the rates."""
        return float(self.rates.sum())


def given_rates(rates: Sequence[float], conditional: bool = False) -> LengthPrediction:
    """The prediction that positions 1 to L are accepted at these rates, taken to be exact.

    conditional : each rate is that of a position whose predecessors were accepted; else of all steps, as engines
        report it (their rate by position is accepted steps over all steps)
    Raises ``ValueError`` for an empty list, a rate outside [0, 1], or, of all steps, one above the rate before.
    """
    values = np.array(rates, dtype=float)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"rates must be at least one number, but are {rates!r}")
    if (values > 2).any() and ((values >= 0) & (values <= 100)).all():
        raise ValueError(f"rates {', '.join(f'{rate:g}' for rate in values)} look like percent: divide them by 100")
    for position, rate in enumerate(values.tolist(), 1):
        if not 0 <= rate <= 1:
            raise ValueError(f"rates position {position} is {rate}; it must lie in [0, 1]")
        if not conditional and position > 1 and rate > values[position - 2] + RATE_ROUNDING:
            raise ValueError(
                f"rates position {position} is {rate}, above {values[position - 2]} before it: of all steps no more "
                "can accept a later position; rates given that the position before was accepted are 'conditional'"
            )
    reached = np.cumprod(values) if conditional else values
    return LengthPrediction(reached, np.zeros((len(values),) * 2), inf, "given rates")


def rates_of(text: str) -> list[float]:
    """The rates in a text with commas, or in a file: a JSON list, or numbers with commas or white space.

    Raises ``ValueError`` for a word that is no number.
    """
    path = Path(text)
    found = path.read_text(encoding="utf-8") if path.is_file() else text
    words = found.strip().removeprefix("[").removesuffix("]").replace(",", " ").split()
    try:
        return [float(json.loads(word)) for word in words]
    except (ValueError, TypeError):
        raise ValueError(f"rates {text!r} must be numbers in [0, 1] with commas, or a file of them") from None


def predict_from_trace(trace: Trace, verifier: str | Verifier, policy: str | Policy) -> LengthPrediction:
    """The mean, over recorded trees, of the verifier's probability to accept each position: no coin is tossed.

    Steps that drafted fewer tokens than the policy are left out.  ``run`` holds what the engine accepted in the same
    steps.  Raises ``ValueError`` for a verifier that is not lossless for the policy, rows that are no laws, and a
    trace in which no step drafted as the policy does.
    """
    entry, policy = _fitting(verifier, policy)
    steps = trace.whole_steps(policy)
    laws = np.array([_reached(entry, trace.tree(step), policy.depth) for step in steps])
    requests = trace.arrays["requests"][steps]
    sequences = [laws[requests == request] for request in dict.fromkeys(requests.tolist())]
    left_out = trace.steps - len(steps)
    notes = (f"{left_out} of {trace.steps} recorded steps left out: they drafted less",) if left_out else ()
    origin = f"{entry.name} with {policy.name} on {len(steps)} recorded steps"
    return _averaged(sequences, origin, notes, trace.run(steps, policy.depth))


def predict_from_recording(pair: RecordedPair, verifier: str | Verifier, policy: str | Policy) -> LengthPrediction:
    """The mean, over every context below which the recording holds all rows that the policy can ask for.

    Exact at each context, over all trees.  Raises ``ValueError`` for a verifier that is not lossless for the policy,
    and if the recording is complete below no context.
    """
    entry, policy = _fitting(verifier, policy)
    found = [_expected(pair, entry, policy, context) for context in pair.contexts]
    laws = np.array([law for law in found if law is not None])
    if not len(laws):
        raise ValueError(
            f"the recording lacks rows below each of its {len(found)} contexts: {policy.name} can ask for all tokens "
            "that the draft may draw; a trace of steps (gpu/engines/trace_writer.py) needs those of the drafted ones"
        )
    notes = ("every recorded context counts alike; a decoder comes to them with other weights",)
    return _averaged([laws], f"{entry.name} with {policy.name} at {len(laws)} recorded contexts", notes, None)


def _fitting(verifier: str | Verifier, policy: str | Policy) -> tuple[Verifier, Policy]:
    entry, policy = get_verifier(verifier), get_policy(policy)
    entry.require(policy)
    if policy.depth < 1:
        raise ValueError(f"policy {policy.name} drafts nothing")
    return entry, policy


def _reached(verifier: Verifier, tree: DraftTree, depth: int) -> Floats:
    """(L, ) the probability of accepting at least 1, ..., L tokens of a tree."""
    stopping = np.zeros(depth + 1)
    by_depth = np.asarray(verifier.law(tree).by_depth, dtype=float)
    stopping[: len(by_depth)] = by_depth
    return stopping[::-1].cumsum()[::-1][1:]


def _expected(pair: RecordedPair, verifier: Verifier, policy: Policy, context: Any) -> Floats | None:
    """(L,) likewise at a context, over all trees; ``None`` if a row is not recorded."""
    try:
        leaves = pair.with_leaves(len(context) + policy.depth)
        found = block_efficiency(verifier, policy, leaves, "enumerate", context=context)
    except KeyError:
        return None
    return np.asarray(found.reach, dtype=float)[1:]


def _averaged(
    sequences: Iterable[Floats], origin: str, notes: tuple[str, ...], run: EngineRun | None
) -> LengthPrediction:
    """The mean over all steps with the covariance between units; between steps where units are too few."""
    listed = list(sequences)
    laws = np.concatenate(listed)
    if len(laws) < 2:
        raise ValueError(f"{origin}: one is too few to know how much they differ")
    found = units([(values, np.ones_like(values)) for values in listed])
    if found is not None:
        covariance, freedom = found.covariance, float(found.count - 1)
    else:
        covariance, freedom = np.atleast_2d(np.cov(laws.T)) / len(laws), float(len(laws) - 1)
        notes = (*notes, "too few recorded steps to see how they depend on each other: taken as independent")
    return LengthPrediction(laws.mean(axis=0), covariance, freedom, origin, len(laws), notes, run, laws)
