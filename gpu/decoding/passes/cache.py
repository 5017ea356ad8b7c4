"""A network over several requests at once: tree attention behind one preallocated KV cache, written in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models import backend
from ...models.backend import torch, transformers
from ...trees.tree_batch import NONE
from .stopwatch import Stopwatch

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class Window:
    """Where a pass reads and writes: the batch rows, the slot (B, n) of each new token, and how many slots are seen.

    ``run`` is the first slot of a single row whose slots follow one another, else ``None``.
    """

    rows: slice
    slots: Tensor
    stop: int
    run: int | None = None


class SlotLayer(transformers.DynamicLayer):
    """Keys and values of one layer: buffers (B, heads, capacity, width), allocated once and never copied whole."""

    def __init__(self, rows: int, capacity: int) -> None:
        super().__init__()
        self.rows, self.capacity = rows, capacity
        self.window: Window | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write the new states (B, heads, n, width) at the window's slots; all keys and values that it sees."""
        assert self.window is not None, "a pass sets the window"
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = (self._buffer(states) for states in (key_states, value_states))
        window = self.window
        for buffer, states in ((self.keys, key_states), (self.values, value_states)):
            if window.run is not None:
                buffer[window.rows, :, window.run : window.run + states.shape[2]] = states
            else:
                rows, slots = buffer[window.rows], window.slots.to(states.device)  # not on the tokens' device, maybe
                rows.transpose(1, 2)[_numbers(rows), slots] = states.transpose(1, 2)
        return self.keys[window.rows, :, : window.stop], self.values[window.rows, :, : window.stop]

    def _buffer(self, states: Tensor) -> Tensor:
        """Slots that were never written are zero, since a masked value must be finite to count for nothing."""
        return states.new_zeros((self.rows, states.shape[1], self.capacity, states.shape[3]))

    def grow(self, capacity: int) -> None:
        """Make room for so many slots; what lies in them stays."""
        self.capacity = capacity
        if self.is_initialized:
            self.keys, self.values = (_longer(buffer, capacity) for buffer in (self.keys, self.values))

    def move(self, rows: slice, source: Tensor, slots: Tensor) -> None:
        """Copy what lies in ``source`` (B, k) to ``slots`` (B, k), in each of the batch rows."""
        for buffer in (self.keys, self.values):
            view = buffer[rows]
            numbers = _numbers(view)
            view[numbers, :, slots.to(view.device)] = view[numbers, :, source.to(view.device)]

    def copy_row(self, source: int, row: int, length: int) -> None:
        """Copy the first slots of a batch row into another."""
        for buffer in (self.keys, self.values):
            buffer[row, :, :length] = buffer[source, :, :length]

    def get_seq_length(self) -> int:
        """The number of slots that the current pass sees."""
        return self.window.stop if self.window else 0


def _longer(buffer: Tensor, capacity: int) -> Tensor:
    """A buffer with more slots, the new ones zero."""
    longer = buffer.new_zeros((*buffer.shape[:2], capacity, buffer.shape[3]))
    longer[:, :, : buffer.shape[2]] = buffer
    return longer


def _numbers(view: Tensor) -> Tensor:
    """(B, 1): 0, 1, ..., B - 1."""
    return torch.arange(view.shape[0], device=view.device)[:, None]


