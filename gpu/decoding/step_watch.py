"""A decoder that is watched: what each step was and took, what it might have been, and how long passes take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from veridraft.theory.policies.base import Policy
from veridraft.theory.speed.rates import Term

from ..models.backend import torch
from ..models.pairs import ModelPair
from ..trees.sampling import Sampling
from ..trees.tree_batch import TreeBatch
from .batch import Active, BatchDecoder, Verified
from .drafting.drafters import Drafter, NetworkDrafter, Writing
from .drafting.growth import Drafted
from .memory import tree_advice
from .passes.cache import BatchModel
from .passes.finite_checks import pass_of
from .passes.stopwatch import Lap, Span
from .requests import Block

Size = tuple[int, int]
"""Of a pass: batch rows, and tokens in each."""

Spent = Mapping[Term, Span]
"""Where the time of a step went."""

NETWORKS = {"draft": Term.DRAFT, "target": Term.TARGET}


class Watcher:
    """Hears of every step; this one does nothing about it."""

    def before(self, decoder: WatchedDecoder, active: Sequence[Active], drafter: Drafter) -> None:
        """A step is about to be made for the running requests."""

    def after(self, batch: TreeBatch, blocks: Sequence[Block], spent: Spent) -> None:
        """The step's trees with the target's rows, its blocks in their order, and where its time went."""


@dataclass(frozen=True, eq=False)
class Foreseen:
    """Trees drawn at the roots of the running requests, for none of them to use: with the target's rows.

    passes : by network the sizes of the passes that they took
    spent : by network the time of drafting them, and of looking at them
    """

    batch: TreeBatch
    passes: Mapping[str, Sequence[Size]]
    spent: Mapping[str, Span]


class WatchedDecoder(BatchDecoder):
    """A :class:`.BatchDecoder` that tells a watcher of every step; what it writes is the same.

    Draft and target: their passes, from tokens to float64 rows.  Verification: from the target's rows to the decisions.
    Overhead: all the rest of a step.  On a GPU every reading waits for the device, so that a step is slower for it.
    """

    def __init__(
        self,
        pair: ModelPair,
        verifier: str,
        policy: Policy,
        watcher: Watcher,
        sampling: Sampling | None = None,
        rows: int = 8,
    ) -> None:
        super().__init__(pair, verifier, policy, sampling, rows)
        self.watcher = watcher
        self.stopwatch.waits = True

    @torch.inference_mode()
    def step(self, active: list[Active], drafter: Drafter) -> list[Block]:
        """As :meth:`.BatchDecoder.step`."""
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
        """Other trees at the same roots; drafter, caches and texts are left as they were.

        ``drafter`` is the run's own, or another one whose network has read as much of the texts.
        """
        writings = [Writing(one.writing.text, one.writing.unseen, rng) for one in active]
        nodes = self.skeleton.columns if self.skeleton else 0
        with drafter.aside(), tree_advice(self.pair, len(active), nodes), self._laps() as laps:
            begin = self.stopwatch.now()
            drafted = drafter.draft(writings)
            middle = self.stopwatch.now()
            rows = self._target_rows(active, drafted)
            end = self.stopwatch.now()
        passes = {name: _sizes(laps, name) for name in NETWORKS}
        return Foreseen(replace(drafted.batch, target=rows), passes, {"draft": middle - begin, "target": end - middle})

    @contextmanager
    def _laps(self) -> Iterator[list[Lap]]:
        """The list of all uses of a phase that are made inside."""
        laps: list[Lap] = []
        self.stopwatch.laps = laps
        try:
            yield laps
        finally:
            self.stopwatch.laps = None

    def time_pass(self, network: str, active: Sequence[Active], drafter: Drafter, size: Size) -> Span:
        """The time of one such pass behind the contexts, over what the texts ended in; it leaves nothing behind.

        The tokens matter: top-p takes longer on the flat rows behind a line that makes no sense.
        """
        model = self._model(network, drafter)
        rows, width = size
        texts = [active[row % len(active)].writing.text for row in range(rows)]
        tokens = [(text * width)[-width:] for text in texts]
        return time_pass(model, tokens, self.sampling)

    def _model(self, network: str, drafter: Drafter) -> BatchModel:
        model = self.target if network == "target" else drafter.model if isinstance(drafter, NetworkDrafter) else None
        assert model is not None, "a network that made no pass has none to be timed"
        return model


@torch.inference_mode()
def time_pass(model: BatchModel, lines: Sequence[Sequence[int]], sampling: Sampling) -> Span:
    """The time of one pass over lines of tokens (B, n) behind the contexts, up to float64 rows; nothing is kept.

    By the clock of the model's stopwatch, which waits for the device or not.
    """
    tokens, stopwatch = torch.tensor(lines, device=model.device), model.stopwatch
    rows, width = tokens.shape
    visible = torch.ones((rows, width, width), dtype=torch.bool, device=model.device).tril()
    before = stopwatch.spans[model.phase]
    logits = model.feed(rows, tokens, 0, visible)
    with stopwatch.phase(model.phase):
        sampling.rows(logits)
    return stopwatch.spans[model.phase] - before


def _sizes(laps: Sequence[Lap], network: str) -> list[Size]:
    """The sizes of a network's passes; what was done to make rows of their logits is no pass."""
    works: list[Any] = [lap.work for lap in laps if lap.phase == pass_of(network)]
    return [work for work in works if isinstance(work, tuple) and isinstance(work[0], int)]
