"""From a lossy law to its mechanism: which known defect, on the same cases, has the same law, and no other?

A known mechanism is a candidate if its procedure takes the same form.  Verifier and candidates are run on the case of
the finding, and candidates whose frequencies of strings differ by more than chance are struck off, with more and more
trials, until those that are left are known to be near; they must then have the same law on further cases.  If more
than two are left in the end, or the trials cannot tell a law that is a share of the deviation away from the
verifier's own, nothing is named.

What is said is a likeness of laws, not a proof: two mechanisms can have one law.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.rows.trees import Context

from ...batches.rows import Floats, Ints
from ...defects.broken.histories import Rounds
from ...defects.correct.engines import loop_of
from ...defects.kinds import Batched, Defect
from ...defects.table import DEFECTS
from ...forms.calls import Caller
from ...forms.choice import known_draft
from ...forms.drawing import Drawing
from ...forms.form import Form
from ...forms.guard import CallError, Guard
from ...forms.pace import Pace
from ...forms.trials import string_counts
from .rounds import in_rounds
from .sample import Sample, mean_law

SIZES = (1_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 1_000_000)
"""Trials of the verifier after which candidates are struck off."""

DEVIATIONS = 6.0
"""By how many standard deviations a candidate's distance may exceed what chance gives."""

FURTHER, OF_LEFT = {False: 2_000, True: 16_000}, 10
"""Trials of the verifier on each further case, at most, one at a time and batched; and no more than this part of what
is left."""

ONCE_MORE = 2
"""At how many sizes several candidates must be near to be taken for one law, where no other case tells them apart."""

MISSED = 3.0
"""By how many more it must exceed them to be seen to do so surely."""

RESOLVED, RESOLVED_AT_START = 0.2, 0.03
"""A distance of this share of the deviation from the target must be seen for a name to be said: in whole strings, and
in their beginnings up to where the law departs first, which are fewer.  Shares are of squares: a law that has nine
tenths of the deviation is a hundredth of it away."""

LEAST = 32_000
"""Trials on the case of the finding before a name is said, if the budget allows so many."""

KEPT_FOR = 3
"""For so many other cases trials are kept."""

MOST_NAMES = 2
"""So many mechanisms of one law are said; of more, none."""

MOST_CASES = 12
"""On how many further cases the law must be the same, at most: those that differ tell names apart, not many trials."""

MOST_DRAFTS = 4
"""Drafts in a round that are tried where nothing says how many a loop makes."""


@dataclass(frozen=True)
class Candidate:
    """A known defect as it was written somewhere, and in the form ``generate`` how many tokens a round drafts."""

    defect: Defect
    broken: Batched
    drafts: int = 0


class Tried:
    """A candidate on the case of a sample, and its counts of strings so far; errors are those of the candidate."""

    def __init__(self, candidate: Candidate, sample: Sample) -> None:
        case, form, verifier = sample.drawing.case, candidate.defect.form, candidate.broken
        if sample.caller.form is Form.GENERATE:
            form, whole = Form.GENERATE, sample.drawing.length if sample.whole else 0
            pair = sample.drawing.pair_at(0)
            verifier = _loop(candidate, pair, case.contexts[0], sample.drawing.length, whole)
        self._caller = Caller(verifier, form, batched=True, guard=Guard(None), pace=Pace(batched=True))
        self._drawing, self._rng = Drawing(case, form), sample.rng
        self._counts: Ints = np.zeros(self._drawing.vocabulary_size**self._drawing.length, dtype=np.int64)

    def grown(self, trials: int) -> Ints:
        """The counts of so many trials at least."""
        missing = trials - int(self._counts.sum())
        if missing > 0:
            self._counts += string_counts(self._caller, self._drawing, missing, self._rng).sum(axis=0)
        return self._counts