class BatchModel:
    """A network and the KV cache of up to ``rows`` requests, each of ``capacity`` slots, or more if a tree needs them.

    ``contexts`` holds how many slots of each row are committed.  Behind them lie the slots of tokens fed since;
    they count for nothing until :meth:`keep`.  The last slot of a row takes what is to be forgotten.  Every pass is a
    use of the phase ``phase`` of ``stopwatch``, its work the number of batch rows and of tokens in each.

    With ``keeps_states``, ``states`` holds those (B, n, D) of the last pass: what the output layer reads.
    """

    def __init__(
        self,
        model: Any,
        rows: int,
        capacity: int,
        stopwatch: Stopwatch | None = None,
        phase: str = "pass",
        keeps_states: bool = False,
    ) -> None:
        self.model, self.capacity, self.phase = model, capacity + 1, phase
        self.device = next(model.parameters()).device
        count = model.config.num_hidden_layers
        self.layers = [SlotLayer(rows, self.capacity) for _ in range(count)]
        self.cache = transformers.Cache(layers=self.layers)
        self.contexts = [0] * rows
        self.stopwatch = stopwatch or Stopwatch(self.device)
        self.keeps_states, self.states = keeps_states, torch.empty((1, 0, 0))

    def prefill(self, row: int, tokens: Sequence[int]) -> None:
        """Commit tokens that follow the context of one batch row, in one pass; their logits are not computed."""
        if tokens:
            count = len(tokens)
            visible = torch.ones((1, count, count), dtype=torch.bool, device=self.device).tril()
            self._pass(slice(row, row + 1), torch.tensor([list(tokens)], device=self.device), 0, visible, 1)
            self.contexts[row] += count

    def append(self, rows: int, lists: Sequence[Sequence[int]]) -> Tensor:
        """Logits (B, V) after tokens, at least one, that follow each of the first contexts; they are committed.

        Shorter lists are padded on the left; the padding is written to the forgotten slot.
        """
        width = max(map(len, lists))
        tokens = torch.tensor([[0] * (width - len(one)) + list(one) for one in lists], device=self.device)
        steps = torch.arange(width, device=self.device)
        pads = torch.tensor([width - len(one) for one in lists], device=self.device)
        places = steps[None] - pads[:, None]
        visible = (steps <= places[..., None]) | (places < 0)[..., None]  # padding sees what there is
        uneven = len(set(map(len, lists))) > 1
        logits = self._pass(slice(0, rows), tokens, 0, visible, 1, places if uneven else None)
        for row, one in enumerate(lists):
            self.contexts[row] += len(one)
        return logits[:, 0]

    def feed(self, rows: int | slice, tokens: Tensor, first: int, visible: Tensor) -> Tensor:
        """Logits (B, n, V) after new tokens (B, n) that lie ``first`` slots behind the contexts; uncommitted.

        ``rows`` are the first batch rows, as many as it says, or a slice of them.
        ``visible`` (B, n, first + n) says which of the uncommitted tokens each of the new ones descends from, itself
        included; what it does not descend from it does not see.
        """
        batch = slice(0, rows) if isinstance(rows, int) else rows
        return self._pass(batch, tokens, first, visible, tokens.shape[1])

    def _pass(
        self, rows: slice, tokens: Tensor, first: int, visible: Tensor, kept: int, places: Tensor | None = None
    ) -> Tensor:
        """One pass; ``places`` (B, n) are the slots behind the context where they do not follow one another."""
        with self.stopwatch.phase(self.phase, tuple(tokens.shape)):
            return self._logits(rows, tokens, first, visible, kept, places)

    def _logits(
        self, rows: slice, tokens: Tensor, first: int, visible: Tensor, kept: int, places: Tensor | None
    ) -> Tensor:
        bases = self.contexts[rows]
        context = torch.tensor(bases, device=self.device)[:, None]
        stop = max(bases) + visible.shape[2]
        self._make_room(stop)
        width = tokens.shape[1]
        if places is None:
            slots = context + torch.arange(first, first + width, device=self.device)
        else:
            slots = torch.where(places >= 0, context + places, self.capacity - 1)
        run = bases[0] + first if len(bases) == 1 and places is None else None
        window = Window(rows, slots, stop, run)
        for layer in self.layers:
            layer.window = window
        positions = context + visible.sum(dim=2) - 1
        return self._run(
            input_ids=tokens,
            position_ids=positions if places is None else torch.where(places >= 0, context + places, 0),
            attention_mask=_mask(bases, context, visible),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=kept,
        )

    def _run(self, **inputs: Any) -> Tensor:
        """The logits of the network for these inputs; keeps the states if that is wanted."""
        if not self.keeps_states:
            return self.model(**inputs).logits
        output = self.model(**inputs, output_hidden_states=True)
        self.states = output.hidden_states[-1]
        return output.logits

    def _make_room(self, stop: int) -> None:
        """Half as many slots again as are needed, if there are too few of them; the last one is not for use."""
        if stop >= self.capacity:
            self.capacity = stop + stop // 2 + 1
            for layer in self.layers:
                layer.grow(self.capacity)

    def move(self, rows: int, source: Tensor) -> None:
        """Bring uncommitted tokens to the front: place j behind a context gets what lies ``source[:, j]`` behind it.

        Where reading back is free, nothing is done for tokens that lie in their places.
        """
        places = torch.arange(source.shape[1], device=self.device).expand_as(source)
        if backend.are_free(source) and torch.equal(source, places):
            return
        context = torch.tensor(self.contexts[:rows], device=self.device)[:, None]
        for layer in self.layers:
            layer.move(slice(0, rows), context + source, context + places)

    def keep(self, counts: Sequence[int]) -> None:
        """Commit the first uncommitted tokens, as many of each row as given; forget the others."""
        for row, count in enumerate(counts):
            self.contexts[row] += count

    def take_over(self, source: int, row: int) -> None:
        """Let a batch row go on as another did."""
        self.contexts[row] = self.contexts[source]
        for layer in self.layers:
            layer.copy_row(source, row, self.contexts[row])

    def cache_bytes(self) -> int:
        """The bytes that keys and values take."""
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in self.layers if layer.is_initialized)


