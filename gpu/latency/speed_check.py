"""A run that measures throughput and predicts it, its latencies measured in between.

A round measures every pass of a small grid once, and then for each verifier writes a piece of a text: one step that is
not looked at, then in turn a *calibrating* step, from which verification and overhead are taken, and a *measured*
one.  Before a measured step its tokens and its time are predicted: at its root trees are drawn that the step will
not use; their laws give the tokens; their shapes and the round's passes, with its calibrating steps, give the time.
Rounds depend on the seed alone, and are kept as they finish.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from veridraft.theory.policies.arguments import get_policy
from veridraft.theory.policies.base import Policy
from veridraft.theory.speed.latency import PassTable
from veridraft.theory.speed.rates import Term
from veridraft.theory.speed.schedules import Schedule
from veridraft.theory.verifiers.table import Verifier, get_verifier

from ..decoding.batch import Active
from ..decoding.drafting.drafters import Drafter, Writing
from ..decoding.passes.cache import BatchModel
from ..decoding.passes.stopwatch import Span, Stopwatch
from ..decoding.requests import Block, Request
from ..decoding.step_watch import Foreseen, Size, Spent, WatchedDecoder, Watcher
from ..models.machine import machine_of
from ..models.pairs import ModelPair
from ..models.prompts import PROMPTS
from ..trees.sampling import Sampling
from ..trees.tree_batch import TreeBatch
from ..verification.theory_route import too_large
from .file import CLOCKS
from .measure import time_size, warm_model
from .speed_rows import SpeedFile

TREES = 2
"""Trees drawn at a root to predict it."""


@dataclass(frozen=True)
class SpeedPlan:
    """What a run does, checked when it is made; ``steps`` are measured ones of each verifier in each round.

    Texts of policies in ``rows`` are read.
    """

    rows: tuple[tuple[str, Policy], ...]
    rounds: int = 20
    steps: int = 2
    seed: int = 0
    temperature: float = 1.0
    prompts: tuple[Any, ...] = PROMPTS

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple((name, get_policy(policy)) for name, policy in self.rows))
        for name in ("rounds", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, but is {self.seed}")
        Sampling(self.temperature)
        if not self.rows or not self.prompts:
            raise ValueError("rows and prompts must hold at least one each")
        for verifier, policy in self.rows:
            get_verifier(verifier).require(policy)

    @property
    def most_tokens(self) -> int:
        """No text of a round is longer."""
        return (2 * self.steps + 2) * (1 + max(policy.depth for _, policy in self.rows))

    def settings(self, pair: ModelPair) -> dict[str, Any]:
        """What a file must agree in before it is continued; more rounds may be asked for."""
        return {
            "target": pair.target_name, "draft": pair.draft_name, "device": pair.device.type, "dtype": pair.dtype,
            "rows": [[verifier, policy.name] for verifier, policy in self.rows], "steps": self.steps,
            "seed": self.seed, "temperature": self.temperature, "rounds": self.rounds,
            "cells": [[verifier, policy.name, turn] for turn in range(self.rounds) for verifier, policy in self.rows],
        }  # fmt: skip


def check_speed(
    pair: ModelPair, plan: SpeedPlan, out: str | Path | None = None, command: str = ""
) -> Iterator[tuple[int, int, SpeedFile]]:
    """Rounds of a row that are done, rounds in all, and the file in the folder ``out``: at once, then after each.

    Raises ``ValueError``, before any work, for a file with other settings, for prompts that the pair cannot read, texts
    that would outgrow the target's positions, and verifiers that the vocabulary is too large for.
    """
    prompts = [pair.encode(prompt) for prompt in plan.prompts]
    for verifier, policy in plan.rows:
        if reason := too_large(verifier, policy, pair.vocabulary_size):
            raise ValueError(reason)
    limit = getattr(pair.target.config, "max_position_embeddings", None)
    needed = max(map(len, prompts)) + plan.most_tokens + max(policy.depth for _, policy in plan.rows)
    if limit is not None and needed > limit:
        raise ValueError(f"prompt and text need {needed} positions, but the target has {limit}")
    file = SpeedFile.open(out, command, plan.settings(pair), machine_of(pair.device))
    return _rounds(pair, plan, file, prompts)


def _rounds(
    pair: ModelPair, plan: SpeedPlan, file: SpeedFile, prompts: Sequence[tuple[int, ...]]
) -> Iterator[tuple[int, int, SpeedFile]]:
    total = len(file.planned)
    yield len(file.finished), total, file
    passes = _Passes(pair, plan, prompts) if file.missing else None
    for turn, cells in groupby(file.missing, key=lambda key: key[2]):
        missing = {key[:2] for key in cells}
        assert passes is not None
        tables = passes.measured()
        for place in np.random.default_rng([plan.seed, turn]).permutation(len(plan.rows)).tolist():
            verifier, policy = plan.rows[place]
            if (verifier, policy.name) in missing:
                found = _round(pair, plan, plan.rows[place], prompts[turn % len(prompts)], turn, tables)
                file.add({"verifier": verifier, "policy": policy.name, "round": turn} | found)
                yield len(file.finished), total, file


Tables = dict[str, tuple[PassTable, PassTable]]
"""By network, the passes of a round by the wall clock and in CPU time."""


class _Passes:
    """The grid of passes: contexts on both sides of all that occur, sizes up to the largest tree."""

    def __init__(self, pair: ModelPair, plan: SpeedPlan, prompts: Sequence[Sequence[int]]) -> None:
        schedules = [Schedule.of_policy(policy) for _, policy in plan.rows]
        nodes, width = max(s.nodes for s in schedules), max(max(s.draft, default=1) for s in schedules)
        longest = max(map(len, prompts)) + plan.most_tokens + nodes
        self.contexts = (min(map(len, prompts)), longest)
        self.sizes = {"target": _grid(nodes), "draft": _grid(max(2, width))}
        self.sampling, self.rng = Sampling(plan.temperature), np.random.default_rng([plan.seed, crc32(b"passes")])
        stopwatch = Stopwatch(pair.device, waits=True)
        self.models: dict[tuple[str, int], BatchModel] = {
            (name, context): warm_model(getattr(pair, name), context, sizes, self.rng, stopwatch)
            for name, sizes in self.sizes.items()
            for context in self.contexts
        }

    def measured(self) -> Tables:
        """Every pass measured once, in random order."""
        cells = [(name, c, size) for name, sizes in self.sizes.items() for c in self.contexts for size in sizes]
        spent: dict[Any, Span] = {}
        for place in self.rng.permutation(len(cells)):
            name, context, size = cells[place]
            spent[cells[place]] = time_size(self.models[name, context], size, self.sampling, self.rng)
        return {name: (self._table(spent, name, 0), self._table(spent, name, 1)) for name in self.sizes}

    def _table(self, spent: Mapping[Any, Span], name: str, clock: int) -> PassTable:
        sizes = self.sizes[name]
        rows = tuple(tuple(float(spent[name, c, size][clock]) for size in sizes) for c in self.contexts)
        return PassTable(self.contexts, sizes, rows, name=f"{name} pass")


def _grid(largest: int) -> tuple[int, ...]:
    """1, 2, 4, ... and the largest."""
    return tuple(sorted({1, 2, 4, 8, 16, 32, 64, largest} & set(range(1, largest + 1))))


class RoundSums:
    """What a round's measured steps add up to: tokens and time, each measured and predicted."""

    def __init__(self) -> None:
        self.steps, self.tokens, self.expected = 0, 0, 0.0
        self.seconds = {term: np.zeros(2) for term in Term}
        self.foreseen = {term: np.zeros(2) for term in Term}

    def add(self, expected: float, foreseen: Spent, tokens: int, spent: Spent) -> None:
        """One more step: its tokens and passes foreseen, its tokens, its time."""
        self.steps, self.tokens, self.expected = self.steps + 1, self.tokens + tokens, self.expected + expected
        for term in Term:
            self.seconds[term] += spent[term]
            self.foreseen[term] += foreseen.get(term, 0)

    def record(self, calibrated: Sequence[Spent]) -> dict[str, Any]:
        """The round as the file holds it, verification and overhead predicted by the calibrating steps."""
        for term in (Term.VERIFICATION, Term.OVERHEAD):
            if calibrated:
                self.foreseen[term] = np.mean([spent[term] for spent in calibrated], axis=0) * self.steps
        kinds = {"seconds": self.seconds, "predicted_seconds": self.foreseen}
        held = {kind: {term.value: dict(zip(CLOCKS, values[term].tolist(), strict=True)) for term in Term}
                for kind, values in kinds.items()}  # fmt: skip
        return {"steps": self.steps, "tokens": self.tokens, "predicted_tokens": self.expected, **held}


