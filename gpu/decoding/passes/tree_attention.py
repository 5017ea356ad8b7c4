"""Tree attention: a mask, positions, and a KV cache that keeps an accepted path without copying the rest.

A *pass* feeds new tokens below a committed context.  Each token attends to the whole context, to its
ancestors among the tokens fed since the last commit, and to itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...models.backend import torch, transformers

ROOT = -1
"""The parent of a token that stands directly below the committed context."""


def tree_mask(ancestors: NDArray[np.bool_], context: int, device: Any = "cpu") -> torch.Tensor:
    """(1, 1, n, context + m) bool, true where attention is allowed: the context, ancestors, and oneself.

    ``ancestors`` (n, m) bool: row i says which of the m uncommitted tokens the i-th new one descends from,
    itself included; the last n of the m are the new ones.
    """
    seen = np.ones((len(ancestors), context), dtype=bool)
    return torch.from_numpy(np.concatenate([seen, ancestors], axis=1)).to(device)[None, None]


def extend_ancestors(old: NDArray[np.bool_], parents: Sequence[int]) -> NDArray[np.bool_]:
    """(m + n, m + n) bool: who descends from whom, after n tokens with the given parents joined m.

    A parent is an index among the m + n tokens, below the token's own, or ``ROOT``.
    """
    size = len(old)
    grown = np.zeros((size + len(parents), size + len(parents)), dtype=bool)
    grown[:size, :size] = old
    for token, parent in enumerate(parents, start=size):
        if parent != ROOT:
            grown[token] = grown[parent]
        grown[token, token] = True
    return grown


class TreeCacheLayer(transformers.DynamicLayer):
    """Keys and values of one layer, written in place into buffers (1, heads, capacity, width) that double."""

    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the new rows; keys and values (1, heads, length, width) as views of the buffers."""
        stop = self.length + key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = _buffer(key_states, stop), _buffer(value_states, stop)
        if stop > self.keys.shape[-2]:
            self.keys, self.values = _grown(self.keys, stop), _grown(self.values, stop)
        self.keys[..., self.length : stop, :] = key_states
        self.values[..., self.length : stop, :] = value_states
        self.length = stop
        return self.keys[..., :stop, :], self.values[..., :stop, :]

    def keep(self, context: int, rows: Sequence[int]) -> None:
        """Keep the first ``context`` rows and, of those behind them, ``rows`` (ascending); only these move."""
        if list(rows) != list(range(len(rows))):
            source = torch.tensor(rows, device=self.keys.device) + context
            for buffer in (self.keys, self.values):
                buffer[..., context : context + len(rows), :] = buffer[..., source, :]
        self.length = context + len(rows)

    def get_seq_length(self) -> int:
        """The number of rows written and kept."""
        return self.length


def _buffer(states: torch.Tensor, rows: int) -> torch.Tensor:
    """An empty buffer for at least that many rows like those of ``states``."""
    return states.new_empty((*states.shape[:-2], max(256, 2 * rows), states.shape[-1]))


def _grown(buffer: torch.Tensor, rows: int) -> torch.Tensor:
    """A buffer of twice the rows that are needed, with the old one's content."""
    larger = _buffer(buffer, rows)
    larger[..., : buffer.shape[-2], :] = buffer
    return larger


class CachedModel:
    """A network with the KV cache of one context, and of a tree that grows below it until a path is kept."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.device = next(model.parameters()).device
        layers = [TreeCacheLayer() for _ in range(model.config.num_hidden_layers)]
        self.cache = transformers.Cache(layers=layers)
        self.context = 0
        self.ancestors: NDArray[np.bool_] = np.zeros((0, 0), dtype=bool)

    def feed(self, tokens: Sequence[int], parents: Sequence[int], last_only: bool = False) -> torch.Tensor:
        """Logits (n, V) after each of n new tokens, in the model's own type; ``last_only`` gives (1, V).

        ``parents`` are indices among the tokens fed since the last :meth:`keep`, or ``ROOT``.  One pass.
        """
        old = len(self.ancestors)
        self.ancestors = extend_ancestors(self.ancestors, parents)
        new = self.ancestors[old:]
        positions = self.context - 1 + new.sum(axis=1)
        output = self.model(
            input_ids=torch.tensor([list(tokens)], device=self.device),
            position_ids=torch.from_numpy(positions).to(self.device)[None],
            attention_mask=tree_mask(new, self.context, self.device),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1 if last_only else len(new),
        )
        return output.logits[0]

    def keep(self, rows: Sequence[int]) -> None:
        """Commit a path, given as indices among the tokens fed since the last call; forget the others."""
        for layer in self.cache.layers:
            layer.keep(self.context, rows)
        self.context += len(rows)
        self.ancestors = np.zeros((0, 0), dtype=bool)

    def append(self, tokens: Sequence[int]) -> torch.Tensor:
        """Logits (1, V) after the last of some tokens that follow the context in a line; they are committed."""
        logits = self.feed(tokens, range(ROOT, len(tokens) - 1), last_only=True)
        self.keep(range(len(tokens)))
        return logits


Rows = Callable[[torch.Tensor], torch.Tensor]
"""Logits (n, V) to checked float64 rows (n, V)."""


class Feeds(Protocol):
    """A network below a committed context."""

    def feed(self, tokens: Sequence[int], parents: Sequence[int]) -> torch.Tensor:
        """Logits (n, V) after new tokens; parents are numbers among those fed since the last commit, or ``ROOT``."""