def _mask(bases: Sequence[int], context: Tensor, visible: Tensor) -> Tensor:
    """(B, 1, n, stop) bool: the contexts (B,), a tensor (B, 1) too, and of what lies behind them the visible (B, n, u).

    ``stop`` is the end of what lies behind the longest context.
    """
    rows, new, seen = visible.shape
    if min(bases) == max(bases):
        return torch.cat([visible.new_ones(()).expand(rows, new, bases[0]), visible], dim=2)[:, None]
    behind = torch.arange(max(bases) + seen, device=context.device)[None] - context
    index = behind.clamp(0, seen - 1)[:, None].expand(-1, new, -1)
    inside = ((behind >= 0) & (behind < seen))[:, None]
    return ((behind < 0)[:, None] | (inside & visible.gather(2, index)))[:, None]


class RowFeed:
    """One batch row of a :class:`BatchModel`, fed a tree piece by piece: for drafts that follow no skeleton."""

    def __init__(self, batch: BatchModel, row: int) -> None:
        self.batch, self.row = batch, row
        self.ancestors = np.zeros((0, 0), dtype=bool)

    def feed(self, tokens: Sequence[int], parents: Sequence[int]) -> Tensor:
        """Logits (n, V) after new tokens; parents are numbers among those fed before, or ``NONE``; uncommitted."""
        old = len(self.ancestors)
        self.ancestors = extended(self.ancestors, parents)
        visible = torch.from_numpy(self.ancestors[old:]).to(self.batch.device)[None]
        fed = torch.tensor([list(tokens)], device=self.batch.device)
        return self.batch.feed(slice(self.row, self.row + 1), fed, old, visible)[0]


def extended(ancestors: NDArray[np.bool_], parents: Sequence[int]) -> NDArray[np.bool_]:
    """(m + n, m + n) bool: who descends from whom, itself included, after n tokens joined the m of (m, m).

    A parent is a number among the m + n tokens, below the token's own, or ``NONE``.
    """
    size = len(ancestors)
    grown = np.zeros((size + len(parents), size + len(parents)), dtype=bool)
    grown[:size, :size] = ancestors
    for token, parent in enumerate(parents, start=size):
        if parent != NONE:
            grown[token] = grown[parent]
        grown[token, token] = True
    return grown
