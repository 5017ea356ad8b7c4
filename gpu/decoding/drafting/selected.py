"""A policy that is chosen at each root, from what is known there before drafting: lossless, whatever chooses.

The choice is a function of the text and of the networks, never of a drafted token.  Given the text, the tree is drawn
by the chosen policy, for which the verifier is lossless: hence it is with the choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Protocol

from veridraft.theory.pairs.base import Pair
from veridraft.theory.policies.base import DraftLaw, Policy
from veridraft.theory.policies.paths import Delayed
from veridraft.theory.rows.trees import Context, DraftTree

from ...models import backend
from ...models.backend import torch
from ...models.pairs import ModelPair
from ...trees.skeleton import skeleton_of
from ...trees.tensor_tree import TensorTree
from ...trees.tree_batch import NONE
from .drafters import Drafter, NetworkDrafter, Writing, of_trees
from .growth import Drafted, compressed, grow_batch
from .known import Known

Tensor = torch.Tensor

REFUSED = "Selected chooses from states of networks, which a pair of rows does not hold: take what it chooses at a root"


class Chooser(Protocol):
    """Whatever chooses: ``actions`` are all policies that it may choose, ``name`` stands in tables."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def actions(self) -> Sequence[Delayed]:
        """At least one."""

    def require(self, pair: ModelPair) -> None:
        """Raise ``ValueError`` for a pair that it cannot choose for."""

    def choose(self, pair: ModelPair, known: Sequence[Known]) -> Sequence[Delayed]:
        """The action at each root."""


@dataclass(frozen=True, repr=False)
class Selected(Policy):
    """One of a chooser's actions, chosen at every root before anything is drafted there (arXiv 2602.16994)."""

    chooser: Chooser

    @property
    def name(self) -> str:
        """Selected, and by what."""
        return f"Selected({self.chooser.name})"

    @property
    def depth(self) -> int:
        """That of the deepest action."""
        return max(action.depth for action in self.chooser.actions)

    @property
    def most_nodes(self) -> int:
        """Those of the largest action."""
        return max(action.most_nodes for action in self.chooser.actions)

    @property
    def draft_laws(self) -> frozenset[DraftLaw]:
        """The descriptions that fit the trees of every action."""
        return reduce(frozenset.intersection, (action.draft_laws for action in self.chooser.actions))

    def at(self, pair: ModelPair, known: Known) -> Delayed:
        """The action that is chosen at one root: the tree there is drawn by its law."""
        return self.chooser.choose(pair, [known])[0]

    def sample(self, pair: Pair, rng: Any, context: Context = ()) -> DraftTree:
        """Refused: a pair of rows has no states to choose from."""
        raise ValueError(REFUSED)

    def enumerate(self, pair: Pair, context: Context = ()) -> Iterator[tuple[Any, DraftTree]]:
        """Refused, as :meth:`sample` is."""
        raise ValueError(REFUSED)

    def tree_count(self, vocabulary_size: int) -> int:
        """The most that an action has."""
        return max(action.tree_count(vocabulary_size) for action in self.chooser.actions)


class SelectingDrafter(Drafter):
    """Reads each root with the draft, lets an action be chosen, and drafts its tree.

    Rows of a batch have trees of different shapes, and are drafted one after the other.  Nothing that was drafted
    stays in the draft's cache: what was accepted is read again with the next root, in the same pass.
    """

    listens = True

    def __init__(self, inner: NetworkDrafter, pair: ModelPair, policy: Selected) -> None:
        policy.chooser.require(pair)
        self.inner, self.pair, self.policy = inner, pair, policy
        inner.model.keeps_states = True
        rows = len(inner.model.contexts)
        self._target = [torch.zeros(pair.target.config.hidden_size, device=pair.device)] * rows
        self._draft = [torch.zeros(pair.draft.config.hidden_size, device=pair.device)] * rows

    def start(self, row: int, writing: Writing, states: Tensor | None = None) -> None:
        """Read the text, but for the last token, and keep both states there; zeros for a text of one token."""
        self.inner.start(row, writing, states)
        seen = states is not None
        for kept, found in ((self._target, states), (self._draft, self.inner.model.states[0] if seen else None)):
            kept[row] = torch.zeros_like(kept[row]) if found is None else found[-1].float()

    def hear(self, row: int, states: Tensor) -> None:
        """The last of the target's states (k, D) is that before the next root."""
        self._target[row] = states[-1].float()
        if self.inner.listens:
            self.inner.hear(row, states)

    def draft(self, writings: Sequence[Writing]) -> Drafted:
        """Read the roots, choose, draft."""
        logits = self.inner.model.append(len(writings), [writing.unseen for writing in writings])
        known = [self._known(row, writing) for row, writing in enumerate(writings)]
        actions = self.policy.chooser.choose(self.pair, known)
        drawn = [self._tree(row, logits[row], writings[row], action) for row, action in enumerate(actions)]
        return of_trees([(tree, [NONE] * tree.size) for tree in drawn])

    def _known(self, row: int, writing: Writing) -> Known:
        """What is known at a root whose token the draft has just read."""
        states = self.inner.model.states[row].float()
        before = states[-2] if len(writing.unseen) > 1 else self._draft[row]
        self._draft[row] = states[-1]
        return Known(self._target[row], before, states[-1], len(writing.text), self.inner.finite.sampling)

    def _tree(self, row: int, logits: Tensor, writing: Writing, action: Delayed) -> TensorTree:
        """A tree of the action, from the draft's logits (V,) at the root; its target rows are still to come."""
        skeleton = skeleton_of(action, self.pair.vocabulary_size)
        assert skeleton is not None, "a delayed tree has one"
        to_rows, model = self.inner.finite.now("draft", row), self.inner.model

        def feed(tokens: Tensor, first: int, visible: Tensor) -> Tensor:
            return to_rows(model.feed(slice(row, row + 1), tokens, first, visible)[0])[None]

        root = to_rows(logits[None])
        uniforms = torch.from_numpy(writing.rng.random((1, skeleton.columns))).to(root.device)
        drafted = grow_batch(skeleton, root, uniforms, feed)
        if backend.are_free(root) and skeleton.can_be_short:
            drafted = compressed(drafted)
        nothing = root.new_zeros(1).expand(1, drafted.batch.columns, root.shape[1])
        return replace(drafted.batch, target=nothing).tree(0)

    def keep(self, rows: int, source: Tensor | None, counts: Sequence[int]) -> None:
        """Nothing drafted was fed for good."""
        self.inner.keep(rows, source, counts)

    def take_over(self, source: int, row: int) -> None:
        """Move what is remembered of a request."""
        self.inner.take_over(source, row)
        for kept in (self._target, self._draft):
            kept[row] = kept[source]

    @contextmanager
    def aside(self) -> Iterator[None]:
        """As the inner drafter's, and the states are those of before."""
        kept = list(self._target), list(self._draft)
        try:
            with self.inner.aside():
                yield
        finally:
            self._target, self._draft = kept
