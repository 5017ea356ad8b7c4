"""The draft network as the pair that a policy of the theory samples from, one cached pass for each question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.rows.distributions import Row
from veridraft.theory.rows.trees import Context

from ...models.backend import torch
from ..passes.tree_attention import ROOT, Feeds, Rows


class LivePair(Pair):
    """The draft's rows below the model's committed context; a policy that samples from it drafts a tree.

    rows : contexts below the root to the draft's row (V,) there, on the network's device
    fed : contexts to their places among the tokens fed since the last commit; they stay uncommitted
    The target is not asked: in its place stands a row that is sure of token 0.
    """

    exact = False

    def __init__(self, model: Feeds, root_row: torch.Tensor, rows: Rows) -> None:
        self.vocabulary_size = len(root_row)
        self.rows: dict[Context, torch.Tensor] = {(): root_row}
        self.fed: dict[Context, int] = {}
        self._model, self._to_rows = model, rows
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
        parents = [places[context[:-1]] if len(context) > 1 else ROOT for context in contexts]
        logits = self._model.feed([context[-1] for context in contexts], parents)
        self.rows |= zip(contexts, self._to_rows(logits), strict=True)
        self.fed = places
