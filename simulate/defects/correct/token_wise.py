"""Speculative sampling on chains, in pieces: a defect replaces one piece and leaves the others as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from veridraft.theory.rows.distributions import NO_TOKEN

from ...batches.batch import Batch, Outcome, check_batch
from ...batches.rows import Bools, Floats, Ints, draw, quotient, residual
from ...procedures.block_verification import block, prefix_weights, verify_by_weights


@dataclass(frozen=True, eq=False)
class Chains:
    """T drafted chains and their rows, as a verifier has them; rows are taken as they come, right or wrong.

    Fields
    ------
    target : (T, L + 1, V), the target's row at every position and behind the last
    draft : (T, L, V), what the verifier takes for the draft's rows
    tokens : (T, L), the drafts
    noise : (T, L, V) or ``None``, the exponential noise of the race in which the drafts were drawn, where an engine
        keeps it
    uniforms : (T, L) or ``None``, the uniforms by which the drafts were drawn, likewise
    """

    target: Floats
    draft: Floats
    tokens: Ints
    noise: Floats | None = None
    uniforms: Floats | None = None

    @property
    def trials(self) -> int:
        """T."""
        return self.tokens.shape[0]

    @property
    def depth(self) -> int:
        """L."""
        return self.tokens.shape[1]

    def at_drafts(self, rows: Floats) -> Floats:
        """The entries (T, L) of rows (T, L or more, V) at the drafted tokens."""
        return np.take_along_axis(rows[:, : self.depth], self.tokens[..., None], axis=2)[..., 0]

    def ratios(self) -> Floats:
        """(T, L) target / draft at the drafted tokens, infinite where the draft's is 0."""
        draft = self.at_drafts(self.draft)
        return np.where(draft > 0, quotient(self.at_drafts(self.target), draft), np.inf)


Passing = Callable[[Chains, np.random.Generator], Bools]
"""Which positions (T, L) pass, each on its own."""

Scan = Callable[[Bools], Ints]
"""From what passed (T, L), how many positions (T,) are accepted."""

Replacement = Callable[[Chains, Ints, Ints, np.random.Generator], Ints]
"""The token (n,) in place of the first draft not accepted: of which trials (n,), at which positions (n,), from 0."""

Bonus = Callable[[Chains, Ints, np.random.Generator], Ints]
"""The token (n,) behind a draft accepted whole, in the given trials (n,)."""


def below_ratio(chains: Chains, rng: np.random.Generator) -> Bools:
    """A position passes if its uniform lies below target / draft, strictly."""
    return rng.random(chains.tokens.shape) < chains.ratios()


def before_first_failure(passed: Bools) -> Ints:
    """The positions before the first that fails."""
    return np.cumprod(passed, axis=1, dtype=np.int64).sum(axis=1)


