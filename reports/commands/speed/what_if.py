"""Which verifier, tree and temperature are best on which hardware: predicted throughput from laws and latencies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from veridraft.gpu.engines.traces import Trace, is_trace, load_trace
from veridraft.theory.efficiency.efficiency import block_efficiency
from veridraft.theory.pairs.base import MissingRowError, Pair
from veridraft.theory.pairs.recorded import RecordedPair
from veridraft.theory.policies.base import Policy
from veridraft.theory.rows.near_names import did_you_mean
from veridraft.theory.rows.trees import DraftTree
from veridraft.theory.speed.rates import LatencyModel, StepTime, Throughput
from veridraft.theory.speed.schedules import Schedule
from veridraft.theory.verifiers.table import get_verifier

from ...running.families import FAMILIES, VOCABULARY_SIZE
from ..report.synthetic import PAIRS

MOST_EXACT_TREES = 200_000
"""Above so many trees an exact expectation is refused."""


@dataclass(frozen=True)
class Sampling:
    """Temperature and top-p of both rows."""

    temperature: float = 1.0
    top_p: float = 1.0

    @property
    def is_plain(self) -> bool:
        """True if rows stay as they are."""
        return self.temperature == 1 and self.top_p == 1


class LackError(ValueError):
    """A source does not hold what a policy draws: the policy is left out, and said to be."""


class Source(ABC):
    """Where trees and rows come from."""

    name: str

    @abstractmethod
    def trees(self, policy: Policy, sampling: Sampling, count: int, seed: int) -> list[DraftTree]:
        """About ``count`` trees of the policy, spread evenly over what the source holds."""

    def exact_tokens(self, verifier: str, policy: Policy, sampling: Sampling) -> list[float]:
        """E[tau + 1] at every context of the source, over all trees; ``ValueError`` if the source cannot say."""
        raise ValueError(f"--exact needs all rows, but {self.name} holds recorded ones: leave it out")


@dataclass(frozen=True)
class FamilySource(Source):
    """A synthetic family of the report: a few random pairs, whose mean counts."""

    name: str
    vocabulary_size: int = VOCABULARY_SIZE

    def pairs(self, sampling: Sampling) -> list[Pair]:
        """The pairs with temperature and top-p applied."""
        family = next(family for family in FAMILIES if family.name == self.name)
        made = (family.make(self.vocabulary_size, index) for index in range(PAIRS))
        return [pair.transformed(sampling.temperature, top_p=sampling.top_p) for pair in made]

    def trees(self, policy: Policy, sampling: Sampling, count: int, seed: int) -> list[DraftTree]:
        """As many from each pair."""
        rng, each = np.random.default_rng(seed), -(-count // PAIRS)
        return [policy.sample(pair, rng) for pair in self.pairs(sampling) for _ in range(each)]

    def exact_tokens(self, verifier: str, policy: Policy, sampling: Sampling) -> list[float]:
        """One of each pair."""
        return [float(block_efficiency(verifier, policy, pair, "enumerate", most_trees=MOST_EXACT_TREES).value)
                for pair in self.pairs(sampling)]  # fmt: skip


@dataclass(frozen=True)
class RecordingSource(Source):
    """Recorded rows: trees are drawn at every context below which all that is drawn was recorded."""

    name: str
    pair: RecordedPair

    def trees(self, policy: Policy, sampling: Sampling, count: int, seed: int) -> list[DraftTree]:
        """Trees at the contexts in turn; ``ValueError`` if no context has the rows of any tree."""
        rng, contexts = np.random.default_rng(seed), self.pair.contexts
        each = -(-count // len(contexts))
        found: list[DraftTree] = []
        for context in contexts:
            pair = self.pair.with_leaves(len(context) + policy.depth)
            pair = pair.transformed(sampling.temperature, top_p=sampling.top_p)
            try:
                found += [policy.sample(pair, rng, context) for _ in range(each)]
            except MissingRowError:
                continue
        if not found:
            raise LackError(f"{self.name} lacks rows that {policy.name} draws, below each of {len(contexts)} contexts")
        return found


@dataclass(frozen=True)
class TraceSource(Source):
    """A trace: the recorded trees themselves, as they were drafted."""

    name: str
    trace: Trace

    def trees(self, policy: Policy, sampling: Sampling, count: int, seed: int) -> list[DraftTree]:
        """The first steps that drafted as the policy does."""
        if not sampling.is_plain:
            raise ValueError(f"{self.name} was drafted at its own temperature: leave --temperatures and --top-p at 1")
        try:
            steps = self.trace.whole_steps(policy)
        except ValueError as error:
            raise LackError(str(error)) from None
        return [self.trace.tree(step) for step in steps[:count]]


def source_of(text: str, vocabulary_size: int = VOCABULARY_SIZE, normalise: bool = False) -> Source:
    """The family of that name, or the trace or recording in that file; ``ValueError`` that lists the families.

    ``normalise`` divides the rows of a recording by their sums.
    """
    if text in {family.name for family in FAMILIES}:
        return FamilySource(text, vocabulary_size)
    if not Path(text).is_file():
        known = [family.name for family in FAMILIES]
        meant = did_you_mean(text, known)
        raise ValueError(f"pair {text!r} is neither a file nor a family; families are {', '.join(known)}{meant}")
    if is_trace(text):
        return TraceSource(text, load_trace(text))
    return RecordingSource(text, RecordedPair.load(text, normalise=normalise))


@dataclass(frozen=True)
class WhatIf:
    """One answer: a verifier with a policy at a sampling on some hardware; ``plain`` is tokens a second without."""

    hardware: str
    sampling: Sampling
    verifier: str
    policy: str
    result: Throughput
    plain: float

    @property
    def tokens_per_second(self) -> float:
        """The prediction."""
        return float(self.result.tokens_per_second)


@dataclass(frozen=True)
class Question:
    """What is asked: every model with every sampling, verifier and policy that fit.

    lengths : contexts in tokens, whose times are averaged; trees : how many are drawn, the same for all verifiers
    exact : expectations over all trees, and times of the passes that are planned (none merged)
    """

    models: tuple[LatencyModel, ...]
    source: Source
    samplings: tuple[Sampling, ...]
    verifiers: tuple[str, ...]
    policies: tuple[Policy, ...]
    lengths: tuple[int, ...]
    trees: int = 400
    seed: int = 0
    exact: bool = False

    def answers(self) -> tuple[list[WhatIf], list[str]]:
        """The answers, best first, and why what is left out is."""
        found: list[WhatIf] = []
        left_out: list[str] = []
        for sampling in self.samplings:
            for policy in self.policies:
                for outcome in self._of_policy(sampling, policy):
                    (left_out if isinstance(outcome, str) else found).append(outcome)  # type: ignore[arg-type]
        return sorted(found, key=lambda one: one.tokens_per_second, reverse=True), list(dict.fromkeys(left_out))

    def _of_policy(self, sampling: Sampling, policy: Policy) -> Iterator[WhatIf | str]:
        """The answers of a policy, or reasons."""
        fitting = [name for name in self.verifiers if get_verifier(name).supports(policy)]
        if not fitting:
            yield f"{policy.name}: none of the verifiers is lossless for it"
            return
        try:
            trees = [] if self.exact else self.source.trees(policy, sampling, self.trees, self.seed)
        except LackError as error:
            yield f"{policy.name}: {error}"
            return
        planned = [Schedule.of_policy(policy)] if self.exact else []
        schedules = planned or [Schedule.of_tree(tree) for tree in trees]
        for name in fitting:
            tokens = self._tokens(name, policy, sampling, trees)
            for model in self.models:
                yield self._answer(model, sampling, name, policy, tokens, schedules)

    def _tokens(self, name: str, policy: Policy, sampling: Sampling, trees: Sequence[DraftTree]) -> list[float]:
        if self.exact:
            return self.source.exact_tokens(name, policy, sampling)
        return [float(get_verifier(name).law(tree).block_efficiency) for tree in trees]

    def _answer(
        self, model: LatencyModel, sampling: Sampling, name: str, policy: Policy, tokens: Sequence[float],
        schedules: Sequence[Schedule],
    ) -> WhatIf | str:  # fmt: skip
        if not model.knows(name):
            return f"{name} on {model.name}: its verification was not measured"
        try:
            times = {schedule: StepTime.mean([model.step(schedule, length, name) for length in self.lengths])
                     for schedule in set(schedules)}  # fmt: skip
            plain = len(self.lengths) / sum(model.plain(length) for length in self.lengths)
        except ValueError as error:
            return f"{name}, {policy.name} on {model.name}: {error}"
        spent = [times[schedule] for schedule in schedules] * (len(tokens) if self.exact else 1)
        return WhatIf(model.name, sampling, name, policy.name, Throughput(tuple(tokens), tuple(spent)), float(plain))
