"""Trees verified wrongly, beside recursive rejection without replacement and SpecHub, which are right.

All are batched verifiers of the form tree: target (T, N, V), draft (T, N, V), parents (T, N), tokens (T, N), rng.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from ...batches.batch import Outcome
from ...batches.rows import Floats, Ints, draw, or_else
from ..correct.hub import Hub
from ..correct.tree_walk import (
    LastToken,
    RejectSiblings,
    SiblingChoice,
    SiblingStep,
    Trees,
    certain,
    descend_tree,
    erased,
    from_leaf,
    trees_of,
)


@dataclass(frozen=True)
class TreeWise:
    """A batched verifier of the form tree: the trees as they come, put through ``seen``, walked down by ``step``."""

    step: SiblingStep = field(default_factory=RejectSiblings)
    last: LastToken = from_leaf
    seen: Callable[[Trees], Trees] = replace

    def __call__(
        self, target: ArrayLike, draft: ArrayLike, parents: ArrayLike, tokens: ArrayLike, rng: np.random.Generator
    ) -> Outcome:
        """The outcome; ``ValueError`` for shapes that do not fit together."""
        return descend_tree(self.seen(trees_of(target, draft, parents, tokens)), rng, self.step, self.last)


def from_stale_rest(target: Floats, choice: SiblingChoice, rng: np.random.Generator) -> Ints:
    """A draw from the residual at the leaf's parent if one of the leaf's siblings was rejected there."""
    return draw(np.where(choice.rejected[:, None], choice.rest, target), rng)


def next_siblings(trees: Trees) -> Ints:
    """(T, N) for each node the next one with the same parent, in a ring; the node itself if it has none."""
    nodes = np.arange(trees.parents.shape[1])
    alike = trees.parents[:, :, None] == trees.parents[:, None, :]
    behind = (nodes[None, :] - nodes[:, None] - 1) % len(nodes)
    return np.where(alike, behind, len(nodes)).argmin(axis=2)


def siblings_rows(trees: Trees) -> Trees:
    """The trees with each node's target row that of its next sibling."""
    return replace(trees, target=_of_siblings(trees))


def leaking_rows(trees: Trees) -> Trees:
    """The trees with a fifth of the next sibling's target row in each node's."""
    return replace(trees, target=0.8 * trees.target + 0.2 * _of_siblings(trees))


def _of_siblings(trees: Trees) -> Floats:
    return np.take_along_axis(trees.target, next_siblings(trees)[..., None], axis=1)


def pruned(trees: Trees) -> Trees:
    """The trees without the nodes whose draft probability lies below 0.15."""
    return replace(trees, listed=trees.drawn_from() >= 0.15)


without_replacement = TreeWise()
"""Recursive rejection for siblings without replacement; exact for independent draws too."""

stale_residual_behind_leaf = TreeWise(last=from_stale_rest)
"""The bonus token drawn from the residual at the leaf's parent, if a sibling of the leaf had been rejected (row 8).

A flag said that there had been a rejection, and nobody asked whether the path had ended: SafeAILab/EAGLE, mended by
pull request #47.
"""

siblings_rows_read = TreeWise(seen=siblings_rows)
"""Each node verified with the target's row of its next sibling (row 23).

NVIDIA/TensorRT-LLM, pull request #15098: a wrong slice of the logits.
"""

pruned_after_drawing = TreeWise(seen=pruned)
"""Children dropped, once drawn, for a draft probability below 0.15 (row 27).

What is dropped depends on the draw, so that the law of what is left is not the draft's.  Warned of in a comment of a
kernel for UniVer (2605.04543).
"""

not_renormalised = TreeWise(step=RejectSiblings(rejected=erased))
"""Later siblings, drawn without replacement, verified with the draft's row not renormalised (row 39).

SafeAILab/EAGLE, issue #74.
"""


def not_divided(target: Floats, draft: Floats) -> Floats:
    """``(target - draft)+``, as it is; the target's row where nothing is left."""
    return or_else(np.maximum(target - draft, 0.0), target)


residual_not_normalised = TreeWise(step=RejectSiblings(left=not_divided))
"""The next sibling is tested with the residual of the one before as it is, its mass below 1 (row 52).

An easy omission in 2305.09781, Algorithm 2; drawn from in the end, it makes no difference there.
"""

rows_leaking_between_siblings = TreeWise(seen=leaking_rows)
"""Target rows in which a sibling's tokens had a part, the attention mask letting them through (row 42).

tenstorrent/tt-metal, issue #48899.
"""

hub_pairs = TreeWise(step=Hub())
"""SpecHub."""

sure_hub_accepted = TreeWise(step=Hub(sure=0.9))
"""SpecHub with a hub of target probability above 0.9 accepted at once (row 30).

The port had 0.999, "to avoid numerical issues": MasterGodzilla/Speculative_decoding_OT, its copy of EAGLE.
"""

each_child_certain = TreeWise(step=RejectSiblings(ratio=certain, taken=certain))
"""The one-hot rule on trees: a child passes with what is left of its target probability, and is erased if it fails.

Exact given the tree, whatever tree it is: SafeAILab/EAGLE, issues #183 and #283.
"""
