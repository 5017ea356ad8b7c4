"""From a lossy law to its likely mechanism: which known defect, in the same cases, has the same law?

A known mechanism is a candidate if its procedure takes the same form.  Verifier and candidates are run on a few cases,
and their frequencies of strings are compared.  What is said is a likeness of laws, not a proof: two mechanisms can have
one law, and a mechanism built into another base rule has another law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from ..batches.rows import Floats, Ints
from ..defects.kinds import Defect
from ..defects.table import DEFECTS
from ..forms.calls import Caller
from ..forms.drawing import Drawing, string_law
from ..forms.form import Form
from ..forms.guard import CallError, Guard
from ..forms.trials import string_counts

LEAST_SAMPLE, MOST_SAMPLE = 10_000, 200_000
"""Trials of a candidate in a case lie between these; otherwise four times what the finding took."""

MOST_CASES = 3
"""Cases that are compared, the one with the finding first."""

SINGLE = (2_000, 4_000)
"""An unbatched verifier is called between these many times in a case; otherwise twice as often as the finding took."""

DEVIATIONS = 6.0
"""By how many standard deviations a candidate's distance may exceed what chance gives."""

RESEMBLES = 0.5
"""The share of the deviation that a candidate must have to be named."""


@dataclass(frozen=True)
class Likeness:
    """How a defect's law compares with the verifier's over the cases.

    explained : the share of the deviation from the target that the defect has too, as a chi-square divergence; 1: all,
        0 or less: none
    same : whether the two laws differ by no more than chance
    tokens : of how many first tokens the laws were compared; ``None``: of whole strings
    """

    defect: Defect
    explained: float
    same: bool
    tokens: int | None = None

    def text(self) -> str:
        """The mechanism and how like it is, in words."""
        first = "first token" if self.tokens == 1 else f"first {self.tokens} tokens"
        law = "its law" if self.tokens is None else f"its law of the {first}"
        how = f"{law} is the same, up to chance" if self.same else f"{law} has {self.explained:.0%} of the deviation"
        return f"{self.defect.mechanism} ({self.defect.name}; {self.defect.seen_in}): {how}"


def likely_mechanism(
    caller: Caller, drawings: Sequence[Drawing], trials: int, rng: np.random.Generator, tokens: int | None = None
) -> str:
    """The known mechanism whose law is most like the verifier's, in words; empty if none is like it.

    drawings : the cases of the audit, that of the finding first; trials : what the finding took; tokens : up to which
    token the finding needs to look.  The verifier is called again.  A candidate must be like it in the first case to
    be tried in the others; if none is, those are named that are like it in the first tokens.
    """
    try:
        samples = [_sample(caller, drawings[0], min(MOST_SAMPLE, 4 * trials), rng)]
    except CallError:
        return ""
    likely = _alike(candidates(caller.form), samples, rng)
    if not likely and tokens:
        likely = _alike(candidates(caller.form), samples, rng, tokens)
    for drawing in drawings[1:MOST_CASES] if likely and likely[0].tokens is None else ():
        samples.append(_sample(caller, drawing, min(MOST_SAMPLE, 4 * trials), rng))
        likely = _alike([one.defect for one in likely], samples, rng)
    return "; or: ".join(one.text() for one in likely[:2])


def _alike(
    defects: Sequence[Defect], samples: Sequence[_Sample], rng: np.random.Generator, tokens: int | None = None
) -> list[Likeness]:
    """The defects that have enough of the deviation, those of the same law and with the most of it first."""
    found = [_likeness(defect, samples, rng, tokens) for defect in defects]
    return sorted((one for one in found if one.explained >= RESEMBLES), key=lambda one: (not one.same, -one.explained))


def candidates(form: Form) -> list[Defect]:
    """The known defects that can be run on the cases of a form: of the same form, and of paths for trees."""
    forms = {form} | ({Form.PATHS} if form is Form.TREE else set())
    return [defect for defect in DEFECTS.values() if defect.form in forms]


@dataclass(frozen=True, eq=False)
class _Sample:
    """The verifier's counts (V ** (L + 1),) in a case, and how many trials a candidate is given there."""

    drawing: Drawing
    counts: Ints
    trials: int
    known: dict[str, Ints | None] = field(default_factory=dict)


def _sample(caller: Caller, drawing: Drawing, trials: int, rng: np.random.Generator) -> _Sample:
    """The verifier's counts in a case."""
    enough = max(LEAST_SAMPLE, trials)
    own = enough if caller.batched else min(SINGLE[1], max(SINGLE[0], trials // 2))
    return _Sample(drawing, string_counts(caller, drawing, own, rng), enough)


def _likeness(
    defect: Defect, samples: Sequence[_Sample], rng: np.random.Generator, tokens: int | None
) -> Likeness:
    """How like the defect is, over the cases, in whole strings or in their first tokens."""
    distance, variance, deviation = 0.0, 0.0, 0.0
    for sample in samples:
        if defect.name not in sample.known:
            sample.known[defect.name] = _defect_counts(defect, sample, rng)
        known = sample.known[defect.name]
        if known is None:
            return Likeness(defect, 0.0, False)
        cells = -1 if tokens is None else sample.drawing.vocabulary_size**tokens
        law, counts, known = (_beginnings(array, cells) for array in (_law(sample.drawing), sample.counts, known))
        frequency, weights = counts / counts.sum(), 1.0 / (law + 1.0 / counts.sum())
        by_chance, spread = _chance(counts, known, weights)
        distance += float(weights @ (frequency - known / known.sum()) ** 2) - by_chance
        deviation += float(weights @ (frequency - law) ** 2) - _chance(counts, None, weights)[0]
        variance += spread
    same = distance <= DEVIATIONS * sqrt(variance)
    return Likeness(defect, 1.0 - distance / deviation if deviation > 0 else 0.0, same, tokens)


def _beginnings(array: np.ndarray, cells: int) -> np.ndarray:
    """An array over strings (V ** (L + 1),) summed over what follows their first tokens; whole for ``cells`` of -1."""
    return array if cells < 0 else array.reshape(cells, -1).sum(axis=1)


def _defect_counts(defect: Defect, sample: _Sample, rng: np.random.Generator) -> Ints | None:
    """The defect's counts in the case, or None if it cannot be run there."""
    case = sample.drawing.case
    try:
        if defect.form is Form.GENERATE:
            verifier = defect.broken(case.pair, case.policy.depth, case.contexts[0])
        else:
            verifier = defect.broken
        runner = Caller(verifier, defect.form, batched=True, guard=Guard(None))
        return string_counts(runner, Drawing(case, defect.form), sample.trials, rng)
    except (CallError, TypeError, ValueError, KeyError, NotImplementedError):
        return None


def _law(drawing: Drawing) -> Floats:
    """The target's law of strings, averaged over the requests."""
    return np.mean([string_law(tables) for tables in drawing.tables], axis=0)


def _chance(counts: Ints, others: Ints | None, weights: Floats) -> tuple[float, float]:
    """What the weighted squared distance of two samples of one law comes to by chance, and about its variance.

    The weights (n,) make it a chi-square divergence, in which rare strings count; without a second sample the
    distance is to the law itself.
    """
    together = counts if others is None else counts + others
    law = weights * together / together.sum()
    scale = 1 / counts.sum() + (1 / others.sum() if others is not None else 0.0)
    return float(scale * (law * (1 - together / together.sum())).sum()), float(2 * scale**2 * (law**2).sum())
