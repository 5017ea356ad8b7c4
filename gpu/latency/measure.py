"""A microbenchmark of what a step is made of: passes of both networks, verification, overhead.

Rounds are the repetitions: each measures every cell once, in an order of its own, so that a slow spell of the machine
falls on all cells alike.  What is finished is written block by block, and a stopped run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from veridraft.theory.policies.arguments import get_policy
from veridraft.theory.policies.base import Policy
from veridraft.theory.speed.rates import Term
from veridraft.theory.verifiers.table import get_verifier

from ..decoding.passes.cache import BatchModel
from ..decoding.passes.stopwatch import Span, Stopwatch
from ..decoding.requests import Block, Request
from ..decoding.step_watch import Spent, WatchedDecoder, Watcher, time_pass
from ..models.backend import torch
from ..models.machine import machine_of
from ..models.names import is_random
from ..models.pairs import ModelPair
from ..trees.sampling import Sampling
from ..trees.tree_batch import TreeBatch
from .file import LatencyFile, pass_cell, step_cell

STEPS_OF_A_TEXT = 32
"""A text that is written to time steps is begun anew after so many."""

WARM_STEPS = 2
"""So many of the first steps of a text are not counted."""


@dataclass(frozen=True)
class LatencyPlan:
    """What is measured, checked when it is made.

    contexts : cached tokens behind which passes are timed; sizes, draft_sizes : tokens of the target's and the
    draft's passes; steps are decoded with every one of ``verifiers`` on every one of ``policies``, which may be texts,
    that it takes
    """

    contexts: tuple[int, ...]
    sizes: tuple[int, ...]
    draft_sizes: tuple[int, ...]
    verifiers: tuple[str, ...]
    policies: tuple[Policy, ...]
    rounds: int = 10
    seed: int = 0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "policies", tuple(map(get_policy, self.policies)))
        for name, least in (("contexts", 0), ("sizes", 1), ("draft_sizes", 1)):
            values = getattr(self, name)
            if not values or list(values) != sorted(set(values)) or values[0] < least:
                raise ValueError(f"{name} must rise from {least} or more, but are {values}")
        for name, least in (("rounds", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, but is {getattr(self, name)}")
        Sampling(self.temperature)
        for name in self.verifiers:
            if not any(get_verifier(name).supports(policy) for policy in self.policies):
                raise ValueError(f"verifier {name!r} takes none of the policies {[p.name for p in self.policies]}")

    @property
    def step_cells(self) -> list[tuple[str, Policy]]:
        """The pairs of a verifier and a policy that it is lossless for."""
        return [(name, policy) for name in self.verifiers for policy in self.policies
                if get_verifier(name).supports(policy)]  # fmt: skip

    def settings(self, pair: ModelPair) -> dict[str, Any]:
        """What a file must agree in before it is continued; more rounds may be asked for."""
        return {
            "target": pair.target_name,
            "draft": pair.draft_name,
            "device": pair.device.type,
            "dtype": pair.dtype,
            "timing_only": is_random(pair.target_name),
            "contexts": list(self.contexts),
            "sizes": list(self.sizes),
            "draft_sizes": list(self.draft_sizes),
            "verifiers": list(self.verifiers),
            "policies": [policy.name for policy in self.policies],
            "seed": self.seed,
            "temperature": self.temperature,
            "rounds": self.rounds,
            "cells": [[block, turn] for turn in range(self.rounds) for block in self.blocks()],
        }

    def blocks(self) -> list[str]:
        """The names of all that a round measures once: passes by network, context and size, then steps."""
        sizes = {"target": self.sizes, "draft": self.draft_sizes}
        passes = [pass_cell(name, context, size) for name in sizes for context in self.contexts for size in sizes[name]]
        return passes + [step_cell(verifier, policy.name) for verifier, policy in self.step_cells]


def measure_latency(
    pair: ModelPair, plan: LatencyPlan, out: str | Path | None = None, command: str = ""
) -> Iterator[tuple[int, int, LatencyFile]]:
    """Samples taken, samples in all, and the file in the folder ``out``: at once, then after each.

    Raises ``ValueError``, before any work, for a file with other settings, another machine or other versions, and for
    contexts beyond the networks' positions.
    """
    limit = min(getattr(model.config, "max_position_embeddings", 2**60) for model in (pair.target, pair.draft))
    needed = plan.contexts[-1] + max(plan.sizes[-1], plan.draft_sizes[-1])
    if needed > limit:
        raise ValueError(f"contexts and sizes need {needed} positions, but the networks have {limit}")
    file = LatencyFile.open(out, command, plan.settings(pair), machine_of(pair.device))
    return _measured(file, _Blocks(pair, plan, file))


def _measured(file: LatencyFile, blocks: _Blocks) -> Iterator[tuple[int, int, LatencyFile]]:
    total = len(file.planned)
    yield len(file.finished), total, file
    for turn in range(blocks.plan.rounds):
        for place in np.random.default_rng([blocks.plan.seed, turn]).permutation(len(blocks.names)):
            for record in blocks.run(blocks.names[place], turn):
                file.add(record)
                yield len(file.finished), total, file


class _Blocks:
    """What a round measures: all sizes of a network at one context, or one step of a verifier with a policy."""

    def __init__(self, pair: ModelPair, plan: LatencyPlan, file: LatencyFile) -> None:
        self.pair, self.plan, self.file = pair, plan, file
        self.names: list[tuple[Any, ...]] = [(name, c) for name in ("target", "draft") for c in plan.contexts]
        self.names += plan.step_cells
        self.stopwatch = Stopwatch(pair.device, waits=True)
        self._models: dict[tuple[Any, ...], BatchModel] = {}
        self._steps: dict[tuple[Any, ...], Iterator[tuple[int, Spent]]] = {}

    def run(self, name: tuple[Any, ...], turn: int) -> Iterator[dict[str, Any]]:
        """The samples that the round lacks of it."""
        if name[0] in ("target", "draft"):
            yield from self._passes(name, turn)
        elif (step_cell(name[0], name[1].name), turn) not in self.file.finished:
            yield {"block": step_cell(name[0], name[1].name), "round": turn} | self._step(*name)

    def _passes(self, name: tuple[str, int], turn: int) -> Iterator[dict[str, Any]]:
        network, context = name
        sizes = self.plan.sizes if network == "target" else self.plan.draft_sizes
        missing = [size for size in sizes if (pass_cell(network, context, size), turn) not in self.file.finished]
        if missing and name not in self._models:
            model = getattr(self.pair, network)
            self._models[name] = warm_model(model, context, sizes, self._rng(*name), self.stopwatch)
        for size in np.random.default_rng([self.plan.seed, turn, context]).permutation(missing).tolist():
            wall, cpu = time_size(self._models[name], size, Sampling(self.plan.temperature), self._rng(*name))
            yield {"block": pass_cell(network, context, size), "round": turn, "wall": float(wall), "cpu": float(cpu)}

    def _step(self, verifier: str, policy: Policy) -> dict[str, Any]:
        """The next step of texts that go on from round to round."""
        key = (verifier, policy.name)
        if key not in self._steps:
            self._steps[key] = _steps(self.pair, verifier, policy, self.plan, self._rng(*key))
        nodes, spent = next(self._steps[key])
        values: dict[str, Any] = {"nodes": nodes}
        for part in (Term.VERIFICATION, Term.OVERHEAD):
            wall, cpu = spent[part].tolist()
            values |= {f"{part.value}_wall": wall, f"{part.value}_cpu": cpu}
        return values

    def _rng(self, *words: Any) -> np.random.Generator:
        return np.random.default_rng([self.plan.seed, crc32(repr(words).encode())])


@dataclass
class _LastStep(Watcher):
    """How many nodes the last tree of one text had, and where the step's time went."""

    nodes: int = 0
    spent: Spent = field(default_factory=dict)

    def after(self, batch: TreeBatch, blocks: Sequence[Block], spent: Spent) -> None:
        """Keep what the step was."""
        self.nodes, self.spent = len(batch.nodes(0)), spent


