"""A batch decoder that is watched: what each step was and took, what it might have been, and how long passes take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from veridraft.theory.speed.rates import Term

from ..decoding.batch import Active, BatchDecoder, Verified
from ..decoding.drafting.drafters import Drafter, NetworkDrafter, Writing
from ..decoding.drafting.growth import Drafted
from ..decoding.memory import tree_advice
from ..decoding.passes.cache import BatchModel
from ..decoding.passes.finite_checks import pass_of
from ..decoding.passes.stopwatch import Reading, Span
from ..decoding.requests import Block
from ..models.backend import torch
from ..trees.tree_batch import TreeBatch

Size = tuple[int, int]
"""Of a pass: batch rows, and tokens in each."""

NETWORKS = {"draft": Term.DRAFT, "target": Term.TARGET}


class Watcher(Protocol):
    """Hears of every step."""

    def before(self, decoder: WatchedDecoder, active: Sequence[Active], drafter: Drafter) -> None:
        """A step is about to be made for the running requests."""

    def after(self, batch: TreeBatch, blocks: Sequence[Block], spent: Mapping[Term, Span]) -> None:
        """The step's trees with the target's rows, its blocks in their order, and where its time went."""


@dataclass(frozen=True, eq=False)
class Foreseen:
    """Trees drawn at the roots of the running requests, for none of them to use: with the target's rows.

    passes : by network the sizes of the passes that they took
    """

    batch: TreeBatch
    passes: Mapping[str, Sequence[Size]]


class WatchedDecoder(BatchDecoder):
    """A :class:`.BatchDecoder` that tells a watcher of every step; what it writes is the same.

    Draft and target: their passes, from tokens to float64 rows.  Verification: from the target's rows to the decisions.
    Overhead: all the rest of a step.  On a GPU every reading waits for the device, so that a step is slower for it.
    """

    watcher: Watcher

    @torch.inference_mode()
    def step(self, active: list[Active], drafter: Drafter) -> list[Block]:
        """As :meth:`.BatchDecoder.step`."""
        self.stopwatch.waits = True
        self.watcher.before(self, active, drafter)
        before, begin = dict(self.stopwatch.spans), self.stopwatch.now()
        blocks = super().step(active, drafter)
        total = self.stopwatch.now() - begin
        self.watcher.after(self._trees, blocks, self._spent(before, total))
        return blocks

    def _verify(self, active: Sequence[Active], drafted: Drafted, rows: torch.Tensor) -> Verified:
        verified = super()._verify(active, drafted, rows)
        self._trees = verified.batch
        return verified

    def _spent(self, before: Mapping[str, Span], total: Span) -> dict[Term, Span]:
        """The time of a step by term."""
        names = {pass_of(network): term for network, term in NETWORKS.items()} | {"verify": Term.VERIFICATION}
        spent = {term: self.stopwatch.spans[name] - before.get(name, 0) for name, term in names.items()}
        return spent | {Term.OVERHEAD: total - sum(spent.values())}

    @torch.inference_mode()
    def foresee(self, active: Sequence[Active], drafter: Drafter, rng: np.random.Generator) -> Foreseen:
        """Other trees at the same roots; drafter, caches and texts are left as they were."""
        readings: list[Reading] = []
        self.stopwatch.readings = readings
        writings = [Writing(one.writing.text, one.writing.unseen, rng) for one in active]
        with drafter.aside(), tree_advice(self.pair, len(active), self.skeleton.columns if self.skeleton else 0):
            drafted = drafter.draft(writings)
            rows = self._target_rows(active, drafted)
        self.stopwatch.readings = None
        return Foreseen(replace(drafted.batch, target=rows), {name: _sizes(readings, name) for name in NETWORKS})

    @torch.inference_mode()
    def time_pass(self, network: str, active: Sequence[Active], drafter: Drafter, size: Size) -> Span:
        """The time of one such pass behind the contexts, over what the texts ended in; it leaves nothing behind.

        The tokens matter: top-p takes longer on the flat rows behind a line that makes no sense.
        """
        model = self._model(network, drafter)
        rows, width = size
        texts = [active[row % len(active)].writing.text for row in range(rows)]
        tokens = torch.tensor([(text * width)[-width:] for text in texts], device=model.device)
        visible = torch.ones((rows, width, width), dtype=torch.bool, device=model.device).tril()
        begin = self.stopwatch.now()
        self.sampling.rows(model.feed(rows, tokens, 0, visible))
        return self.stopwatch.now() - begin

    def _model(self, network: str, drafter: Drafter) -> BatchModel:
        model = self.target if network == "target" else drafter.model if isinstance(drafter, NetworkDrafter) else None
        assert model is not None, "a network that made no pass has none to be timed"
        return model


def _sizes(readings: Sequence[Reading], network: str) -> list[Size]:
    """The sizes of a network's passes; what was done to make rows of their logits is no pass."""
    works = [reading.work for reading in readings if reading.phase == pass_of(network)]
    return [work for work in works if isinstance(work, tuple) and isinstance(work[0], int)]
