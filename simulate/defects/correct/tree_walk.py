"""The walk down a draft tree given by parents, many trees at once: siblings are tried in the order of their nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from veridraft.theory.rows.distributions import NO_TOKEN

from ...batches.batch import Outcome
from ...batches.rows import Bools, Floats, Ints, at_token, draw, quotient, residual, sums


@dataclass(frozen=True, eq=False)
class Trees:
    """T trees of N nodes and their rows, node 0 the root, as a verifier has them.

    Fields
    ------
    target, draft : (T, N, V), the rows; a leaf's draft row is not read
    parents : (T, N), -1 at the root, parents before children
    tokens : (T, N), -1 at the root
    listed : (T, N) bool, which nodes are tried at all
    """

    target: Floats
    draft: Floats
    parents: Ints
    tokens: Ints
    listed: Bools

    @property
    def depths(self) -> Ints:
        """(T, N), 0 at the root."""
        depths = np.zeros_like(self.parents)
        for node in range(1, depths.shape[1]):
            depths[:, node] = at_token(depths, self.parents[:, node]) + 1
        return depths

    def drawn_from(self) -> Floats:
        """(T, N) the draft's probability of each node's token at its parent; 1 at the root."""
        above = np.maximum(self.parents, 0)
        rows = np.take_along_axis(self.draft, above[..., None], axis=1)
        drawn = np.take_along_axis(rows, np.maximum(self.tokens, 0)[..., None], axis=2)[..., 0]
        return np.where(self.parents >= 0, drawn, 1.0)


def trees_of(target: ArrayLike, draft: ArrayLike, parents: ArrayLike, tokens: ArrayLike) -> Trees:
    """The arguments of a batched verifier of the form tree; ``ValueError`` for shapes that do not fit the tokens'."""
    rows = np.asarray(target, dtype=np.float64), np.asarray(draft, dtype=np.float64)
    nodes = np.asarray(tokens, dtype=np.int64)
    if nodes.ndim != 2:
        raise ValueError(f"tokens must have shape (T, N), but have shape {nodes.shape}")
    for name, array, wanted in (
        ("target", rows[0], (*nodes.shape, rows[0].shape[-1])),
        ("draft", rows[1], (*nodes.shape, rows[0].shape[-1])),
        ("parents", np.asarray(parents), nodes.shape),
    ):
        if array.shape != wanted:
            raise ValueError(f"{name} must have shape {wanted}, but has shape {array.shape}")
    return Trees(*rows, np.asarray(parents, dtype=np.int64), nodes, np.ones(nodes.shape, dtype=bool))


@dataclass(frozen=True, eq=False)
class Siblings:
    """The child lists at which n trials stand.

    target, draft : (n, V), the rows there; tokens : (n, N), those of all nodes; listed : (n, N) bool, the children
    """

    target: Floats
    draft: Floats
    tokens: Ints
    listed: Bools


@dataclass(frozen=True, eq=False)
class SiblingChoice:
    """What a one-step rule decides in n trials.

    token : (n,), the next token
    accepted : (n,) bool, whether it is a child's
    rejected : (n,) bool, whether a child was rejected
    rest : (n, V), what the rejections left of the target
    """

    token: Ints
    accepted: Bools
    rejected: Bools
    rest: Floats

    def of(self, chosen: Bools) -> SiblingChoice:
        """The choice in the chosen trials (n,)."""
        return SiblingChoice(self.token[chosen], self.accepted[chosen], self.rejected[chosen], self.rest[chosen])


SiblingStep = Callable[[Siblings, np.random.Generator], SiblingChoice]
"""A one-step rule."""

LastToken = Callable[[Floats, SiblingChoice, np.random.Generator], Ints]
"""The token (n,) behind an accepted leaf, from its target rows (n, V) and the choice that led there."""


def from_leaf(target: Floats, choice: SiblingChoice, rng: np.random.Generator) -> Ints:
    """A draw from the leaf's target row."""
    return draw(target, rng)


