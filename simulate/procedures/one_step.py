"""The token-by-token procedures: naive, nss, naive_tree, spectr, specinfer.

Each walks from the root.  At a node it looks at the tokens that the paths through the node drew there, in
draw order and with multiplicity, and ends with one token by its own coins; if that token was drawn it goes
on there, if not it stops.  At the end of a path one more token comes from the target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..batches.batch import Batch, Outcome, check_batch, no_tokens, one_path
from ..batches.rows import Bools, Floats, Ints, at_token, draw, or_else, quotient, residual
from .k_seq import acceptance_probabilities, residual_weights, smallest_rho


@dataclass(frozen=True, eq=False)
class Node:
    """The node at which each of n trials stands.

    target, draft : (n, V), the rows
    children : (n, K), the token that each path drew here
    listed : (n, K) bool, whether the path's token is in the child list: it runs through the node, and in
        the trunk only the first does, since all of them are one draw
    """

    target: Floats
    draft: Floats
    children: Ints
    listed: Bools


Step = Callable[[Node, np.random.Generator], Ints]
"""A one-step rule: the next token (n,) of every trial."""


def naive(
    target: ArrayLike, draft: ArrayLike, paths: ArrayLike, rng: np.random.Generator, trunk: int = 0
) -> Outcome:
    """The outcome of speculative sampling on a single path, K = 1.

    Shapes and errors: :data:`veridraft.simulate.batches.batch.Procedure`.  All uniforms are thrown at once; the first
    position whose uniform is not below target/draft is replaced by a draw from the normalised positive part
    of target - draft.  Source: 2211.17192, Algorithm 1.
    """
    batch = one_path(check_batch(target, draft, paths, trunk), "naive")
    tokens = no_tokens(batch)
    p, q, x = batch.target[:, 0], batch.draft[:, 0], batch.paths[:, 0]
    drawn = x[..., None]
    ratio = quotient(np.take_along_axis(p[:, :-1], drawn, 2), np.take_along_axis(q, drawn, 2))[..., 0]
    passed = rng.random(ratio.shape) < ratio
    accepted = np.cumprod(passed, axis=1).sum(axis=1)
    trials = np.arange(batch.trials)
    weights = p[trials, accepted]
    stopped = accepted < batch.depth
    at = (trials[stopped], accepted[stopped])
    weights[stopped] = residual(p[at], q[at])
    tokens[:, :-1] = np.where(np.arange(batch.depth) < accepted[:, None], x, tokens[:, :-1])
    tokens[trials, accepted] = draw(weights, rng)
    return Outcome(accepted, tokens)


def nss(
    target: ArrayLike, draft: ArrayLike, paths: ArrayLike, rng: np.random.Generator, trunk: int = 0
) -> Outcome:
    """The outcome of naive speculative sampling: draw from the target, go on if the token was drafted.

    Shapes and errors: :data:`veridraft.simulate.batches.batch.Procedure`.  Source: 2305.09781, section 4.3.
    """
    return descend(check_batch(target, draft, paths, trunk), rng, _nss_step)


def naive_tree(
    target: ArrayLike, draft: ArrayLike, paths: ArrayLike, rng: np.random.Generator, trunk: int = 0
) -> Outcome:
    """The outcome of speculative sampling on the first draw of each list, its residual followed in the tree.

    Shapes and errors: :data:`veridraft.simulate.batches.batch.Procedure`.  Source: 2602.16994, NaiveTree.
    """
    return descend(check_batch(target, draft, paths, trunk), rng, _naive_step)


def spectr(
    target: ArrayLike, draft: ArrayLike, paths: ArrayLike, rng: np.random.Generator, trunk: int = 0
) -> Outcome:
    """The outcome of SpecTr: K-SEQ at every node, with the smallest lossless rho.

    Shapes and errors: :data:`veridraft.simulate.batches.batch.Procedure`.  Source: 2310.15141, Algorithm 2.
    """
    return descend(check_batch(target, draft, paths, trunk), rng, _k_seq_step)


def specinfer(
    target: ArrayLike, draft: ArrayLike, paths: ArrayLike, rng: np.random.Generator, trunk: int = 0
) -> Outcome:
    """The outcome of SpecInfer: recursive rejection over the list, the target replaced by its residual.

    Shapes and errors: :data:`veridraft.simulate.batches.batch.Procedure`.  Source: 2305.09781, Algorithm 2.
    """
    return descend(check_batch(target, draft, paths, trunk), rng, _specinfer_step)


def descend(batch: Batch, rng: np.random.Generator, step: Step) -> Outcome:
    """The outcome of walking down from the root by a one-step rule until its token is not in the tree."""
    accepted, tokens = np.zeros(batch.trials, dtype=np.int64), no_tokens(batch)
    trials, live = np.arange(batch.trials), np.ones((batch.trials, batch.width), dtype=bool)
    for depth in range(batch.depth):
        accepted[trials] = depth
        node = _node(batch, trials, live, depth)
        tokens[trials, depth] = token = step(node, rng)
        live = live & (node.children == token[:, None])
        moved = live.any(axis=1)
        trials, live = trials[moved], live[moved]
    accepted[trials] = batch.depth
    tokens[trials, batch.depth] = draw(batch.target[trials, live.argmax(axis=1), batch.depth], rng)
    return Outcome(accepted, tokens)


def _node(batch: Batch, trials: Ints, live: Bools, depth: int) -> Node:
    """Where the trials stand, ``live`` (n, K) telling the paths that run through the node."""
    at = (trials, live.argmax(axis=1), depth)
    shared = depth < batch.trunk
    listed = live & (np.arange(batch.width) == 0) if shared else live
    return Node(batch.target[at], batch.draft[at], batch.paths[trials, :, depth], listed)


def _nss_step(node: Node, rng: np.random.Generator) -> Ints:
    return draw(node.target, rng)


def _naive_step(node: Node, rng: np.random.Generator) -> Ints:
    token = at_token(node.children, node.listed.argmax(axis=1))
    ratio = quotient(at_token(node.target, token), at_token(node.draft, token))
    rejected = ~(rng.random(len(token)) < ratio)
    token[rejected] = draw(residual(node.target[rejected], node.draft[rejected]), rng)
    return token


def _k_seq_step(node: Node, rng: np.random.Generator) -> Ints:
    drafts = node.listed.sum(axis=1)
    rho = smallest_rho(node.target, node.draft, drafts)
    probabilities = acceptance_probabilities(node.target, node.draft, rho)
    token, undecided = np.zeros(len(rho), dtype=np.int64), np.ones(len(rho), dtype=bool)
    for path in range(node.children.shape[1]):
        drawn = node.children[:, path]
        passed = rng.random(len(rho)) < at_token(probabilities, drawn)
        passed &= undecided & node.listed[:, path]
        token[passed] = drawn[passed]
        undecided &= ~passed
    target = node.target[undecided]
    weights = residual_weights(target, node.draft[undecided], rho[undecided], drafts[undecided])
    token[undecided] = draw(or_else(weights, target), rng)
    return token


def _specinfer_step(node: Node, rng: np.random.Generator) -> Ints:
    rest = node.target.copy()
    token, undecided = np.zeros(len(rest), dtype=np.int64), np.ones(len(rest), dtype=bool)
    for path in range(node.children.shape[1]):
        drawn = node.children[:, path]
        passed = rng.random(len(rest)) < quotient(at_token(rest, drawn), at_token(node.draft, drawn))
        tried = undecided & node.listed[:, path]
        token[tried & passed] = drawn[tried & passed]
        undecided &= ~(tried & passed)
        rejected = tried & ~passed
        rest[rejected] = residual(rest[rejected], node.draft[rejected])
    token[undecided] = draw(rest[undecided], rng)
    return token