@dataclass(frozen=True)
class Likeness:
    """How a candidate's law compares with the verifier's on a case.

    distance : between the two laws, as a weighted square, what chance gives taken off
    spread : the standard deviation of the distance by chance
    deviation : the verifier's law from the target's, likewise
    """

    distance: float
    spread: float
    deviation: float

    @property
    def same(self) -> bool:
        """Whether the two laws differ by no more than chance."""
        return self.distance <= DEVIATIONS * self.spread

    def resolved(self, share: float) -> bool:
        """Whether a law at a distance of that share of the deviation would have been told from the verifier's."""
        return (DEVIATIONS + MISSED) * self.spread <= share * self.deviation


def likely_mechanism(
    sample: Sample, others: Sequence[Drawing], drafts: int | None = None, departs: int | None = None
) -> str:
    """The known mechanism whose law alone is the verifier's, in words; empty if none was told from the others.

    sample : the verifier on the case of the finding, which grows; others : the audit's other cases; drafts : how many
    tokens a round drafts, in the form ``generate``, if that is known; departs : the token, from 1, by which the law
    departs, if that is known
    """
    start = departs or sample.drawing.length
    try:
        each = min(FURTHER[sample.caller.batched], sample.budget.left // OF_LEFT)
        kept = each * min(KEPT_FOR, len(others))
        left, cases = _told_apart(sample, _candidates(sample, drafts), kept, start), 1
        for drawing in others[:MOST_CASES]:
            further = Sample(sample.caller, drawing, sample.budget, sample.rng)
            if not left or not further.grow(min(sample.trials, each)):
                break
            left, cases = [one for one in left if _same_there(one, further, start)], cases + 1
    except CallError:
        return ""
    if len(_names(left)) > MOST_NAMES or (others and cases == 1):
        return ""
    return _words([one.defect for one in left], sample.trials, cases)


def _names(candidates: Sequence[Candidate]) -> set[str]:
    return {candidate.defect.name for candidate in candidates}


def _words(defects: Sequence[Defect], trials: int, cases: int) -> str:
    """The mechanisms and what is known of them; empty if there are none."""
    if not defects:
        return ""
    where = "" if cases == 1 else f", on {cases - 1} other case{'s' if cases > 2 else ''} too"
    named = "; or: ".join(dict.fromkeys(f"{one.mechanism} ({one.name}; {one.seen_in})" for one in defects))
    return f"{named}: in {trials:,} trials its law is the verifier's, up to chance{where}, and no other known one's is"


def _told_apart(sample: Sample, candidates: list[Candidate], kept: int, start: int) -> list[Candidate]:
    """The candidates that are left once all that are left are known to be near; none if the budget ends before.

    kept : trials that are left to other cases, if there are any, which may tell several candidates apart
    """
    known: dict[Candidate, Tried] = {}
    near = 0
    for size in SIZES:
        affordable = sample.trials + sample.budget.left - kept
        trials = min(size, affordable)
        if not candidates or trials <= 0 or not sample.grow(trials):
            break
        alike: dict[Candidate, tuple[Likeness, Likeness]] = {}
        for one in candidates:
            if sample.budget.late():
                return []
            both = _likenesses(one, sample, known, trials, start)
            if both and all(likeness.same for likeness in both):
                alike[one] = both
        candidates = list(alike)
        near += all(whole.resolved(RESOLVED) and at.resolved(RESOLVED_AT_START) for whole, at in alike.values())
        enough = near and size >= LEAST and (kept or near >= ONCE_MORE or len(_names(candidates)) <= 1)
        if enough or trials < size:
            break
    return candidates if near else []


def _same_there(candidate: Candidate, sample: Sample, start: int) -> bool:
    both = _likenesses(candidate, sample, {}, sample.trials, min(start, sample.drawing.length))
    return both is not None and all(likeness.same for likeness in both)


def candidates_of(form: Form) -> list[tuple[Defect, Batched]]:
    """The known defects, each as it was written, that can be run on the cases of a form.

    For trees also those of paths; for loops those of chains too, behind drafts that are drawn as they should be.
    """
    forms = {form} | {Form.TREE: {Form.PATHS}, Form.GENERATE: {Form.CHAIN}}.get(form, set())
    known = [defect for defect in DEFECTS.values() if defect.form in forms]
    return [
        (defect, loop_of(broken) if defect.form is Form.CHAIN and form is Form.GENERATE else broken)
        for defect in known for broken in (defect.broken, *defect.variants)
    ]  # fmt: skip


def _candidates(sample: Sample, drafts: int | None) -> list[Candidate]:
    """The candidates on the case of a sample; none in the form ``generate`` without the draft's rows."""
    case, form = sample.drawing.case, sample.caller.form
    if form is not Form.GENERATE:
        return [Candidate(defect, broken) for defect, broken in candidates_of(form)]
    if not known_draft(case.pair):
        return []
    least = _least_drafts(sample)
    numbers = [drafts] if drafts else range(least, max(least, min(MOST_DRAFTS, sample.drawing.length - 1)) + 1)
    return [Candidate(defect, broken, number) for defect, broken in candidates_of(form) for number in numbers]


def _least_drafts(sample: Sample) -> int:
    """How many tokens a round drafts at least, which is by its longest answer, and whether answers are ``whole``.

    Answers that are all whole may be of several rounds, and say nothing.
    """
    length = sample.drawing.length
    tokens = sample.caller.generate(min(64, max(1, sample.budget.left)), sample.rng, length)
    emitted = (tokens >= 0).sum(axis=1)
    sample.whole = bool(emitted.min() == length)
    return 1 if sample.whole else max(1, int(emitted.max()) - 1)


def _likenesses(
    candidate: Candidate, sample: Sample, known: dict[Candidate, Tried], trials: int, start: int
) -> tuple[Likeness, Likeness] | None:
    """How like the candidate is in so many trials of its own: whole strings, and their first ``start`` tokens.

    ``None`` if it cannot be run on the case.
    """
    try:
        if candidate not in known:
            known[candidate] = Tried(candidate, sample)
        counts = known[candidate].grown(trials)
    except (CallError, TypeError, ValueError, KeyError, NotImplementedError):
        return None
    law, size = mean_law(sample.drawing), sample.drawing.vocabulary_size**start
    starts = (array.reshape(size, -1).sum(axis=1) for array in (sample.together, counts, law))
    return compared(sample.together, counts, law), compared(*starts)


def compared(counts: Ints, others: Ints, law: Floats) -> Likeness:
    """How two samples (n,) of strings compare, beside the law (n,) that the first departs from.

    Strings weigh by their probability in the law and in the samples together, so that one that the law cannot emit
    does not drown the others.
    """
    frequency, together = counts / counts.sum(), (counts + others) / (counts.sum() + others.sum())
    weights = 1.0 / ((law + together) / 2.0 + 1.0 / counts.sum())
    by_chance, variance = _chance(counts, others, weights)
    distance = float(weights @ (frequency - others / others.sum()) ** 2) - by_chance
    deviation = float(weights @ (frequency - law) ** 2) - _chance(counts, None, weights)[0]
    return Likeness(distance, sqrt(variance), deviation)


def _loop(
    candidate: Candidate, pair: Pair, context: Context, length: int, whole: int
) -> Callable[[np.random.Generator, int], Ints]:
    """The loop of a candidate; one that keeps something between rounds makes its own rounds."""
    if isinstance(candidate.broken, Rounds):
        return replace(candidate.broken, drafts=candidate.drafts)(pair, length - 1, context)
    return in_rounds(candidate.broken, pair, candidate.drafts, context, whole)


def _chance(counts: Ints, others: Ints | None, weights: Floats) -> tuple[float, float]:
    """What the weighted squared distance of two samples of one law comes to by chance, and about its variance.

    The weights (n,) make it a divergence in which rare strings count; without a second sample the distance is to the
    law itself.
    """
    together = counts if others is None else counts + others
    law = weights * together / together.sum()
    scale = 1 / counts.sum() + (1 / others.sum() if others is not None else 0.0)
    return float(scale * (law * (1 - together / together.sum())).sum()), float(2 * scale**2 * (law**2).sum())
