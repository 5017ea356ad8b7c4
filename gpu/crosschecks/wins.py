"""Every verifier and every policy at the same roots: which is faster, with what they have in common taken out.

The target writes texts by itself.  At every few tokens each policy drafts one tree, which one target pass looks at,
and every verifier of the policy is asked for its law on that very tree and decides it once, against the clock.  One
request at a time; what surrounds passes and verification in a step is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from time import monotonic
from typing import Any
from zlib import crc32

import numpy as np

from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Chain
from veridraft.theory.solvers.closed_form import remembered_rule
from veridraft.theory.verifiers.table import get_verifier

from ..decoding.batch import MOST_LIVE_NODES, Active
from ..decoding.drafting.choosing import draft_model, drafter_of
from ..decoding.drafting.drafters import Drafter
from ..decoding.drafting.head_drafter import HeadModel
from ..decoding.passes.packing import is_packed
from ..decoding.passes.stopwatch import Span
from ..decoding.requests import Request
from ..decoding.step_watch import WatchedDecoder, Watcher
from ..files.kinds import WinsFile
from ..latency.file import CLOCKS
from ..models.backend import torch
from ..models.machine import machine_of
from ..models.names import is_random
from ..models.pairs import ModelPair
from ..models.prompts import prompts_of
from ..trees.sampling import Sampling
from ..trees.tree_batch import TreeBatch
from ..verification.table import verify_batch
from ..verification.theory_route import too_large
from .cells import PLAIN, cells_of

UNIT = 5
"""Roots that follow one another and count as one unit of the intervals."""

Pairing = tuple[str, Policy]
"""A verifier and a policy that it is lossless for."""


@dataclass(frozen=True)
class RootPlan:
    """Everything that determines a run, checked when it is made.

    texts : of each setting; roots : of each text, ``stride`` tokens apart; left_out : verifier and policy, and why
    """

    pairings: tuple[Pairing, ...]
    samplings: tuple[Sampling, ...]
    left_out: dict[str, str]
    prompts: tuple[tuple[int, ...], ...]
    texts: int = 8
    roots: int = 10
    stride: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("texts", "roots", "stride"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, but is {self.seed}")

    @classmethod
    def of(cls, suite: str, pair: ModelPair, verifiers: Sequence[str] | None = None,
           policies: Sequence[str | Policy] | None = None, temperatures: Sequence[float] | None = None,
           top_ps: Sequence[float] | None = None, **numbers: int) -> RootPlan:  # fmt: skip
        """The pairings and samplings of a suite, or of a part of it; errors are those of :func:`.cells_of`."""
        cells = cells_of(suite, verifiers, policies, temperatures, top_ps)
        found = {(cell.verifier, cell.policy.name): (cell.verifier, cell.policy) for cell in cells}
        reasons = {name_of(*one): too_large(*one, pair.vocabulary_size) for one in found.values()}
        left_out = {name: reason for name, reason in reasons.items() if reason}
        pairings = tuple(one for one in found.values() if name_of(*one) not in left_out)
        samplings = tuple({(cell.sampling.temperature, cell.sampling.top_p): cell.sampling for cell in cells}.values())
        return cls(pairings, samplings, left_out, prompts_of(pair), **numbers)

    def policies(self) -> dict[str, tuple[Policy, tuple[str, ...]]]:
        """By name, every policy and its verifiers."""
        found: dict[str, tuple[Policy, tuple[str, ...]]] = {}
        for verifier, policy in self.pairings:
            found[policy.name] = policy, (*found.get(policy.name, (policy, ()))[1], verifier)
        return found

    def settings(self, pair: ModelPair) -> dict[str, Any]:
        """What a run in a file must agree in before it is continued."""
        return {
            **pair.traits,
            "packed": is_packed(pair),
            "timing_only": is_random(pair.target_name),
            "pairs": [[verifier, policy.name] for verifier, policy in self.pairings],
            "left_out": self.left_out,
            "texts": self.texts,
            "roots": self.roots,
            "stride": self.stride,
            "seed": self.seed,
            "prompts": crc32(repr(self.prompts).encode()),
            "cells": [[one.temperature, one.top_p, text] for one in self.samplings for text in range(self.texts)],
        }


def name_of(verifier: str, policy: Policy) -> str:
    """Verifier and policy, as a record names them."""
    return f"{verifier} {policy.name}"


def walk_roots(
    pair: ModelPair, plan: RootPlan, out: str | Path | None = None, command: str = ""
) -> Iterator[tuple[int, int, WinsFile]]:
    """Texts done, texts in all, and the file: once at the start, then after each text.

    The settings take turns, so that a stopped run tells of all of them.  A run in the folder ``out`` is continued.
    Raises ``ValueError``, before any work, for a folder that holds one with other settings or of another machine.
    """
    file = WinsFile.open(out, command, plan.settings(pair), machine_of(pair.device))
    missing, total = set(file.missing), len(file.planned)
    yield total - len(missing), total, file
    for text, sampling in product(range(plan.texts), plan.samplings):
        key = sampling.temperature, sampling.top_p, text
        if key in missing:
            file.add(_TextWalk(pair, plan, sampling, text).record())
            missing.remove(key)
            yield total - len(missing), total, file


@dataclass
class _RootSums:
    """What some roots add up to: by policy nodes and spans, by verifier and policy tokens and a span."""

    roots: int = 0
    nodes: dict[str, int] = field(default_factory=dict)
    spans: dict[tuple[str, str], Span] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)

    def add(self, kind: str, name: str, span: Span) -> None:
        """Add a time."""
        self.spans[kind, name] = self.spans.get((kind, name), np.zeros(2)) + span

    def record(self) -> dict[str, Any]:
        """The unit as the file holds it."""
        policies = {name: {"nodes": count, **{kind: self._held(kind, name) for kind in ("draft", "target")}}
                    for name, count in self.nodes.items()}  # fmt: skip
        cells = {name: {"tokens": tokens, "verification": self._held("verification", name)}
                 for name, tokens in self.tokens.items()}  # fmt: skip
        return {"roots": self.roots, "policies": policies, "cells": cells}

    def _held(self, kind: str, name: str) -> dict[str, float]:
        return dict(zip(CLOCKS, self.spans[kind, name].tolist(), strict=True))


class _TextWalk(Watcher):
    """One text of the target alone under one sampling, looked at from its roots."""

    def __init__(self, pair: ModelPair, plan: RootPlan, sampling: Sampling, text: int) -> None:
        self.pair, self.plan, self.sampling, self.text = pair, plan, sampling, text
        words = repr((sampling.temperature, sampling.top_p, text)).encode()
        self.seeds, self.rng = np.random.default_rng([plan.seed, crc32(words)]).spawn(2)
        self.decoder = WatchedDecoder(pair, PLAIN[0], Chain(0), self, sampling, rows=1)
        self.stopwatch = self.decoder.stopwatch
        prompt = plan.prompts[text % len(plan.prompts)]
        longest = len(prompt) + self.tokens + max(policy.depth for _, policy in plan.pairings)
        self.draft = draft_model(pair, 1, longest + MOST_LIVE_NODES, self.stopwatch)
        self.drafters = {name: drafter_of(policy, pair, lambda: self.draft, self.decoder.finite)
                         for name, (policy, _) in plan.policies().items()}  # fmt: skip
        self.units: list[_RootSums] = []
        self.steps, self.reading = 0, -1

    @property
    def tokens(self) -> int:
        """As many as the text needs, and one more, so that it does not end at a root."""
        return self.plan.roots * self.plan.stride + 1

    def record(self) -> dict[str, Any]:
        """The finished text; one that ends is begun anew, with another seed, until all roots were looked at."""
        begin, prompt = monotonic(), self.plan.prompts[self.text % len(self.plan.prompts)]
        seeds = self.seeds.integers(2**63, size=self.tokens).tolist()
        with closing(self.decoder.stream([Request(prompt, self.tokens, seed) for seed in seeds])) as blocks:
            while sum(unit.roots for unit in self.units) < self.plan.roots:
                next(blocks)
        found = dict(zip(WinsFile.fields, (self.sampling.temperature, self.sampling.top_p, self.text), strict=True))
        return found | {"units": [unit.record() for unit in self.units], "seconds": monotonic() - begin}

    def before(self, decoder: WatchedDecoder, active: Sequence[Active], drafter: Drafter) -> None:
        """Look from a root every few steps; from the first one twice, so that nothing is timed cold."""
        root, between = divmod(self.steps, self.plan.stride)
        self.steps += 1
        if between or root >= self.plan.roots:
            return
        self._read(active[0])
        if not self.units:
            self._look(active, _RootSums())
        if root % UNIT == 0:
            self.units.append(_RootSums())
        self._look(active, self.units[-1])

    def _read(self, one: Active) -> None:
        """Let the draft network read the text up to its last token, which is left for each policy to read."""
        if isinstance(self.draft, HeadModel):
            self._read_with_states(self.draft, one.writing.text[:-1])
            return
        if one.number != self.reading:
            self.reading, self.draft.contexts[0] = one.number, 0
        self.draft.prefill(0, one.writing.text[self.draft.contexts[0] : -1])

    def _read_with_states(self, head: HeadModel, text: Sequence[int]) -> None:
        """Let a head read a text from its beginning, with the states of a pass of the target over it."""
        head.restart(0)
        if text:
            tokens = torch.tensor([list(text)], device=head.device)
            seen = self.pair.target(input_ids=tokens, use_cache=False, output_hidden_states=True, logits_to_keep=1)
            head.hear(0, seen.hidden_states[-1][0])
        head.prefill(0, text)

    def _look(self, active: Sequence[Active], unit: _RootSums) -> None:
        """Every policy and verifier at the root of the request, which is left as it was."""
        unit.roots += 1
        policies = list(self.plan.policies().items())
        for place in self.rng.permutation(len(policies)).tolist():
            name, (policy, verifiers) = policies[place]
            foreseen = self.decoder.foresee(active, self.drafters[name], self.rng)
            unit.add("target", name, foreseen.spent["target"])
            unit.add("draft", name, foreseen.spent["draft"] if policy.depth else np.zeros(2))
            unit.nodes[name] = unit.nodes.get(name, 0) + len(foreseen.batch.nodes(0))
            for verifier in self.rng.permutation(verifiers).tolist():
                self._decide(verifier, policy, foreseen.batch, unit)

    def _decide(self, verifier: str, policy: Policy, tree: TreeBatch, unit: _RootSums) -> None:
        """One decision against the clock, with nothing remembered of other verifiers, and the law on the tree."""
        name = name_of(verifier, policy)
        coins = torch.from_numpy(self.rng.random((1, tree.columns + 1))).to(tree.target.device)
        remembered_rule.cache_clear()
        begin = self.stopwatch.now()
        verify_batch(verifier, tree, coins)
        unit.add("verification", name, self.stopwatch.now() - begin)
        law = get_verifier(verifier).law(tree.tree(0).to_theory())
        unit.tokens[name] = unit.tokens.get(name, 0.0) + float(law.block_efficiency)
