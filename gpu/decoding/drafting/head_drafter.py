"""A head as the draft network: it reads the target's states wherever there are any, and its own below a root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...models.backend import torch
from ...trees.tree_batch import NONE
from ..passes.cache import BatchModel, RowFeed
from .drafters import NetworkDrafter, Writing
from .growth import Drafted

Tensor = torch.Tensor


class HeadModel(BatchModel):
    """A head and the KV cache of a batch; each token is fed with the state of the place before it.

    For tokens that are committed that is the target's, which :meth:`hear` is told, row by row, before they are read;
    for those of a tree it is the head's own at their parent.
    """

    def __init__(self, model: Any, *settings: Any, **options: Any) -> None:
        super().__init__(model, *settings, **options)
        self._none = torch.zeros((1, model.config.hidden_size), device=self.device)
        self._heard = [self._none] * len(self.contexts)
        self._begins = [0] * len(self.contexts)
        self._own = [self._none] * len(self.contexts)
        self._before = self._none[None]

    def restart(self, row: int) -> None:
        """A text begins in a batch row: before its first token there is no state."""
        self.contexts[row] = self._begins[row] = 0
        self._heard[row] = self._none

    def hear(self, row: int, states: Tensor) -> None:
        """The target's states (k, D) at the next places of a text, after those that were heard before."""
        read = self.contexts[row] - self._begins[row]
        self._heard[row] = torch.cat([self._heard[row][read:], states.float()])
        self._begins[row] = self.contexts[row]

    def prefill(self, row: int, tokens: Sequence[int]) -> None:
        """As :meth:`.BatchModel.prefill`; the states have been heard."""
        self._before = self._known(row, len(tokens))[None]
        super().prefill(row, tokens)

    def append(self, rows: int, lists: Sequence[Sequence[int]]) -> Tensor:
        """As :meth:`.BatchModel.append`; the states have been heard."""
        width = max(map(len, lists))
        known = [self._known(row, len(one)) for row, one in enumerate(lists)]
        pad = torch.nn.functional.pad
        self._before = torch.stack([pad(one, (0, 0, width - len(one), 0)) for one in known])
        logits = super().append(rows, lists)
        self._own[:rows] = self.states[:, -1:].unbind()
        return logits

    def _known(self, row: int, length: int) -> Tensor:
        """(length, D) the target's states before the next tokens of a row."""
        first = self.contexts[row] - self._begins[row]
        known = self._heard[row][first : first + length]
        assert len(known) == length, "a token is read once the state before it has been heard"
        return known

    def feed(self, rows: int | slice, tokens: Tensor, first: int, visible: Tensor) -> Tensor:
        """As :meth:`.BatchModel.feed`; the parent of each token was fed in an earlier pass, or is the root.

        A line of tokens, which only a clock has use for, reads the states that there are.
        """
        numbers = range(*(slice(0, rows) if isinstance(rows, int) else rows).indices(len(self.contexts)))
        own = torch.stack([self._own[row][: first + 1] for row in numbers])
        parents = _parents(visible, first).clamp(max=own.shape[1] - 1)
        self._before = own.gather(1, parents[..., None].expand(-1, -1, own.shape[2]))
        logits = super().feed(rows, tokens, first, visible)
        for row, states in zip(numbers, torch.cat([own, self.states], dim=1), strict=True):
            self._own[row] = states
        return logits

    def _run(self, **inputs: Any) -> Tensor:
        """The head's logits (B, kept, M) of its own tokens; keeps its states."""
        output = self.model(states=self._before, **inputs)
        self.states = output.states.float()
        return output.logits

    def take_over(self, source: int, row: int) -> None:
        """As :meth:`.BatchModel.take_over`, with what was heard."""
        super().take_over(source, row)
        self._heard[row], self._begins[row] = self._heard[source], self._begins[source]


def _parents(visible: Tensor, first: int) -> Tensor:
    """(B, n) of new tokens that see (B, n, first + n): 1 plus the last token that each descends from, 0 for none."""
    places = torch.arange(visible.shape[2], device=visible.device)
    above = visible & (places < places[first:, None])
    return torch.where(above, places + 1, 0).amax(dim=2)


class HeadFeed(RowFeed):
    """A :class:`.RowFeed` whose tokens are fed a level at a time: a child needs the state of its parent."""

    def feed(self, tokens: Sequence[int], parents: Sequence[int]) -> Tensor:
        """As :meth:`.RowFeed.feed`, in as few passes as have no parent and child in one."""
        logits: list[Tensor] = []
        while len(logits) < len(tokens):
            done, fed = len(logits), len(self.ancestors)
            ready = done + 1
            while ready < len(tokens) and parents[ready] < fed:
                ready += 1
            logits += super().feed(tokens[done:ready], parents[done:ready]).unbind()
        return torch.stack(logits)


class HeadDrafter(NetworkDrafter):
    """A head and a policy: nothing that it drafted stays in its cache, since the target's states come to be known."""

    listens = True
    row_feed = HeadFeed
    model: HeadModel

    def start(self, row: int, writing: Writing, states: Tensor | None = None) -> None:
        """Read the text, but for the last token, with the target's states along it; a text of one token has none."""
        self.model.restart(row)
        if states is not None:
            self.model.hear(row, states)
        self.model.prefill(row, writing.text[:-1])

    def hear(self, row: int, states: Tensor) -> None:
        """The target's states (k, D) at the root and along what was accepted."""
        self.model.hear(row, states)

    def draft(self, writings: Sequence[Writing]) -> Drafted:
        """As :meth:`.NetworkDrafter.draft`; the draft is said to have been fed nothing, so that all is read again."""
        drafted = super().draft(writings)
        return replace(drafted, fed=torch.full_like(drafted.fed, NONE))