def _steps(
    pair: ModelPair, verifier: str, policy: Policy, plan: LatencyPlan, rng: np.random.Generator
) -> Iterator[tuple[int, Spent]]:
    """Nodes and time of step after step, of one text after another; the first steps of a text are not counted."""
    last, context = _LastStep(), plan.contexts[len(plan.contexts) // 2]
    decoder = WatchedDecoder(pair, verifier, policy, last, Sampling(plan.temperature), rows=1)
    prompt = rng.integers(pair.vocabulary_size, size=max(1, context)).tolist()
    while True:
        request = Request(prompt, STEPS_OF_A_TEXT * (policy.depth + 1), int(rng.integers(2**63)))
        for _ in islice(decoder.stream([request]), WARM_STEPS, STEPS_OF_A_TEXT):
            yield last.nodes, last.spent


def warm_model(
    network: Any, context: int, sizes: Sequence[int], rng: np.random.Generator, stopwatch: Stopwatch
) -> BatchModel:
    """A network that has read ``context`` random tokens and made one pass of each size."""
    model = BatchModel(network, 1, context + max(sizes), stopwatch)
    with torch.inference_mode():
        model.prefill(0, rng.integers(network.config.vocab_size, size=context).tolist())
    for size in sizes:
        time_size(model, size, Sampling(), rng)
    return model


def time_size(model: BatchModel, size: int, sampling: Sampling, rng: np.random.Generator) -> Span:
    """The time of one pass over ``size`` random tokens and of their float64 rows; the cache is left as it was."""
    tokens = rng.integers(model.model.config.vocab_size, size=(1, size)).tolist()
    return time_pass(model, tokens, sampling)