def from_residual(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A draw from ``(target - draft)+``, normalised."""
    return draw(residual(chains.target[trials, positions], chains.draft[trials, positions]), rng)


def from_target(chains: Chains, trials: Ints, rng: np.random.Generator) -> Ints:
    """A draw from the target's row behind the last draft."""
    return draw(chains.target[trials, chains.depth], rng)


@dataclass(frozen=True)
class TokenWise:
    """Token-wise speculative sampling on chains (2211.17192, Algorithm 1), lossless as its pieces stand.

    A call is a batched verifier of the form chain.  Uniforms are thrown by ``rng.random`` alone: those of all
    positions at once, then those of the replacements, then those of the bonus tokens.
    """

    passing: Passing = below_ratio
    replacement: Replacement = from_residual
    bonus: Bonus = from_target
    scan: Scan = before_first_failure

    def __call__(
        self, target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator
    ) -> Outcome:
        """The outcome for target (T, L + 1, V), draft (T, L, V), tokens (T, L); ``ValueError`` for other shapes."""
        return self.verify(chains_of(target, draft, tokens), rng)

    def verify(self, chains: Chains, rng: np.random.Generator) -> Outcome:
        """The outcome for chains that are at hand."""
        accepted, positions = self.scan(self.passing(chains, rng)), np.arange(chains.depth)
        emitted = np.full((chains.trials, chains.depth + 1), NO_TOKEN, dtype=np.int64)
        emitted[:, :-1] = np.where(positions < accepted[:, None], chains.tokens, NO_TOKEN)
        stopped, whole = np.flatnonzero(accepted < chains.depth), np.flatnonzero(accepted == chains.depth)
        emitted[stopped, accepted[stopped]] = self.replacement(chains, stopped, accepted[stopped], rng)
        emitted[whole, chains.depth] = self.bonus(chains, whole, rng)
        return Outcome(accepted, emitted)


def chains_of(target: ArrayLike, draft: ArrayLike, tokens: ArrayLike) -> Chains:
    """The arguments as chains; ``ValueError`` that names the argument if its shape does not fit the tokens'."""
    rows = np.asarray(target, dtype=np.float64), np.asarray(draft, dtype=np.float64)
    drafted = np.asarray(tokens, dtype=np.int64)
    if drafted.ndim != 2:
        raise ValueError(f"tokens must have shape (T, L), but have shape {drafted.shape}")
    trials, depth = drafted.shape
    for name, array, length in (("target", rows[0], depth + 1), ("draft", rows[1], depth)):
        wanted = (trials, length, rows[0].shape[-1])
        if array.shape != wanted:
            raise ValueError(f"{name} must have shape {wanted}, but has shape {array.shape}")
    return Chains(*rows, drafted)


def exponential(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Exponential noise, positive, made of ``rng.random``."""
    return np.maximum(-np.log1p(-rng.random(shape)), 2.0**-53)


def winners(weights: Floats, noise: Floats) -> Ints:
    """The tokens (...,) of largest ``weight / noise`` (..., V): draws in proportion to the weights.

    The race that engines run in place of an inverse distribution function; with Gumbel noise g = -log(noise) it is
    the largest ``log weight + g``.
    """
    return (weights / noise).argmax(axis=-1)


def block_of_chain(target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator) -> Outcome:
    """Block verification (2403.10444, Algorithm 2) as a batched verifier of the form chain.

    target (T, L + 1, V), draft (T, L, V), tokens (T, L); errors are those of the procedure ``block``.
    """
    return block(*_as_paths(target, draft, tokens), rng)


def longest_passing(passed: Bools) -> Ints:
    """The longest passing position, counted from 1, 0 if none passes: block verification's scan."""
    return np.where(passed, np.arange(1, passed.shape[1] + 1), 0).max(axis=1, initial=0)


token_wise_in_block = TokenWise(scan=longest_passing)
"""The scan of block verification over the tests and the residual of token-wise verification (row 10).

A draft behind one that failed is then kept without what the failed one should have cost.  The code compared capped
products of ratios with products of uniforms, and drew from the token-wise residual: vllm-project/vllm-ascend, issue
#7807, mended by pull request #7808.
"""


def certain_draft_in_block(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator
) -> Outcome:
    """Block verification whose weights take the draft's probability for 1, the residuals its row (row 11).

    For drafts looked up, not drawn, no probability is at hand, and 1 was put into the product.
    vllm-project/vllm-ascend, pull request #7603.
    """
    batch = check_batch(*_as_paths(target, draft, tokens))
    return verify_by_weights(batch, prefix_weights(batch, _target_of_drafts(batch)), rng)


def _target_of_drafts(batch: Batch) -> np.ndarray:
    """(T, L) the target's probability of each draft."""
    return np.take_along_axis(batch.target[:, 0, :-1], batch.paths[:, 0, :, None], axis=2)[..., 0]


def _as_paths(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chain's arrays with an axis K = 1."""
    return np.asarray(target)[:, None], np.asarray(draft)[:, None], np.asarray(tokens)[:, None]
