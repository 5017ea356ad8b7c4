"""The bottom-up lifts of K-SEQ and of recursive rejection: lossless on trees, published nowhere yet.

A node of weight w is given the scaled target ``(w target, none: 1 - w)``.  Its one-step rule, run on that,
shares out probability among the drawn children, the other tokens and "none".  A child's weight is its share
of what is left when the walk comes to it; a node is accepted by the share of the tokens that were not drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ..batches.batch import Batch, Outcome, check_batch
from ..batches.rows import Bools, Floats, Ints, at_token, or_else, quotient, sums
from .depth_first import verify_depth_first
from .k_seq import acceptance_probabilities, residual_weights, smallest_rho
from .one_step import Node

Shares = Callable[[Node, Floats], Floats]
"""From a node whose target is scaled by w, and none = 1 - w (n,): the shares (n, V + 1), none in the last column."""


def lifted_k_seq(
    target: ArrayLike, draft: ArrayLike, paths: ArrayLike, rng: np.random.Generator, trunk: int = 0
) -> Outcome:
    """The outcome of the bottom-up lift of K-SEQ (the one-step rule of SpecTr, 2310.15141).

    Shapes and errors: :data:`veridraft.simulate.batches.batch.Procedure`.
    """
    batch = check_batch(target, draft, paths, trunk)
    return verify_depth_first(batch, rng, _Lifted(batch, _k_seq_shares))


def lifted_rrs(
    target: ArrayLike, draft: ArrayLike, paths: ArrayLike, rng: np.random.Generator, trunk: int = 0
) -> Outcome:
    """The outcome of the bottom-up lift of recursive rejection (the one-step rule of SpecInfer, 2305.09781).

    Shapes and errors: :data:`veridraft.simulate.batches.batch.Procedure`.
    """
    batch = check_batch(target, draft, paths, trunk)
    return verify_depth_first(batch, rng, _Lifted(batch, _rrs_shares))


class _Lifted:
    """What is left of the shares along the path where the walk stands.

    left : (L + 1, T, V + 1), the shares not yet rejected at the node of each depth, none in the last column
    live : (L + 1, T, K) bool, the paths through that node
    """

    def __init__(self, batch: Batch, shares: Shares) -> None:
        shape = (batch.depth + 1, batch.trials)
        self.batch, self.shares = batch, shares
        self.left = np.zeros((*shape, batch.vocabulary_size + 1))
        self.live = np.ones((*shape, batch.width), dtype=bool)

    def enter(self, depth: int, trials: Ints, path: Ints) -> None:
        """The node's shares, from its weight: its part of what is left at its parent; 1 at the root."""
        weight = np.ones(len(trials))
        if depth > 0:
            weight = self._weight(depth, trials, path)
        scaled = weight[:, None] * self.batch.target[trials, path, depth]
        if depth < self.batch.depth:
            self.left[depth, trials] = self.shares(self._node(depth, trials, path, scaled), 1.0 - weight)
        else:
            self.left[depth, trials] = np.concatenate([scaled, 1.0 - weight[:, None]], axis=1)

    def stop_probability(self, depth: int, trials: Ints) -> Floats:
        """What is left for tokens, against what is left for tokens and none."""
        left = self.left[depth, trials]
        return quotient(sums(left[:, :-1]), sums(left))

    def reject(self, depth: int, trials: Ints, path: Ints) -> None:
        """The parent has the node's share no more."""
        self.left[depth - 1, trials, self.batch.paths[trials, path, depth - 1]] = 0.0

    def last_token_weights(self, depth: int, trials: Ints) -> Floats:
        """What is left for tokens; only at the root can that be nothing, in an event of probability 0."""
        return or_else(self.left[depth, trials, :-1], self.batch.target[trials, 0, 0])

    def _weight(self, depth: int, trials: Ints, path: Ints) -> Floats:
        """The node's part of what is left above it; also marks the paths through the node."""
        token = self.batch.paths[trials, path, depth - 1]
        agrees = self.batch.paths[trials, :, depth - 1] == token[:, None]
        self.live[depth, trials] = self.live[depth - 1, trials] & agrees
        above = self.left[depth - 1, trials]
        return quotient(at_token(above, token), sums(above))

    def _node(self, depth: int, trials: Ints, path: Ints, scaled: Floats) -> Node:
        listed: Bools = self.live[depth, trials]
        if depth < self.batch.trunk:
            listed = listed & (np.arange(self.batch.width) == 0)
        return Node(scaled, self.batch.draft[trials, path, depth], self.batch.paths[trials, :, depth], listed)


def _k_seq_shares(node: Node, none: Floats) -> Floats:
    """Each draw in turn takes its acceptance probability of what is still undecided; the residual takes the rest."""
    drafts = node.listed.sum(axis=1)
    rho = smallest_rho(node.target, node.draft, drafts)
    probabilities = acceptance_probabilities(node.target, node.draft, rho)
    shares, undecided = np.zeros((len(none), node.target.shape[1] + 1)), np.ones(len(none))
    for path in range(node.children.shape[1]):
        drawn = node.children[:, path]
        accepted = np.where(node.listed[:, path], at_token(probabilities, drawn), 0.0)
        shares[np.arange(len(none)), drawn] += accepted * undecided
        undecided *= 1.0 - accepted
    rest = np.concatenate([residual_weights(node.target, node.draft, rho, drafts), none[:, None]], axis=1)
    return shares + undecided[:, None] * quotient(rest, sums(rest)[:, None])


def _rrs_shares(node: Node, none: Floats) -> Floats:
    """As above, the scaled target (none included) becoming its residual after each draw."""
    rows = np.arange(len(none))
    rest = np.concatenate([node.target, none[:, None]], axis=1)
    draft = np.concatenate([node.draft, np.zeros((len(none), 1))], axis=1)
    shares, undecided = np.zeros_like(rest), np.ones(len(none))
    for path in range(node.children.shape[1]):
        drawn, listed = node.children[:, path], node.listed[:, path]
        ratio = np.minimum(quotient(rest[rows, drawn], draft[rows, drawn]), 1.0)
        accepted = np.where(listed, ratio, 0.0)
        shares[rows, drawn] += accepted * undecided
        undecided *= 1.0 - accepted
        positive = np.where(listed[:, None], np.maximum(rest - draft, 0.0), rest)
        total = sums(positive)[:, None]
        rest = np.where(total > 0, quotient(positive, total), rest)
    return shares + undecided[:, None] * rest
