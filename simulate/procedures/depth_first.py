"""The depth-first walk of the bottom-up procedures, and the coins thrown on it.

Paths are merged where they agree.  Children are visited in order of first appearance among the draws, and a
node is decided after all that lies below it: with paths ab, cd, ae drawn in that order the decisions are ab,
ae, a, cd, c.  Deciding the leaves in the order they were drawn instead (ab, cd, ae) is lossy from three paths on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from ..batches.batch import Batch, Outcome, no_tokens
from ..batches.rows import Bools, Floats, Ints, draw


class Visit(Enum):
    """Why the walk comes to a node: on the way down, or with its whole subtree behind it."""

    ENTER = "enter"
    DECIDE = "decide"


@dataclass(frozen=True, eq=False)
class Stop:
    """One step of the walk: node ``paths[t, path[t], :depth]`` of each trial t where ``here[t]`` is true.

    path : (T,) int64; here : (T,) bool
    """

    visit: Visit
    depth: int
    path: Ints
    here: Bools


class WalkRule(Protocol):
    """A bottom-up rule: what it keeps at the nodes between the root and where the walk stands.

    ``trials`` (n,) are those of the T trials that the walk is at, ``path`` (n,) a path through the node, and
    ``depth`` the node's depth.
    """

    def enter(self, depth: int, trials: Ints, path: Ints) -> None:
        """Set up the node, its weight read from its parent's state."""

    def stop_probability(self, depth: int, trials: Ints) -> Floats:
        """The probability (n,) to accept the node, given that nothing below it was accepted."""

    def reject(self, depth: int, trials: Ints, path: Ints) -> None:
        """Change the parent's state, the node and all below it being rejected."""

    def last_token_weights(self, depth: int, trials: Ints) -> Floats:
        """The weights (n, V) of the one more token behind an accepted node."""


def decision_order(paths: ArrayLike) -> tuple[tuple[int, ...], ...]:
    """The nodes below the root of one tree, as token tuples, in the order in which the walk decides them.

    ``paths`` is (K, L), the tokens in the order drawn.  This is the walk that the procedures take.
    """
    tokens = np.asarray(paths)
    return tuple(
        tuple(tokens[stop.path[0], : stop.depth].tolist())
        for stop in walk(tokens[None])
        if stop.visit is Visit.DECIDE and stop.here[0]
    )


def walk(paths: Ints) -> Iterator[Stop]:
    """The depth-first walk of T trees at once, from paths (T, K, L); the root is entered and never decided."""
    order, shared = _depth_first_order(paths)
    width, depth = paths.shape[1:]
    for place in range(width):
        path = order[:, place]
        for level in range(depth + 1):
            yield Stop(Visit.ENTER, level, path, shared[:, place] < level)
        for level in range(depth, 0, -1):
            yield Stop(Visit.DECIDE, level, path, shared[:, place + 1] < level)


def verify_depth_first(batch: Batch, rng: np.random.Generator, rule: WalkRule) -> Outcome:
    """The outcome of deciding the nodes in depth-first order until one is accepted, the root at the latest."""
    accepted, tokens = np.zeros(batch.trials, dtype=np.int64), no_tokens(batch)
    unsettled = np.ones(batch.trials, dtype=bool)
    for stop in walk(batch.paths):
        trials = np.flatnonzero(stop.here & unsettled)
        path = stop.path[trials]
        if stop.visit is Visit.ENTER:
            rule.enter(stop.depth, trials, path)
            continue
        passed = rng.random(len(trials)) < rule.stop_probability(stop.depth, trials)
        rule.reject(stop.depth, trials[~passed], path[~passed])
        kept, unsettled[trials[passed]] = trials[passed], False
        accepted[kept] = stop.depth
        tokens[kept, : stop.depth] = batch.paths[kept, path[passed], : stop.depth]
        tokens[kept, stop.depth] = draw(rule.last_token_weights(stop.depth, kept), rng)
    at_root = np.flatnonzero(unsettled)
    tokens[at_root, 0] = draw(rule.last_token_weights(0, at_root), rng)
    return Outcome(accepted, tokens)


def _depth_first_order(paths: Ints) -> tuple[Ints, Ints]:
    """The paths' order in the walk (T, K), and how deep each agrees with the one before (T, K + 1), -1 at both ends.

    A path's key is, level by level, the first path drawn that agrees with it so far.  At the far end the -1
    closes every node below the root.
    """
    trials, width, depth = paths.shape
    same, keys = np.ones((trials, width, width), dtype=bool), np.zeros((depth + 1, trials, width), dtype=np.int64)
    for level in range(depth):
        same &= paths[:, :, None, level] == paths[:, None, :, level]
        keys[level + 1] = same.argmax(axis=2)
    order = np.lexsort(keys[::-1], axis=-1)
    ordered = np.take_along_axis(paths, order[:, :, None], axis=1)
    agree = np.cumprod(ordered[:, 1:] == ordered[:, :-1], axis=2).sum(axis=2)
    ends = np.full((trials, 1), -1)
    return order, np.concatenate([ends, agree, ends], axis=1)
