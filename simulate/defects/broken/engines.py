"""Engines at fault where they draft: the verifier is told another law than the one that tokens were drawn from.

Each is a :class:`~veridraft.simulate.defects.correct.engines.Drafting`, a builder for the form ``generate``; its
correct counterpart differs in the named place only.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from veridraft.theory.rows.distributions import keep_top_k, keep_top_p

from ...batches.batch import Outcome
from ...batches.row_tables import RowTables
from ...batches.rows import Floats, Ints, quotient, residual, rounded, sums
from ..correct.engines import Drafting
from ..correct.token_wise import Chains, TokenWise, winners


def two_likeliest(rows: Floats) -> Floats:
    """The two largest entries of each row (n, V), renormalised."""
    return keep_top_k(rows, 2)


def likeliest(rows: Floats) -> Floats:
    """All mass on each row's (n, V) largest entry."""
    return keep_top_k(rows, 1)


def in_bfloat16(rows: Floats) -> Floats:
    """The rows (n, V) rounded to bfloat16, their sum as it then is: draws are in proportion."""
    return rounded(rows, 8)


def normalised_bfloat16(rows: Floats) -> Floats:
    """The law of draws from :func:`in_bfloat16`."""
    weights = in_bfloat16(rows)
    return quotient(weights, sums(weights)[:, None])


def top_k_then_top_p(rows: Floats) -> Floats:
    """The rows (n, V) cut to 3 tokens and renormalised, then to the mass 0.8 of that."""
    return keep_top_p(keep_top_k(rows, 3), 0.8)


def top_k_and_top_p(rows: Floats) -> Floats:
    """The rows (n, V) cut to 3 tokens and to the mass 0.8 of the whole row, whichever is fewer."""
    return keep_top_k(keep_top_p(rows, 0.8), 3)


def at_half_temperature(rows: Floats) -> Floats:
    """The rows (n, V) at temperature 1/2: squares, normalised."""
    return quotient(rows**2, sums(rows**2)[:, None])


def at_double_temperature(rows: Floats) -> Floats:
    """The rows (n, V) at temperature 2: square roots, normalised."""
    roots = np.sqrt(rows)
    return quotient(roots, sums(roots)[:, None])


def with_noise_left_in(chains: Chains, rng: np.random.Generator) -> Outcome:
    """The outcome when the draft's rows were divided by the race's noise in place, and are read after that."""
    assert chains.noise is not None
    return TokenWise().verify(replace(chains, draft=chains.draft / chains.noise), rng)


def from_reused_noise(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """The residual's winner under the noise in which the rejected draft had won."""
    assert chains.noise is not None
    weights = residual(chains.target[trials, positions], chains.draft[trials, positions])
    return winners(weights, chains.noise[trials, positions])


draft_told_unfiltered = Drafting(drawn=two_likeliest)
"""Tokens drawn from the top-k cut, verified with the uncut rows (row 1).

Candidate generators returned the raw scores beside tokens sampled from the processed ones: huggingface/transformers,
issue #47932, mended by pull request #47961.
"""
draft_told_filtered = Drafting(drawn=two_likeliest, told=two_likeliest)

argmax_told_as_sampled = Drafting(drawn=likeliest)
"""The draft's likeliest token, verified as if drawn from its row (row 2).

huggingface/transformers, pull request #33534; jaymody/speculative-sampling, issue #3.
"""
argmax_told_as_certain = Drafting(drawn=likeliest, told=likeliest)

drawn_in_bfloat16 = Drafting(drawn=in_bfloat16)
"""Tokens drawn in bfloat16, verified with the rows in full precision (row 5).

deepseek-ai/DeepSpec, issue #31.
"""
told_in_bfloat16 = Drafting(drawn=in_bfloat16, told=normalised_bfloat16)

rows_overwritten_by_noise = Drafting(verify=with_noise_left_in, race=True)
"""The draft's rows divided by the sampling noise in place, before the verifier reads them (row 6).

vllm-project/vllm, pull request #16952.
"""
rows_kept_from_noise = Drafting(race=True)

noise_reused_for_recovery = Drafting(verify=TokenWise(replacement=from_reused_noise).verify, race=True)
"""One noise vector for the draft and for the token that replaces it (row 15).

Given that its winner was rejected, the noise is no longer exponential at the others: those that the draft favoured
lost narrowly or not at all.  vllm-project/vllm, pull requests #47386 and #54282.
"""

processors_on_bonus_only = Drafting(verified=at_double_temperature)
"""Drafts verified with the target's rows before the logits processors, the bonus token drawn behind them (row 18).

The processor here is temperature 1/2 put on rows whose roots the model gives.  vllm-project/vllm, issue #19482;
sgl-project/sglang, issue #10617.
"""
processors_on_all_rows = Drafting()

filters_in_two_orders = Drafting(drawn=top_k_then_top_p, told=top_k_and_top_p)
"""Top-k, then top-p of what is left, on one side; top-p of the whole row, then top-k, on the other (row 19).

sgl-project/sglang, pull request #36173; ztxz16/fastllm, issue #738.
"""
filters_in_one_order = Drafting(drawn=top_k_then_top_p, told=top_k_then_top_p)

temperature_on_one_side = Drafting(told=at_half_temperature)
"""Tokens drawn at temperature 1, verified with the rows at temperature 1/2 (row 21).

Of the class of huggingface/transformers, issue #47932.
"""
drawn_colder_than_told = Drafting(drawn=at_half_temperature)
temperature_on_both_sides = Drafting(drawn=at_half_temperature, told=at_half_temperature)


class StaleDrafting(Drafting):
    """Drafts from the rows of a history that lacks its newest token, and tells them so."""

    def rows(self, tables: RowTables) -> tuple[tuple[Floats, ...], tuple[Floats, ...]]:
        """Drawn and told alike: behind the first place the rows of the context without its last token."""
        size, first = tables.vocabulary_size, tables.draft[0]
        stale = (first, *(np.repeat(rows, size, axis=0) for rows in tables.draft[:-1]))
        return stale[: len(tables.draft)], stale[: len(tables.draft)]


draft_without_newest_token = StaleDrafting()
