"""What is asked, and the answers: named verifiers with named policies, the best of all, or what rates determine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Chain
from veridraft.theory.rows.trees import DraftTree
from veridraft.theory.search.acceptance import AcceptanceRates, MeanLengths
from veridraft.theory.search.answers import Answer, Expected, answer_of, last_paying
from veridraft.theory.search.book import Book
from veridraft.theory.search.halving import search
from veridraft.theory.search.sources import LackError
from veridraft.theory.speed.rates import LatencyModel
from veridraft.theory.speed.schedules import Schedule
from veridraft.theory.verifiers.table import get_verifier

from .sources import Sampled, Sampling, Source

AS_MEASURED = "*"
"""The verifier of acceptance that is known without rows: the rule that it was measured with."""

MOST_REQUESTS = 4096
"""Batches are looked at up to so many requests, and as many as fit."""


@dataclass(frozen=True)
class WhatIf(Answer):
    """One answer at a sampling; ``None`` where acceptance is known without rows."""

    sampling: Sampling | None = None

    @classmethod
    def at(cls, answer: Answer, sampling: Sampling | None) -> WhatIf:
        """The answer at the sampling."""
        return cls(answer.hardware, answer.expected, answer.result, answer.plain, answer.batch, sampling)


@dataclass(frozen=True)
class Paying:
    """Where speculation pays: gains at powers of two, the last batch that pays, and how many fit the memory."""

    gains: dict[int, float]
    last: int
    fitting: int


@dataclass(frozen=True)
class Reply:
    """What there is to tell.

    answers : best first; left_out : why others are not; considered : pairings that a search looked at, 0 if none did;
    paying : by hardware and sampling
    """

    answers: list[WhatIf]
    left_out: list[str]
    considered: int = 0
    paying: dict[tuple[str, Sampling | None], Paying] | None = None


@dataclass(frozen=True)
class Question:
    """Every model with every sampling, verifier and policy that fit.

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

    def reply(self) -> Reply:
        """The answers, and where speculation pays."""
        answers, left_out = self.answers()
        return Reply(answers, left_out, 0, _paying(self.models, self.lengths, answers))

    def answers(self) -> tuple[list[WhatIf], list[str]]:
        """The answers, best first, and why what is left out is."""
        found: list[WhatIf] = []
        left_out: list[str] = []
        for sampling in self.samplings:
            for policy in self.policies:
                for outcome in self._of_policy(sampling, policy):
                    (left_out if isinstance(outcome, str) else found).append(outcome)  # type: ignore[arg-type]
        return _best_first(found), list(dict.fromkeys(left_out))

    def _of_policy(self, sampling: Sampling, policy: Policy) -> Iterator[WhatIf | str]:
        """The answers of a policy, or reasons."""
        lossless = [name for name in self.verifiers if get_verifier(name).supports(policy)]
        fitting = [name for name in lossless if not self.source.lacks(name)]
        if not lossless:
            yield f"{policy.name}: none of the verifiers is lossless for it"
        yield from (self.source.lacks(name) for name in lossless if name not in fitting)
        if not fitting:
            return
        try:
            trees = [] if self.exact else self.source.trees(policy, sampling, self.trees, self.seed)
        except LackError as error:
            yield f"{policy.name}: {error}"
            return
        planned = (Schedule.of_policy(policy),) if self.exact else ()
        schedules = planned or tuple(Schedule.of_drawn(policy, tree) for tree in trees)
        for name in fitting:
            expected = Expected(name, policy, tuple(self._tokens(name, policy, sampling, trees)), schedules)
            for model in self.models:
                yield self._answer(model, sampling, expected)

    def _tokens(self, name: str, policy: Policy, sampling: Sampling, trees: Sequence[DraftTree]) -> list[float]:
        if self.exact:
            return self.source.exact_tokens(name, policy, sampling)
        return [float(get_verifier(name).law(tree).block_efficiency) for tree in trees]

    def _answer(self, model: LatencyModel, sampling: Sampling, expected: Expected) -> WhatIf | str:
        if not model.knows(expected.verifier):
            return f"{expected.verifier} on {model.name}: its verification was not measured"
        try:
            return WhatIf.at(answer_of(expected, model, self.lengths), self.source.label(sampling))
        except ValueError as error:
            return f"{expected.verifier}, {expected.policy.name} on {model.name}: {error}"


