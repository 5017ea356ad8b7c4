"""The draft network as the pair that a policy of the theory samples from, one cached pass for each new context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from veridraft.theory import Context, Pair
from veridraft.theory.distributions import Row

from .backend import torch
from .tree_attention import ROOT

Rows = Callable[[torch.Tensor], torch.Tensor]
"""Logits (n, V) to checked float64 rows (n, V)."""


class Feeds(Protocol):
    """A network below a committed context."""

    def feed(self, tokens: Sequence[int], parents: Sequence[int]) -> torch.Tensor:
        """Logits (n, V) after new tokens; parents are numbers among those fed since the last commit, or ``ROOT``."""


class LivePair(Pair):
    """The draft's rows below the model's committed context; a policy that samples from it drafts a tree.

    rows : contexts below the root to the draft's row (V,) there
    fed : contexts to their places among the tokens fed since the last commit; they stay uncommitted
    The target is not asked: in its place stands a row that is sure of token 0.
    """

    exact = False

    def __init__(self, model: Feeds, root_row: torch.Tensor, rows: Rows) -> None:
        self.vocabulary_size = len(root_row)
        self.rows: dict[Context, torch.Tensor] = {(): root_row}
        self.fed: dict[Context, int] = {}
        self._model, self._to_rows = model, rows
        self._nothing: Row = np.eye(1, self.vocabulary_size)[0]

    def target_row(self, context: Context) -> Row:
        """A row (V,) that means nothing."""
        return self._nothing

    def draft_row(self, context: Context) -> Row:
        """The draft's row (V,) at a context whose parent has been asked for before."""
        if context not in self.rows:
            parent = self.fed[context[:-1]] if len(context) > 1 else ROOT
            logits = self._model.feed([context[-1]], [parent])
            self.fed[context] = len(self.fed)
            self.rows[context] = self._to_rows(logits)[0]
        return self.rows[context].cpu().numpy()
