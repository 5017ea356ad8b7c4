"""Time on a device, and a decoder that says where a step's time goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter, process_time
from typing import Any

import numpy as np

from veridraft.theory.speed.rates import Term

from ..models.backend import torch
from .drafting.forest import Forest
from .passes.stopwatch import Span
from .passes.tree_attention import Rows
from .single import Decoder, Request, Step

Spent = dict[Term, Span]
"""The parts of one step."""

_NETWORKS = {"draft": Term.DRAFT, "target": Term.TARGET}


def now(device: torch.device) -> Span:
    """The two clocks, once the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return np.array([perf_counter(), process_time()])


class TimedDecoder(Decoder):
    """A :class:`.Decoder` whose ``spent`` holds the parts of the last step; what it writes is the same.

    Draft and target: their passes, from tokens to float64 rows.  Verification: from the target's rows to the
    outcome, the tree being put together.  Overhead: all the rest (drawing tokens, caches, text).  On a GPU every
    reading waits for the device, so that a step is slower than without them.
    """

    spent: Spent

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._parts = {term: np.zeros(2) for term in Term}
        self._counts, self._in_step = False, False
        self._before, self._mark = np.zeros(2), np.zeros(2)

    def start(self, prompt: str | Sequence[int], max_new_tokens: int = 128) -> Request:
        """A request both networks of which are watched."""
        request = super().start(prompt, max_new_tokens)
        for name in _NETWORKS:
            model = getattr(request, name)
            model.feed = self._watched(name, model.feed)
        return request

    def open(self, request: Request) -> None:
        """As :meth:`.Decoder.open`; its time counts for the step that follows."""
        begin = now(self.pair.device)
        self._counts = True
        super().open(request)
        self._counts = self._in_step
        if not self._in_step:
            self._before += now(self.pair.device) - begin

    def step(self, request: Request) -> Step:
        """As :meth:`.Decoder.step`."""
        begin = now(self.pair.device)
        self._counts = self._in_step = True
        try:
            step = super().step(request)
        finally:
            self._counts = self._in_step = False
        total = self._before + now(self.pair.device) - begin
        self._parts[Term.OVERHEAD] = total - sum(self._parts.values())
        self.spent = self._parts
        self._parts, self._before = {term: np.zeros(2) for term in Term}, np.zeros(2)
        return step

    def target_rows(self, request: Request, forest: Forest) -> torch.Tensor:
        """As :meth:`.Decoder.target_rows`."""
        rows = super().target_rows(request, forest)
        self._mark = now(self.pair.device)
        return rows

    def rows(self, network: str) -> Rows:
        """As :meth:`.Decoder.rows`, watched."""
        return self._watched(network, super().rows(network))

    def _commit(self, *arguments: Any) -> tuple[int, ...]:
        self._parts[Term.VERIFICATION] += now(self.pair.device) - self._mark
        return super()._commit(*arguments)

    def _watched(self, network: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time added to the network's part while a step is counted."""

        def timed(*arguments: Any, **options: Any) -> Any:
            begin = now(self.pair.device)
            result = function(*arguments, **options)
            if self._counts:
                self._parts[_NETWORKS[network]] += now(self.pair.device) - begin
            return result

        return timed