@dataclass(frozen=True)
class SearchQuestion:
    """The best of all verifiers, policies and shapes up to a budget of nodes below the root.

    policies : in place of all shapes; trees : of each answer
    """

    models: tuple[LatencyModel, ...]
    source: Source
    samplings: tuple[Sampling, ...]
    verifiers: tuple[str, ...]
    lengths: tuple[int, ...]
    budget: int
    trees: int
    seed: int = 0
    policies: tuple[Policy, ...] | None = None

    def reply(self) -> Reply:
        """The answers of every search, best first, and where speculation pays."""
        answers: list[WhatIf] = []
        left_out = [reason for name in self.verifiers if (reason := self.source.lacks(name))]
        considered = 0
        for sampling in self.samplings:
            source = Sampled(self.source, sampling)
            book = Book(source, self.seed)
            for model in self.models:
                verifiers = tuple(name for name in self.verifiers if model.knows(name) and not self.source.lacks(name))
                found = search(source, model, self.lengths, verifiers, self.policies, self.budget, self.trees,
                               self.seed, book)  # fmt: skip
                label = self.source.label(sampling)
                answers += [WhatIf.at(one, label) for one in found.answers]
                left_out += found.left_out
                considered += found.considered
        paying = _paying(self.models, self.lengths, answers)
        return Reply(_best_first(answers), list(dict.fromkeys(left_out)), considered, paying)


@dataclass(frozen=True)
class RateQuestion:
    """What rates by position, or mean lengths, determine: chains of the rule that they were measured with.

    verifier : whose verification counts for time, where a latency file holds several
    """

    models: tuple[LatencyModel, ...]
    known: AcceptanceRates | MeanLengths
    lengths: tuple[int, ...]
    sampling: Sampling | None = None
    verifier: str = AS_MEASURED

    def reply(self) -> Reply:
        """A chain for every length that is determined, best first."""
        answers, left_out = [], []
        for model in self.models:
            for expected in self.expected():
                try:
                    answers.append(WhatIf.at(answer_of(expected, model, self.lengths), self.sampling))
                except ValueError as error:
                    left_out.append(f"{expected.policy.name} on {model.name}: {error}")
        return Reply(_best_first(answers), left_out, 0, _paying(self.models, self.lengths, answers))

    def expected(self) -> list[Expected]:
        """What each chain accepts."""
        if isinstance(self.known, MeanLengths):
            return [self._chain(drafted, tokens, ()) for drafted, tokens in self.known.by_drafted.items()]
        rates = self.known.unconditional
        return [self._chain(length, self.known.tokens(length), (1.0, *rates[:length]))
                for length in range(1, self.known.depth + 1)]  # fmt: skip

    def _chain(self, length: int, tokens: float, reach: tuple[float, ...]) -> Expected:
        policy = Chain(length)
        return Expected(self.verifier, policy, (tokens,), (Schedule.of_policy(policy),), reach)


def _best_first(answers: Iterable[WhatIf]) -> list[WhatIf]:
    return sorted(answers, key=lambda one: one.tokens_per_second, reverse=True)


def _paying(
    models: Sequence[LatencyModel], lengths: tuple[int, ...], answers: Sequence[WhatIf]
) -> dict[tuple[str, Sampling | None], Paying]:
    """Where what was asked for pays, on every hardware and at every sampling that has answers."""
    paying: dict[tuple[str, Sampling | None], Paying] = {}
    by_name = {model.name: model for model in models}
    for place in dict.fromkeys((one.hardware, one.sampling) for one in answers):
        offered = [one.expected for one in answers if (one.hardware, one.sampling) == place]
        model, most = by_name[place[0]], _most(by_name[place[0]], lengths)
        if most:
            last, gains = last_paying(offered, model, lengths, most)
            paying[place] = Paying(gains, last, most)
    return paying


def _most(model: LatencyModel, lengths: tuple[int, ...]) -> int:
    """The most requests that are looked at; 0 for a measured model."""
    fitting = model.most_requests(max(lengths))
    return 0 if fitting is None else min(fitting, MOST_REQUESTS)
