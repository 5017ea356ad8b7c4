"""Independent paths verified wrongly: duplicates passed over, and leaves decided in the order that they were drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ...batches.batch import Batch, Outcome, check_batch, no_tokens
from ...batches.rows import Bools, Ints, at_token, draw, quotient, residual, sums
from ...procedures.one_step import Node, descend


def duplicates_passed_over(
    target: ArrayLike, draft: ArrayLike, paths: ArrayLike, rng: np.random.Generator, trunk: int = 0
) -> Outcome:
    """SpecInfer with a draw that was seen before neither tested nor taken off the target (row 9).

    Independent draws repeat themselves, and each has its test.  Seen in MasterGodzilla/Speculative_decoding_OT, its
    copy of EAGLE, with replacement.
    """
    return descend(check_batch(target, draft, paths, trunk), rng, _first_draws_step)


def _first_draws_step(node: Node, rng: np.random.Generator) -> Ints:
    rest = node.target.copy()
    token, undecided = np.zeros(len(rest), dtype=np.int64), np.ones(len(rest), dtype=bool)
    for path in range(node.children.shape[1]):
        drawn = node.children[:, path]
        seen = ((node.children[:, :path] == drawn[:, None]) & node.listed[:, :path]).any(axis=1)
        tried = undecided & node.listed[:, path] & ~seen
        passed = rng.random(len(rest)) < quotient(at_token(rest, drawn), at_token(node.draft, drawn))
        token[tried & passed] = drawn[tried & passed]
        undecided &= ~(tried & passed)
        rejected = tried & ~passed
        rest[rejected] = residual(rest[rejected], node.draft[rejected])
    token[undecided] = draw(rest[undecided], rng)
    return token


def leaves_in_draw_order(
    target: ArrayLike, draft: ArrayLike, paths: ArrayLike, rng: np.random.Generator, trunk: int = 0
) -> Outcome:
    """Traversal verification with the leaves visited in the order that the paths were drawn (number 44).

    A node is decided when the last path through it was.  Where paths interleave, as ab, cd, ae, another subtree is
    decided between the two leaves of a; the weights of 2505.12398, Algorithm 3, hold for the depth-first order alone.
    Seen in a public reference implementation.  At K <= 2 the orders are the same.
    """
    batch = check_batch(target, draft, paths, trunk)
    walk = _InDrawOrder(batch)
    for path in range(batch.width):
        walk.follow(path, rng)
    return walk.outcome(rng)


class _InDrawOrder:
    """The laws and weights of every node, kept while other subtrees are decided; a node goes by its first path.

    weights : (L + 1, T, K); target, draft : (L + 1, T, K, V); first : (L + 1, T, K), the path that a node goes by
    new : (T, K) bool, which paths no earlier one equals
    """

    def __init__(self, batch: Batch) -> None:
        depths = batch.depth + 1
        self.batch, self.first = batch, _first_paths(batch.paths)
        self.new: Bools = self.first[-1] == np.arange(batch.width)
        self.weights = np.ones((depths, batch.trials, batch.width))
        self.target = np.moveaxis(batch.target, 2, 0).copy()
        self.draft = np.zeros_like(self.target)
        self.draft[:-1] = np.moveaxis(batch.draft, 2, 0)
        self.accepted, self.unsettled = np.zeros(batch.trials, np.int64), np.ones(batch.trials, dtype=bool)
        self.tokens = no_tokens(batch)

    def follow(self, path: int, rng: np.random.Generator) -> None:
        """Enter the nodes that the path is the first to reach, then decide those that it is the last to reach."""
        here = self.new[:, path]
        for depth in range(1, self.batch.depth + 1):
            entered = self.first[depth][:, path] == path
            self._enter(depth, np.flatnonzero(self.unsettled & here & entered), path)
        for depth in range(self.batch.depth, 0, -1):
            later = (self.first[depth] == self.first[depth][:, path, None]) & self.new
            self._decide(depth, np.flatnonzero(self.unsettled & here & ~later[:, path + 1 :].any(axis=1)), path, rng)

    def outcome(self, rng: np.random.Generator) -> Outcome:
        """What was accepted; at the root, where nothing was."""
        left = np.flatnonzero(self.unsettled)
        self.tokens[left, 0] = draw(self.target[0, left, 0], rng)
        return Outcome(self.accepted, self.tokens)

    def _enter(self, depth: int, trials: Ints, path: int) -> None:
        above = (depth - 1, trials, self.first[depth - 1][trials, path])
        token = self.batch.paths[trials, path, depth - 1]
        ratio = quotient(self.weights[above] * at_token(self.target[above], token), at_token(self.draft[above], token))
        self.weights[depth, trials, path] = np.minimum(1.0, ratio)

    def _decide(self, depth: int, trials: Ints, path: int, rng: np.random.Generator) -> None:
        node = (depth, trials, self.first[depth][trials, path])
        passed = rng.random(len(trials)) < self.weights[node]
        self._accept(depth, trials[passed], path, rng)
        self._reject(depth, trials[~passed], path)

    def _accept(self, depth: int, trials: Ints, path: int, rng: np.random.Generator) -> None:
        self.unsettled[trials], self.accepted[trials] = False, depth
        self.tokens[trials, :depth] = self.batch.paths[trials, path, :depth]
        self.tokens[trials, depth] = draw(self.target[depth, trials, self.first[depth][trials, path]], rng)

    def _reject(self, depth: int, trials: Ints, path: int) -> None:
        above = (depth - 1, trials, self.first[depth - 1][trials, path])
        scaled, draft = self.weights[above][:, None] * self.target[above], self.draft[above]
        positive = sums(np.maximum(scaled - draft, 0.0))
        self.target[above] = residual(scaled, draft)
        self.weights[above] = quotient(positive, positive + 1.0 - self.weights[above])
        draft[np.arange(len(trials)), self.batch.paths[trials, path, depth - 1]] = 0.0
        self.draft[above] = quotient(draft, sums(draft)[:, None])


def _first_paths(paths: Ints) -> Ints:
    """(L + 1, T, K) for each depth and path the first path that agrees with it so far."""
    trials, width, depth = paths.shape
    first = np.zeros((depth + 1, trials, width), dtype=np.int64)
    same: Bools = np.ones((trials, width, width), dtype=bool)
    for level in range(depth):
        same = same & (paths[:, :, None, level] == paths[:, None, :, level])
        first[level + 1] = same.argmax(axis=2)
    return first
