"""The draft network as the pair that a policy of the theory samples from, one cached pass for each question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.rows.distributions import Row
from veridraft.theory.rows.trees import Context, DraftTree

from ...models.backend import torch
from ...trees.tensor_tree import TensorTree
from ...trees.tree_batch import NONE

Tensor = torch.Tensor


class FedTree(Protocol):
    """A network that is fed the tokens of a tree below a committed context."""

    def feed(self, tokens: Sequence[int], parents: Sequence[int]) -> Tensor:
        """Logits (n, V) after new tokens; parents are numbers among those fed since the last commit, or ``NONE``."""


class LivePair(Pair):
    """The draft's rows below the network's committed context; a policy that samples from it drafts a tree.

    root_row : the draft's row (V,) at the context; to_rows : from logits (n, V) to float64 rows (n, V)
    rows : contexts below the root to the draft's row (V,) there, on the network's device
    fed : contexts to their places among the tokens fed since the last commit; they stay uncommitted
    The target is not asked: in its place stands a row that is sure of token 0.
    """

    exact = False

    def __init__(self, network: FedTree, root_row: Tensor, to_rows: Callable[[Tensor], Tensor]) -> None:
        self.vocabulary_size = len(root_row)
        self.rows: dict[Context, Tensor] = {(): root_row}
        self.fed: dict[Context, int] = {}
        self._network, self._to_rows = network, to_rows
        self._on_host: dict[Context, Row] = {}
        self._nothing: Row = np.eye(1, self.vocabulary_size)[0]

    def target_row(self, context: Context) -> Row:
        """A row (V,) that means nothing."""
        return self._nothing

    def draft_row(self, context: Context) -> Row:
        """The draft's row (V,) at a context whose parent has been asked for before."""
        return self.draft_rows([context])[0]

    def draft_rows(self, contexts: Sequence[Context]) -> list[Row]:
        """The draft's rows (V,) at contexts, in one pass for all those that were not asked for before.

        Each one's parent has been asked for before, or stands before it among them.
        """
        self._feed([context for context in dict.fromkeys(contexts) if context not in self.rows])
        new = [context for context in dict.fromkeys(contexts) if context not in self._on_host]
        if new:
            read = torch.stack([self.rows[context] for context in new]).cpu().numpy()
            self._on_host |= zip(new, read, strict=True)
        return [self._on_host[context] for context in contexts]

    def _feed(self, contexts: Sequence[Context]) -> None:
        """Feed the last tokens of new contexts to the network."""
        if not contexts:
            return
        places = self.fed | {context: len(self.fed) + place for place, context in enumerate(contexts)}
        parents = [places[context[:-1]] if len(context) > 1 else NONE for context in contexts]
        logits = self._network.feed([context[-1] for context in contexts], parents)
        self.rows |= zip(contexts, self._to_rows(logits), strict=True)
        self.fed = places

    def on_device(self, tree: DraftTree) -> tuple[TensorTree, list[int]]:
        """A tree sampled from this pair, with the device's own draft rows, and the place of each node in ``fed``.

        The place is ``NONE`` for a node that was not fed; the target's rows (N, V) are still to come, and hold nothing.
        """
        contexts = [tree.context(node) for node in range(tree.size)]
        nothing = torch.zeros_like(self.rows[()])
        draft = [self.rows[context] if listed else nothing
                 for context, listed in zip(contexts, tree.child_lists, strict=True)]  # fmt: skip
        flags = tuple(np.broadcast_to(np.asarray(tree.sampled), tree.size).tolist())
        shape = tuple(tree.tokens.tolist()), tuple(tree.parents.tolist()), tree.child_lists
        rows = torch.stack(draft)
        return TensorTree(*shape, nothing.expand_as(rows), rows, flags), [self.fed.get(one, NONE) for one in contexts]
