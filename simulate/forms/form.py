"""Forms: how a verifier is called, and the drawn inputs that it is called with.

One call decides one request.  Shapes: V vocabulary, L drafted levels, K paths, N nodes; ``rng`` is a
``numpy.random.Generator`` (or a ``torch.Generator``).  What comes back are the emitted tokens, the accepted ones
and one more, 1 to L + 1 of them; -1 behind them is padding.

chain     ``verifier(target (L+1, V), draft (L, V), tokens (L,), rng)``
paths     ``verifier(target (K, L+1, V), draft (K, L, V), tokens (K, L), rng)``, K independent paths; with a shared
          trunk of L1 levels the keyword ``trunk=L1`` is passed too
tree      ``verifier(target (N, V), draft (N, V), parents (N,), tokens (N,), rng)``; node 0 is the root, with parent and
          token -1; parents stand before children; a leaf's draft row is all zeros
generate  ``generate(rng) -> tokens``; drafts by itself, and may return any number of tokens above 0

Batched, every array has one more axis in front, T trials, and the answer is (T, n) padded with -1, T sequences, or
an :class:`~veridraft.simulate.batches.batch.Outcome`; ``generate(rng, trials)`` then returns as many answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Delayed
from veridraft.theory.rows.distributions import NO_TOKEN
from veridraft.theory.rows.trees import NO_PARENT, DraftTree

from ..batches.batch import Batch
from ..batches.rows import Bools, Ints


class Form(Enum):
    """How a verifier is called."""

    CHAIN = "chain"
    PATHS = "paths"
    TREE = "tree"
    GENERATE = "generate"


Arguments = tuple[np.ndarray, ...]
"""The arrays of one call, without the generator: target, draft, (parents,) tokens."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What T trials are called with, all of one shape.

    arrays : each with a leading axis T
    trunk : levels that all paths share, said to the verifier in the form ``paths`` if above 0
    trials : (T,) which trials of the drawn batch these are
    """

    arrays: Arguments
    trunk: int
    trials: Ints


def path_inputs(form: Form, batch: Batch, multiplicity: bool = True) -> list[Inputs]:
    """The inputs of drawn paths in a form that takes a draft; trees with merged siblings are grouped by size.

    Every array is a copy: what a verifier writes into it, nobody else sees.
    """
    everyone = np.arange(batch.trials)
    if form is Form.CHAIN:
        return [Inputs((batch.target[:, 0].copy(), batch.draft[:, 0].copy(), batch.paths[:, 0].copy()), 0, everyone)]
    if form is Form.PATHS:
        return [Inputs((batch.target.copy(), batch.draft.copy(), batch.paths.copy()), batch.trunk, everyone)]
    slots = _slots(batch)
    if multiplicity:
        return [Inputs(slots, 0, everyone)]
    return _merged(slots)


def _slots(batch: Batch) -> Arguments:
    """The paths as a tree of chains side by side, level by level, a shared trunk level being one node.

    target, draft (T, N, V), parents (T, N), tokens (T, N)
    """
    target, draft = [batch.target[:, 0, 0]], []
    parents, tokens, above = [NO_PARENT], [np.full(batch.trials, NO_TOKEN)], [0] * batch.width
    for level in range(batch.depth):
        drawn = [0] if level < batch.trunk else range(batch.width)
        inner = len(parents) > 1
        draft += [batch.draft[:, path, level] for path in (_drawn(batch, level - 1) if inner else [0])]
        first = len(parents)
        for path in drawn:
            parents.append(above[path])
            tokens.append(batch.paths[:, path, level])
            target.append(batch.target[:, path, level + 1])
        above = [first + (0 if level < batch.trunk else path) for path in range(batch.width)]
    leaves = [target[0] * 0] * (len(target) - len(draft))
    shape = (batch.trials, len(parents))
    return (
        np.stack(target, axis=1), np.stack(draft + leaves, axis=1),
        np.broadcast_to(np.array(parents), shape).copy(), np.stack(tokens, axis=1),
    )  # fmt: skip


def _drawn(batch: Batch, level: int) -> Sequence[int]:
    """The paths that have a node of their own at a level of draws."""
    return [0] if level < batch.trunk else range(batch.width)


def _merged(slots: Arguments) -> list[Inputs]:
    """Trees in which equal siblings are one node, all trees of one size together."""
    target, draft, parents, tokens = slots
    node = _first_equal(parents, tokens)  # (T, N): the slot that stands for each slot
    kept = node == np.arange(node.shape[1])
    place = np.cumsum(kept, axis=1) - 1
    above = np.take_along_axis(place, np.take_along_axis(node, np.maximum(parents, 0), 1), 1)
    above[:, 0] = NO_PARENT
    return [
        Inputs(tuple(_kept(array, kept, trials) for array in (target, draft, above, tokens)), 0, trials)
        for size in np.unique(kept.sum(axis=1))
        for trials in [np.flatnonzero(kept.sum(axis=1) == size)]
    ]


def _first_equal(parents: Ints, tokens: Ints) -> Ints:
    """(T, N) the first slot with the same parent (itself merged) and token: the node that a slot becomes."""
    node = np.zeros_like(tokens)
    everyone = np.arange(len(tokens))
    for slot in range(1, tokens.shape[1]):
        node[:, slot] = slot
        above = node[everyone, parents[:, slot]]
        for earlier in range(slot - 1, 0, -1):
            same = node[everyone, parents[:, earlier]] == above
            same &= tokens[:, earlier] == tokens[:, slot]
            node[same, slot] = node[same, earlier]
    return node


def _kept(array: np.ndarray, kept: Bools, trials: Ints) -> np.ndarray:
    """The kept slots of some trials, (n, size, ...)."""
    rows = array[trials]
    return rows[kept[trials]].reshape(len(trials), -1, *array.shape[2:])


def tree_arguments(tree: DraftTree, multiplicity: bool = True, exact: bool = False) -> Arguments:
    """The arrays (N, ...) of one draft tree: target, draft, parents, tokens, each a copy in float64 or int64.

    With ``multiplicity`` a node that stands several times in its parent's list is repeated in draw order: the first
    carries the children, the others are leaves.  ``exact`` leaves the rows in the tree's own arithmetic, which may be
    Fractions.
    """
    order: list[tuple[int, int, bool]] = [(0, NO_PARENT, True)]  # node, place of its parent, carries children
    for place, (node, _, carries) in enumerate(order):  # grows while it is read
        listed = tree.child_lists[node] if carries else ()
        seen: set[int] = set()
        for child in listed if multiplicity else dict.fromkeys(listed):
            order.append((child, place, child not in seen))
            seen.add(child)
    nodes = [node for node, _, _ in order]
    target, draft = tree.target[nodes], tree.draft[nodes]
    if not exact:
        target, draft = target.astype(np.float64), draft.astype(np.float64)
    draft[[not (carries and tree.child_lists[node]) for node, _, carries in order]] = draft[0, 0] * 0
    parents = np.array([parent for _, parent, _ in order])
    return target, draft, parents, tree.tokens[nodes]


def form_named(form: str | Form) -> Form:
    """The form of that name, or the form itself; raises ``ValueError`` that lists the names."""
    try:
        return Form(form)
    except ValueError:
        names = ", ".join(kind.value for kind in Form)
        raise ValueError(f"form {form!r} is none of {names}") from None


def check_form(form: str | Form, policy: Policy) -> Form:
    """The form, if drafts of the policy can be handed over in it.

    Raises ``ValueError`` for an unknown form; ``TypeError`` for a chain or paths with a policy that does not draw
    such.
    """
    chosen = form_named(form)
    if chosen is Form.CHAIN and not (isinstance(policy, Delayed) and (policy.K == 1 or policy.L2 == 0)):
        raise TypeError(f"the form chain needs a policy Chain(L), but has {policy!r}")
    if chosen is Form.PATHS and not isinstance(policy, Delayed):
        raise TypeError(f"the form paths needs Chain, Iid or Delayed, drawn as paths, but has {policy!r}")
    return chosen
