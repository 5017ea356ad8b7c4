"""Chains verified wrongly: one piece of token-wise speculative sampling replaced by what an engine had there.

Every function but the batched verifiers at the end is a piece of
:class:`~veridraft.simulate.defects.correct.token_wise.TokenWise`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from veridraft.theory.rows.distributions import NO_TOKEN

from ...batches.batch import Outcome
from ...batches.rows import Bools, Floats, Ints, draw, or_else, residual, rounded, sums
from ..correct.token_wise import Chains, TokenWise, below_ratio, chains_of, exponential, from_residual, winners

BFLOAT16 = 8
"""Significant bits of a bfloat16."""


def from_softmaxed_residual(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A draw from the softmax of ``(target - draft)+``, which is a probability already (row 3).

    No token's weight is 0 then.  Seen in huggingface/transformers, mended by pull request #28508.
    """
    positive = np.maximum(chains.target[trials, positions] - chains.draft[trials, positions], 0.0)
    return draw(np.exp(positive), rng)


def from_next_residual(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A draw from the residual of the position behind the rejected one; the bonus row's if that is the last (row 4).

    Seen in huggingface/transformers, mended by pull request #28166.
    """
    following = np.concatenate([chains.draft, np.zeros_like(chains.target[:, :1])], axis=1)
    return draw(residual(chains.target[trials, positions + 1], following[trials, positions + 1]), rng)


def from_next_target(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A draw from what the next position's target row has over the draft's row in place (row 4, half of it)."""
    return draw(residual(chains.target[trials, positions + 1], chains.draft[trials, positions]), rng)


def from_next_residual_if_drafted(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A draw from the residual behind the rejected position, and at the last from its own (row 4, kept in range)."""
    return from_residual(chains, trials, np.minimum(positions + 1, chains.depth - 1), rng)


def from_raw_target(chains: Chains, trials: Ints, rng: np.random.Generator) -> Ints:
    """A bonus token from the row as the model gives it, where the other rows had temperature 1/2 applied (row 7).

    A row at temperature 1/2 is the square of the model's, normalised; its root is drawn from.  SafeAILab/EAGLE
    between commits bf10ac5 and c7ef8e5 passed all rows but the bonus token's through the logits processors.
    """
    return draw(np.sqrt(chains.target[trials, chains.depth]), rng)


def above_zero(chains: Chains, rng: np.random.Generator) -> Bools:
    """Every draft passes that the target can emit, the uniform being 0 always (row 13).

    Seen in vllm-project/vllm-ascend, issue #13730.
    """
    return chains.ratios() > 0


def up_to_ratio(chains: Chains, rng: np.random.Generator) -> Bools:
    """``u <= ratio`` by uniforms of 8 bits, so that u = 0 passes a draft that the target cannot emit (row 14).

    The kernel compared a coin with cumulative probabilities by ``<=``; with a float32 coin that is wrong once in
    16 million draws, with a coarse one each 256th.  Seen in sgl-project/sglang, issue #35771.
    """
    return coarse_uniforms(chains, rng) <= chains.ratios()


def coarse_uniforms(chains: Chains, rng: np.random.Generator) -> Floats:
    """A uniform of 8 bits for each draft (T, L)."""
    return np.floor(rng.random(chains.tokens.shape) * 256) / 256


def from_logarithmic_residual(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A draw from ``exp(log target + log(1 - draft / target))``, all in bfloat16 (row 17).

    Where the rows are close the difference of logarithms is a few steps of the float, and the residual's shares are
    those of the rounding.  In the engine the float was float32 and the error correspondingly tiny: vllm-project/vllm,
    pull request #46665.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        target, draft = (rounded(np.log(rows[trials, positions]), BFLOAT16) for rows in (chains.target, chains.draft))
        ratio = rounded(np.exp(rounded(draft - target, BFLOAT16)), BFLOAT16)
        logarithm = rounded(target + rounded(np.log(rounded(1.0 - ratio, BFLOAT16)), BFLOAT16), BFLOAT16)
    weights = np.where((target > -np.inf) & (ratio < 1), np.exp(logarithm), 0.0)
    return draw(or_else(weights, chains.target[trials, positions]), rng)


def by_equality_or_ratio(chains: Chains, rng: np.random.Generator) -> Bools:
    """A draft passes if a draw from the target equals it, or by the ratio test (row 24).

    Each test is right alone; together they pass ``1 - (1 - target)(1 - ratio)``.  Seen in alibaba/rtp-llm, mended by
    pull request #1295.
    """
    rows = chains.target[:, :-1]
    sampled = draw(rows.reshape(-1, rows.shape[2]), rng).reshape(chains.tokens.shape)
    return (sampled == chains.tokens) | below_ratio(chains, rng)


def from_row_after_rejected(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A draw from the target's row behind the rejected token, put where that token stood (row 26).

    The failed test is acted on one turn of the loop late: the word is dropped, and what was predicted to follow it
    is kept in its place.  Seen in openvinotoolkit/openvino.genai, issue #4190.
    """
    return draw(chains.target[trials, positions + 1], rng)


def from_padded_race(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """The winner of ``residual / noise`` over columns padded to tiles of 4, the last of equals winning (row 29).

    Padding has score 0, which wins where all scores are 0: then a token is emitted that nobody can emit.  The
    kernel's case was a last tile whose tokens all had probability 0 (vllm-project/vllm, pull request #44744); here
    scores vanish because the rows are kept in bfloat16, in which near-equal rows are equal.
    """
    weights = rounded_residual(chains, trials, positions, BFLOAT16)
    scores = weights / exponential(rng, weights.shape)
    tiles = np.pad(scores, ((0, 0), (0, -scores.shape[1] % 4)))
    return tiles.shape[1] - 1 - tiles[:, ::-1].argmax(axis=1)


def from_race(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """The winner of ``residual / noise`` over the vocabulary: a draw from the residual."""
    weights = or_else(rounded_residual(chains, trials, positions), chains.target[trials, positions])
    return winners(weights, exponential(rng, weights.shape))


def rounded_residual(chains: Chains, trials: Ints, positions: Ints, bits: int = 53) -> Floats:
    """``(target - draft)+`` (n, V) of rows kept in floats of so many significant bits."""
    target, draft = (rounded(rows[trials, positions], bits) for rows in (chains.target, chains.draft))
    return np.maximum(target - draft, 0.0)


def above_typical(chains: Chains, rng: np.random.Generator) -> Bools:
    """A draft passes if its target probability exceeds ``min(0.3, 0.09 exp(-entropy))``: typical acceptance (row 37).

    No coin and no draft row: lossy, and documented so.  A control, which an audit must fail.  Asked for in
    vllm-project/vllm, issue #5015, after Medusa (2401.10774, section 2.3.1).
    """
    rows = chains.target[:, :-1]
    logs = np.log(rows, where=rows > 0, out=np.zeros_like(rows))
    threshold = np.minimum(0.3, 0.09 * np.exp((rows * logs).sum(axis=2)))
    return chains.at_drafts(chains.target) > threshold


def from_residual_or_uniform(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A draw from the residual, and from all tokens alike where its mass lies below 1/1000 (row 38).

    The engine divided 0 by 0, or fell back on a uniform draw.  Seen in jaymody/speculative-sampling, issue #5.
    """
    weights = rounded_residual(chains, trials, positions)
    return draw(np.where(sums(weights)[:, None] < 1e-3, 1.0, weights), rng)


def greedily_verified(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator
) -> Outcome:
    """Chains verified against the target's likeliest token, as at temperature 0, whatever the temperature (row 22).

    Seen in sgl-project/sglang, pull request #39253.
    """
    chains = chains_of(target, draft, tokens)
    sure = np.zeros_like(chains.target)
    np.put_along_axis(sure, chains.target.argmax(axis=2)[..., None], 1.0, axis=2)
    return TokenWise().verify(replace(chains, target=sure), rng)


def small_entries_lost(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator
) -> Outcome:
    """Chains verified with draft probabilities below 1/10 taken for 0, and 0 for "accept always" (row 20).

    The engine's floor was the least float16.  Seen in lablup/mlxcel, pull request #992.
    """
    chains = chains_of(target, draft, tokens)
    return TokenWise().verify(replace(chains, draft=np.where(chains.draft < 0.1, 0.0, chains.draft)), rng)


def neighbours_rows(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator
) -> Outcome:
    """Chains verified with the draft's rows of the next request in the batch, pair by pair (row 32).

    Rows kept from drafting time are looked up by place, after the batch was put into another order.  The pull request
    is about a lookup that fails: vllm-project/vllm #44869; realignment by request came with #40269.
    """
    chains = chains_of(target, draft, tokens)
    pairs = np.arange(chains.trials) ^ 1
    order = np.where(pairs < chains.trials, pairs, np.arange(chains.trials))
    return TokenWise().verify(replace(chains, draft=chains.draft[order]), rng)


def stops_at_placeholders(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator
) -> Outcome:
    """Chains of unequal length, -1 behind their drafts: a placeholder never passes, and the target's row is drawn from.

    The draft's row is all zeros there, so that the residual is the target's row.
    """
    chains = chains_of(target, draft, tokens)
    drafted = chains.tokens >= 0
    return TokenWise(passing=lambda here, coins: below_ratio(here, coins) & drafted).verify(chains, rng)


def placeholders_as_last_token(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator
) -> Outcome:
    """Chains whose placeholder -1 is read as an index from the end: the vocabulary's last token (row 34).

    Its draft probability is 0 there, so that it passes wherever the target can emit it; behind that nothing is known,
    and the block ends.  vllm-project/vllm, pull request #46533, and vllm-project/vllm-ascend, issue #10045, where
    NumPy's meaning of -1 is named.
    """
    chains = chains_of(target, draft, tokens)
    last = np.where(chains.tokens < 0, chains.target.shape[2] - 1, chains.tokens)
    known = sums(chains.target) > 0
    outcome = TokenWise(
        passing=lambda here, coins: below_ratio(here, coins) & (here.at_drafts(here.target) > 0) & known[:, :-1],
        replacement=_from_known_residual,
        bonus=_from_known_target,
    ).verify(replace(chains, tokens=last), rng)
    return _without_nothing(outcome)


def _from_known_residual(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A draw from the residual, ``NO_TOKEN`` where the target's row is all zeros."""
    known = sums(chains.target[trials, positions]) > 0
    token = np.full(len(trials), NO_TOKEN, dtype=np.int64)
    token[known] = from_residual(chains, trials[known], positions[known], rng)
    return token


def _from_known_target(chains: Chains, trials: Ints, rng: np.random.Generator) -> Ints:
    """A draw from the target's row, ``NO_TOKEN`` where it is all zeros."""
    known = sums(chains.target[trials, chains.depth]) > 0
    token = np.full(len(trials), NO_TOKEN, dtype=np.int64)
    token[known] = draw(chains.target[trials[known], chains.depth], rng)
    return token


def _without_nothing(outcome: Outcome) -> Outcome:
    """The outcome with the last token counted as the one more, where none follows it."""
    length = (outcome.tokens >= 0).sum(axis=1)
    return Outcome(np.minimum(outcome.accepted, length - 1), outcome.tokens)


def cut_before_zero(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator
) -> Outcome:
    """Chains whose emitted block is cut before the first token 0 behind its start, which is drawn anew (row 41).

    The cut is no stopping time: whether a token is kept depends on its own value.  An engine does so when it gives
    back the tokens of an unfinished word or a separator.  Several engines.
    """
    outcome = TokenWise()(target, draft, tokens, rng)
    return kept(outcome, first_zero(outcome.tokens, 1))


def first_zero(tokens: Ints, start: int) -> Ints:
    """The place (T,) of the first token 0 from ``start`` on, the row's length if there is none."""
    zeros = (tokens == 0) & (np.arange(tokens.shape[1]) >= start)
    return np.where(zeros.any(axis=1), zeros.argmax(axis=1), tokens.shape[1])


def kept(outcome: Outcome, lengths: Ints) -> Outcome:
    """The outcome with at most so many tokens (T,) of each trial; lengths are at least 1."""
    places = np.arange(outcome.tokens.shape[1])
    tokens = np.where(places < lengths[:, None], outcome.tokens, NO_TOKEN)
    return Outcome(np.minimum(outcome.accepted, lengths - 1), tokens)
