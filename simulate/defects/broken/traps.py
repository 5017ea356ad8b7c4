"""Verifiers that look wrong and are right: an audit must not flag them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from veridraft.theory.rows.distributions import NO_TOKEN

from ...batches.batch import Outcome
from ...batches.rows import Bools, Ints, draw
from ..correct.engines import Drafting
from ..correct.token_wise import Chains, TokenWise, chains_of, winners
from .chains import first_zero, kept, stops_at_placeholders


def sampler_match(target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator) -> Outcome:
    """Chains followed as long as the target's own draw equals the draft: exact for any draft, whose rows are not read.

    Source: 2305.09781, section 4.3, the baseline.
    """
    chains = chains_of(target, draft, tokens)
    rows = chains.target.reshape(-1, chains.target.shape[2])
    sampled = draw(rows, rng).reshape(chains.target.shape[:2])
    accepted = np.cumprod(sampled[:, :-1] == chains.tokens, axis=1, dtype=np.int64).sum(axis=1)
    emitted = np.where(np.arange(chains.depth + 1) <= accepted[:, None], sampled, NO_TOKEN)
    return Outcome(accepted, emitted)


def one_hot_rule(target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator) -> Outcome:
    """Chains verified as if each draft had been certain: exact given the drafts, hence for any draft law.

    A draft passes with its target probability; a rejected one is replaced by a draw from the target without it.
    """
    chains = chains_of(target, draft, tokens)
    certain = np.zeros_like(chains.draft)
    np.put_along_axis(certain, chains.tokens[..., None], 1.0, axis=2)
    return TokenWise().verify(replace(chains, draft=certain), rng)


def cut_behind_zero(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator
) -> Outcome:
    """Chains whose emitted block ends with its first token 0, the end of the text: a stopping time, hence exact."""
    outcome = TokenWise()(target, draft, tokens, rng)
    return kept(outcome, first_zero(outcome.tokens, 0) + 1)


def _end_behind_unsure(chains: Chains, rng: np.random.Generator) -> Outcome:
    """The outcome when drafting stops behind the first token of draft probability below 0.3, which is kept."""
    unsure = chains.at_drafts(chains.draft) < 0.3
    ended: Bools = np.cumsum(unsure, axis=1) > unsure
    tokens = np.where(ended, NO_TOKEN, chains.tokens)
    return stops_at_placeholders(chains.target, np.where(ended[..., None], 0.0, chains.draft), tokens, rng)


ends_behind_unsure_token = Drafting(verify=_end_behind_unsure)
"""A draft whose length is a stopping time of its own tokens."""


def _match_without_unsure(chains: Chains, rng: np.random.Generator) -> Outcome:
    """The outcome of exact match when drafts are dropped from the first of draft probability below 0.3 on."""
    unsure: Bools = np.cumsum(chains.at_drafts(chains.draft) < 0.3, axis=1) > 0
    return sampler_match(chains.target, chains.draft, np.where(unsure, NO_TOKEN, chains.tokens), rng)


unsure_draft_dropped = Drafting(verify=_match_without_unsure)
"""A draft cut by its tokens' own values, which only exact match forgives."""


def _equals_winner(chains: Chains, rng: np.random.Generator) -> Bools:
    """A draft passes if it is also the target's winner under the draft's noise."""
    assert chains.noise is not None
    return winners(chains.target[:, :-1], chains.noise) == chains.tokens


def _target_winner(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """The target's winner under the draft's noise."""
    assert chains.noise is not None
    return winners(chains.target[trials, positions], chains.noise[trials, positions])


noise_shared_with_target = Drafting(
    verify=TokenWise(passing=_equals_winner, replacement=_target_winner).verify, race=True
)
"""Draft and target drawn with the same noise, the target's draw emitted."""
