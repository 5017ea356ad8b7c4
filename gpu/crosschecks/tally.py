"""What a cell of a suite keeps of its steps: scores of all trees, and rounds that hold throughput against prediction.

Every other step is *compared*: before it, trees are drawn at its roots that it will not use
(:class:`.RootComparison`).  The steps between are *calibrating*: verification and overhead are foreseen by theirs;
passes by :class:`.PassTimes`, measured in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np

from veridraft.theory.speed.rates import Term
from veridraft.theory.verifiers.lifts import TreeLaw
from veridraft.theory.verifiers.table import get_verifier

from ..decoding.batch import Active
from ..decoding.drafting.drafters import Drafter
from ..decoding.passes.stopwatch import Span
from ..decoding.requests import Block
from ..decoding.step_watch import NETWORKS, Foreseen, Size, Spent, WatchedDecoder, Watcher
from ..latency.file import CLOCKS
from ..latency.pass_times import PassTimes
from ..latency.speed_check import RoundSums
from ..models.backend import torch
from ..trees.draw_rows import draws
from ..trees.tensor_tree import TensorTree
from ..trees.tree_batch import TreeBatch
from .cells import SuiteCell
from .scores import NO_COMPARISON, NO_SCORE, RootComparison, Score, surprise

MOST_ROUNDS = 16
"""The units of the intervals of throughput; fewer, of two passes each, in a short cell."""

PROBE_EVERY = 4
"""Passes are timed before one step in so many."""


@dataclass
class _Compared:
    """A compared step: its tokens foreseen, its passes foreseen, its tokens, its time."""

    expected: float
    passes: Mapping[str, Sequence[Size]]
    tokens: int
    spent: Spent


@dataclass
class _StepSum:
    """Any step: tokens of all its trees, emitted and by their laws, and its time."""

    trees: int
    tokens: int
    law_tokens: float
    spent: Spent


@dataclass
class CellTally(Watcher):
    """The watcher of a cell: hears of every step, and adds it up."""

    cell: SuiteCell
    passes: int
    rng: np.random.Generator
    coins: Score = NO_SCORE
    drafts: Score = NO_SCORE
    comparison: RootComparison = NO_COMPARISON
    trees: int = 0
    nodes: int = 0
    accepted: int = 0
    done: int = 0
    texts: dict[int, list[int]] = field(default_factory=dict)
    times: PassTimes = field(default_factory=PassTimes)
    predicting: float = 0.0
    _foreseen: Foreseen | None = None
    _compared: dict[int, _Compared] = field(default_factory=dict)
    _calibrating: dict[int, Spent] = field(default_factory=dict)
    _steps: list[_StepSum] = field(default_factory=list)
    by_depth: dict[str, Any] = field(default_factory=lambda: {"measured": np.zeros(0), "expected": np.zeros(0)})

    def before(self, decoder: WatchedDecoder, active: Sequence[Active], drafter: Drafter) -> None:
        """Foresee every other step, and time passes now and then."""
        begin = decoder.stopwatch.now()
        self._foreseen = None
        if self.done % 2:
            self._foreseen = decoder.foresee(active, drafter, self.rng)
            self.times.ask(self._foreseen.passes)
        if self.done % PROBE_EVERY == 1:
            self.times.measure(lambda network, size: decoder.time_pass(network, active, drafter, size))
        self.predicting += float((decoder.stopwatch.now() - begin)[0])

    def after(self, batch: TreeBatch, blocks: Sequence[Block], spent: Spent) -> None:
        """Score every tree, and keep the step's time.

        Laws of foreseen trees are computed no earlier: the step would find what they have in common with its own.
        """
        others = [self._law(tree) for tree in _trees(self._foreseen.batch)] if self._foreseen else []
        means = [self._score(tree, block, other) for tree, block, other in zip_longest(_trees(batch), blocks, others)]
        tokens = sum(block.tau + 1 for block in blocks)
        self._steps.append(_StepSum(len(blocks), tokens, sum(means) + len(means), spent))
        if self._foreseen is None:
            self._calibrating[self.done] = spent
        else:
            expected = sum(float(law.acceptance_length) + 1 for law in others)
            self._compared[self.done] = _Compared(expected, self._foreseen.passes, tokens, spent)
        self.done += 1

    def _law(self, tree: TensorTree) -> TreeLaw:
        return get_verifier(self.cell.verifier).law(tree.to_theory())

    def _score(self, tree: TensorTree, block: Block, other: TreeLaw | None) -> float:
        """One tree: its coins, its draws, its text, and the prediction at its root if there is one; E[tau | tree]."""
        law = self._law(tree)
        mean, variance = float(law.acceptance_length), float(law.variance)
        self.coins = self.coins.plus(block.tau - mean, variance)
        drawn = list(draws(tree, self.cell.policy))
        if drawn:
            more = surprise(torch.stack([row for row, _ in drawn]), [token for _, token in drawn])
            self.drafts = self.drafts.plus(more.total, more.variance, more.count)
        if other is not None:
            foreseen = float(other.acceptance_length), float(other.variance)
            self.comparison = self.comparison.plus(block.tau, mean, *foreseen)
        self.trees, self.nodes, self.accepted = self.trees + 1, self.nodes + tree.size, self.accepted + block.tau
        self.texts.setdefault(block.request, []).extend(block.tokens)
        _add_at(self.by_depth, "measured", np.eye(1, block.tau + 1, block.tau)[0])
        _add_at(self.by_depth, "expected", np.asarray(law.by_depth, dtype=float))
        return mean

    def rounds(self) -> list[dict[str, Any]]:
        """Records for :class:`.SpeedRow`, each of a run of passes that follow one another."""
        return [self._round(part) for part in self._parts(self.done // 2)]

    def speeds(self) -> list[dict[str, Any]]:
        """By round, of all passes: how many, their trees, tokens emitted and by the laws of the trees, and seconds."""
        return [_speed([self._steps[step] for step in part]) for part in self._parts(self.done)]

    @property
    def tokens_per_second(self) -> float:
        """Of all steps by the wall clock, all requests together; reading the prompts and looking on are left out."""
        seconds = sum(float(sum(step.spent.values(), start=np.zeros(2))[0]) for step in self._steps)
        return sum(step.tokens for step in self._steps) / seconds

    def _parts(self, most: int) -> list[list[int]]:
        """The steps in rounds, each of steps that follow one another; not more rounds than ``most``."""
        parts = np.array_split(np.arange(self.done), max(1, min(MOST_ROUNDS, most)))
        return [part.tolist() for part in parts]

    def _round(self, steps: Sequence[int]) -> dict[str, Any]:
        """The record of some steps; where none of them calibrates, all that do count."""
        sums = RoundSums()
        for step in steps:
            if step in self._compared:
                one = self._compared[step]
                sums.add(one.expected, self._seconds(one.passes), one.tokens, one.spent)
        near = [self._calibrating[step] for step in steps if step in self._calibrating]
        return sums.record(near or list(self._calibrating.values()))

    def _seconds(self, passes: Mapping[str, Sequence[Size]]) -> dict[Term, Span]:
        """The foreseen time of a step's passes, by network."""
        return {term: self.times.total(network, passes[network]) for network, term in NETWORKS.items()}


def _trees(batch: TreeBatch) -> list[TensorTree]:
    """The trees of a batch, one by one."""
    return [batch.tree(number) for number in range(batch.size)]


def _speed(steps: Sequence[_StepSum]) -> dict[str, Any]:
    """The sums of some steps."""
    seconds = {term.value: dict(zip(CLOCKS, np.sum([step.spent[term] for step in steps], axis=0).tolist(), strict=True))
               for term in Term}  # fmt: skip
    return {
        "passes": len(steps),
        "trees": sum(step.trees for step in steps),
        "tokens": sum(step.tokens for step in steps),
        "law_tokens": sum(step.law_tokens for step in steps),
        "seconds": seconds,
    }


def _add_at(sums: dict[str, Any], name: str, values: Any) -> None:
    """Add values to sums that may be shorter, or longer."""
    known = sums[name]
    total = np.zeros(max(len(known), len(values)))
    total[: len(known)] += known
    total[: len(values)] += values
    sums[name] = total