def descend_tree(trees: Trees, rng: np.random.Generator, step: SiblingStep, last: LastToken = from_leaf) -> Outcome:
    """The outcome of walking down by a one-step rule until its token is no child's, or no child is left.

    Equal siblings are one node whose child lists are joined in the nodes' order.
    """
    count, depth = len(trees.tokens), int(trees.depths.max())
    tokens = np.full((count, depth + 1), NO_TOKEN, dtype=np.int64)
    trials, live, choice = np.arange(count), trees.parents < 0, _nothing_yet(trees)
    for level in range(depth + 1):
        below, node = _children(trees, trials, live), live.argmax(axis=1)
        leaf: Bools = below.sum(axis=1) == 0
        ended = trials[leaf]
        tokens[ended, level] = last(trees.target[ended, node[leaf]], choice.of(leaf), rng)
        trials, node, below = trials[~leaf], node[~leaf], below[~leaf]
        choice = step(_siblings(trees, trials, node, below), rng)
        tokens[trials, level] = choice.token
        moved = choice.accepted
        trials, below, choice = trials[moved], below[moved], choice.of(moved)
        live = below & (trees.tokens[trials] == choice.token[:, None])
    return Outcome((tokens >= 0).sum(axis=1) - 1, tokens)


def _nothing_yet(trees: Trees) -> SiblingChoice:
    """The choice above the roots."""
    no = np.zeros(len(trees.tokens), dtype=bool)
    return SiblingChoice(trees.tokens[:, 0], no, no, trees.target[:, 0])


def _siblings(trees: Trees, trials: Ints, node: Ints, below: Bools) -> Siblings:
    """The child lists at the nodes where the trials stand."""
    return Siblings(trees.target[trials, node], trees.draft[trials, node], trees.tokens[trials], below)


def _children(trees: Trees, trials: Ints, live: Bools) -> Bools:
    """(n, N) the listed nodes whose parent is live (n, N)."""
    parents = trees.parents[trials]
    above = np.take_along_axis(live, np.maximum(parents, 0), axis=1)
    return above & (parents >= 0) & trees.listed[trials]


Proposal = Callable[[Floats, Ints], Floats]
"""From the draft's rows (n, V) and the tokens tried (n,): rows (n, V)."""


def as_it_stands(draft: Floats, tokens: Ints) -> Floats:
    """The draft's rows."""
    return draft


def certain(draft: Floats, tokens: Ints) -> Floats:
    """All mass on the tokens tried."""
    rows = np.zeros_like(draft)
    rows[np.arange(len(rows)), tokens] = 1.0
    return rows


def erased(draft: Floats, tokens: Ints) -> Floats:
    """The draft's rows without the tokens."""
    rows = draft.copy()
    rows[np.arange(len(rows)), tokens] = 0.0
    return rows


def erased_and_renormalised(draft: Floats, tokens: Ints) -> Floats:
    """The draft's rows without the tokens, renormalised: what the next sibling was drawn from."""
    rows = erased(draft, tokens)
    return quotient(rows, sums(rows)[:, None])


@dataclass(frozen=True)
class RejectSiblings:
    """A step that tries the children in turn, the target becoming its residual after each rejection.

    As it stands, for siblings drawn without replacement (2305.09781 and 2402.12374); a token that is tried again is
    passed over, so that it is exact for independent draws too.

    ratio, taken : the row whose entry a child is tested by, and the row taken off the target when it fails
    rejected : the draft's row for the next sibling
    left : what a rejection leaves of the target, from it and the row that is taken off
    """

    ratio: Proposal = as_it_stands
    taken: Proposal = as_it_stands
    rejected: Proposal = erased_and_renormalised
    left: Callable[[Floats, Floats], Floats] = residual

    def __call__(self, siblings: Siblings, rng: np.random.Generator) -> SiblingChoice:
        """The choice at the child lists."""
        rest, draft = siblings.target.copy(), siblings.draft.copy()
        token, accepted = np.zeros(len(rest), dtype=np.int64), np.zeros(len(rest), dtype=bool)
        rejected = np.zeros(len(rest), dtype=bool)
        for node in range(1, siblings.tokens.shape[1]):
            drawn = np.maximum(siblings.tokens[:, node], 0)
            tried = np.flatnonzero(~accepted & siblings.listed[:, node] & (at_token(draft, drawn) > 0))
            children = drawn[tried]
            proposed = at_token(self.ratio(draft[tried], children), children)
            passed = rng.random(len(tried)) < quotient(at_token(rest[tried], children), proposed)
            token[tried[passed]], accepted[tried[passed]] = children[passed], True
            lost, children = tried[~passed], children[~passed]
            rejected[lost] = True
            rest[lost] = self.left(rest[lost], self.taken(draft[lost], children))
            draft[lost] = self.rejected(draft[lost], children)
        token[~accepted] = draw(rest[~accepted], rng)
        return SiblingChoice(token, accepted, rejected, rest)
