"""Where the trees of a batch come from: a draft network along a skeleton, one tree at a time, or the text itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from veridraft.theory.policies.base import Policy

from ...models import backend
from ...models.backend import torch
from ...trees.skeleton import Skeleton
from ...trees.tensor_tree import TensorTree
from ...trees.tree_batch import NONE, Layout, TreeBatch, batched
from ..passes.cache import BatchModel, RowFeed
from ..passes.finite_checks import FiniteRows
from .draft_pair import LivePair
from .growth import Drafted, compressed, grow_batch

Tensor = torch.Tensor


@dataclass
class Writing:
    """What a drafter knows of one request: its text so far, what the draft has not seen of it, its random numbers."""

    text: list[int]
    unseen: list[int]
    rng: np.random.Generator


class Drafter(ABC):
    """Drafts a tree for each of the first B requests of a batch, and hears how much of it was accepted.

    ``listens`` says that it must be told the target's states.
    """

    listens = False

    @abstractmethod
    def start(self, row: int, writing: Writing, states: Tensor | None = None) -> None:
        """A request begins in a batch row: read its text, but for the last token, where the target's states are."""

    def hear(self, row: int, states: Tensor) -> None:  # noqa: B027
        """The target's states (k, D) at the root and along the accepted path of a request; before :meth:`keep`."""

    @abstractmethod
    def draft(self, writings: Sequence[Writing]) -> Drafted:
        """One tree for each request."""

    @abstractmethod
    def keep(self, rows: int, source: Tensor | None, counts: Sequence[int]) -> None:
        """Keep the accepted path of each request: as many tokens as ``counts`` says, out of ``source`` (B, k)."""

    @abstractmethod
    def take_over(self, source: int, row: int) -> None:
        """A request moves to another batch row."""

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is drafted inside is forgotten: the drafter is afterwards as it was."""
        yield


class NetworkDrafter(Drafter):
    """A draft network and a policy.

    Along a skeleton, the trees of all requests grow together and nothing is read back; on the CPU, where reading
    is free, columns without a node are dropped before the target's pass.  A policy without one is drawn as the
    theory draws it, request by request.
    """

    row_feed = RowFeed

    def __init__(self, model: BatchModel, policy: Policy, skeleton: Skeleton | None, finite: FiniteRows) -> None:
        self.model, self.policy, self.skeleton, self.finite = model, policy, skeleton, finite
        self.rows = finite.of("draft")

    def start(self, row: int, writing: Writing, states: Tensor | None = None) -> None:
        """Read the text, but for the last token."""
        self.model.contexts[row] = 0
        self.model.prefill(row, writing.text[:-1])

    def draft(self, writings: Sequence[Writing]) -> Drafted:
        """The network reads what it has not seen, then grows the trees."""
        count = len(writings)
        logits = self.model.append(count, [writing.unseen for writing in writings])
        if self.skeleton is None:
            return of_trees([self._tree(row, logits[row], writings[row]) for row in range(count)])
        roots = self.rows(logits)
        uniforms = np.stack([writing.rng.random(self.skeleton.columns) for writing in writings])
        moved = torch.from_numpy(uniforms).to(roots.device, non_blocking=True)
        drafted = grow_batch(self.skeleton, roots, moved, self._feed)
        if backend.are_free(roots) and self.skeleton.can_be_short:
            return compressed(drafted)
        return drafted

    def _feed(self, tokens: Tensor, first: int, visible: Tensor) -> Tensor:
        """(B, n, V) the draft's rows after some tokens."""
        return self.rows(self.model.feed(len(tokens), tokens, first, visible))

    def _tree(self, row: int, logits: Tensor, writing: Writing) -> tuple[TensorTree, list[int]]:
        """One tree of a policy without a skeleton, from the draft's logits (V,) at the root; which nodes were fed."""
        to_rows = self.finite.now("draft", row)
        live = LivePair(self.row_feed(self.model, row), to_rows(logits[None])[0], to_rows)
        return live.on_device(self.policy.sample(live, writing.rng))

    def keep(self, rows: int, source: Tensor | None, counts: Sequence[int]) -> None:
        """Keep the fed part of the accepted paths in the cache."""
        if source is not None:
            self.model.move(rows, source)
        self.model.keep(counts)

    def take_over(self, source: int, row: int) -> None:
        """Move what the network remembers of a request."""
        self.model.take_over(source, row)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is drafted inside is forgotten, and what was read for it will be read again."""
        contexts = list(self.model.contexts)
        try:
            yield
        finally:
            self.model.contexts[:] = contexts


def of_trees(drawn: Sequence[tuple[TensorTree, list[int]]]) -> Drafted:
    """Trees and their fed places as a batch; coins follow the nodes."""
    trees = [tree for tree, _ in drawn]
    layout = Layout.of(trees)
    batch = batched(trees, layout)
    fed, coin_of = torch.full_like(batch.tokens, NONE), torch.zeros_like(batch.tokens)
    for number, ((_, places), columns) in enumerate(zip(drawn, layout.columns, strict=True)):
        fed[number, list(columns)] = torch.tensor(places, device=fed.device)
        coin_of[number, list(columns)] = torch.arange(1, len(columns) + 1, device=fed.device)
    empty = replace(batch, target=batch.target[:, :0])
    return Drafted(empty, fed, coin_of, [tree.size + 1 for tree in trees])


class TextDrafter(Drafter):
    """Proposals out of each request's own text, each sure: the draft's row is 1 at the token that it proposes."""

    def __init__(
        self, propose: Callable[[Sequence[int]], list[int]], vocabulary_size: int, device: torch.device
    ) -> None:
        self.propose, self.vocabulary_size, self.device = propose, vocabulary_size, device

    def start(self, row: int, writing: Writing, states: Tensor | None = None) -> None:
        """Nothing to read."""

    def keep(self, rows: int, source: Tensor | None, counts: Sequence[int]) -> None:
        """Nothing to keep."""

    def take_over(self, source: int, row: int) -> None:
        """Nothing to move."""

    def draft(self, writings: Sequence[Writing]) -> Drafted:
        """A path for each request, as deep as the longest needs it."""
        found = [self.propose(writing.text) for writing in writings]
        depth = max(map(len, found))
        tokens = torch.tensor([[NONE, *one, *[NONE] * (depth - len(one))] for one in found], device=self.device)
        place = torch.arange(depth + 1, device=self.device).expand_as(tokens)
        child = torch.where(tokens[:, 1:] != NONE, place[:, 1:], NONE)
        batch = TreeBatch(
            tokens,
            torch.where(tokens != NONE, place - 1, NONE),
            child[..., None],
            tuple(range(depth + 2)),
            (1,) * depth,
            torch.empty((len(found), 0, self.vocabulary_size), device=self.device),
            self._sure(tokens[:, 1:]),
            place == 0,
        )
        return Drafted(batch, torch.full_like(tokens, NONE), place + 1, [depth + 2] * len(found))

    def _sure(self, tokens: Tensor) -> Tensor:
        """(B, n, V) rows that are 1 at the tokens (B, n)."""
        rows = torch.zeros((*tokens.shape, self.vocabulary_size), dtype=torch.float64, device=self.device)
        return rows.scatter_(2, tokens.clamp(min=0)[..., None], 1.0)