def _round(
    pair: ModelPair, plan: SpeedPlan, row: tuple[str, Policy], prompt: Sequence[int], turn: int, tables: Tables
) -> dict[str, Any]:
    """The sums of one round of a row; a text that ends early ends the round's steps."""
    streams = np.random.default_rng([plan.seed, turn, crc32(repr(row).encode())]).spawn(2)
    watcher = _Round(get_verifier(row[0]), tables, streams[1])
    decoder = WatchedDecoder(pair, *row, watcher, Sampling(plan.temperature), rows=1)
    request = Request(prompt, plan.most_tokens, int(streams[0].integers(2**63)))
    with closing(decoder.stream([request])) as blocks:
        while watcher.sums.steps < plan.steps and next(blocks, None):
            pass
    return watcher.sums.record(watcher.calibrated)


@dataclass
class _Round(Watcher):
    """A round of one text: one step that is not looked at, then in turn a calibrating and a measured one."""

    verifier: Verifier
    tables: Tables
    rng: np.random.Generator
    done: int = 0
    foreseen: list[Foreseen] = field(default_factory=list)
    passes: dict[Term, Span] = field(default_factory=dict)
    calibrated: list[Spent] = field(default_factory=list)
    sums: RoundSums = field(default_factory=RoundSums)

    def before(self, decoder: WatchedDecoder, active: Sequence[Active], drafter: Drafter) -> None:
        """Before a measured step, draw trees at the request's root that it will not use, and say what passes take."""
        measured = self.done > 0 and self.done % 2 == 0
        self.foreseen = [decoder.foresee(active, drafter, self.rng) for _ in range(TREES if measured else 0)]
        if measured:
            self.passes = _foreseen_passes(self.tables, self.foreseen, active[0].writing)

    def after(self, batch: TreeBatch, blocks: Sequence[Block], spent: Spent) -> None:
        """Take the step; laws are computed no earlier: the step would find what they have in common with its own."""
        if self.foreseen:
            laws = [self.verifier.law(one.batch.tree(0).to_theory()) for one in self.foreseen]
            expected = float(np.mean([float(law.block_efficiency) for law in laws]))
            self.sums.add(expected, self.passes, blocks[0].tau + 1, spent)
        elif self.done:
            self.calibrated.append(spent)
        self.done += 1


def _foreseen_passes(tables: Tables, foreseen: Sequence[Foreseen], writing: Writing) -> dict[Term, Span]:
    """The time of the passes over trees below a text, the draft's behind what it has read; means over the trees."""
    context, read = len(writing.text) - 1, len(writing.text) - len(writing.unseen)
    drafts = [_draft_seconds(tables["draft"], read, one.passes["draft"]) for one in foreseen]
    targets = [_seconds(tables["target"], context, one.passes["target"][0][1]) for one in foreseen]
    return {Term.DRAFT: np.mean(drafts, axis=0), Term.TARGET: np.mean(targets, axis=0)}


def _seconds(tables: tuple[PassTable, PassTable], context: int, new: int) -> Span:
    """One pass by both clocks."""
    return np.array([table.seconds(context, new) for table in tables])


def _draft_seconds(tables: tuple[PassTable, PassTable], context: int, passes: Sequence[Size]) -> Span:
    """Passes of one row one after another, each behind what the earlier ones fed."""
    spent = np.zeros(2)
    for _, new in passes:
        spent += _seconds(tables, context, new)
        context += new
    return spent
