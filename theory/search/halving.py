"""The search: every verifier on every shape with a few trees, the best with more, and so on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..pairs.base import Pair
from ..policies.arguments import get_policy
from ..policies.base import Policy
from ..policies.paths import Chain
from ..rows.distributions import check_count
from ..rows.trees import DraftTree
from ..speed.rates import LatencyModel
from ..speed.schedules import Schedule
from ..verifiers.table import get_verifier
from .answers import Answer, Expected, answer_of, last_paying
from .shapes import pairings, sequoia_shapes, shapes_up_to
from .sources import LackError, PairTrees, TreeSource

SEARCHED = ("naive", "block", "specinfer", "spectr", "traversal", "lifted_k_seq", "rrsw", "greedy", "univer",
            "spechub", "nss")  # fmt: skip
"""The verifiers that are searched unless others are named: they are fast at any vocabulary."""

SCOUTS = ("traversal", "block", "univer", "lifted_spechub", "spechub")
"""The first of these that fits a policy stands for all of its verifiers while there are many policies."""

STAGES = ((4, 24), (20, 8))
"""Trees of a policy behind a stage of the search, and how many policies go on from it."""

PAIRED, FINALISTS = 20, 10
"""Trees with which the verifiers of the last policies are told apart, all on the same; and pairings that go on."""

BEST_CHAINS = 2
"""So many chains go on to the end in any case, since every engine drafts chains."""

TREES = 100
"""Trees from which what is shown is computed, none of them among those that the choice was made by."""


@dataclass(frozen=True)
class Found:
    """What a search found.

    answers : best first, from trees drawn behind the choice; chains : what chains of every length accept, from fewer;
    considered : how many pairings of a verifier with a policy were looked at; left_out : why policies were not;
    model, lengths : what the times are of
    """

    answers: tuple[Answer, ...]
    chains: tuple[Expected, ...]
    considered: int
    left_out: tuple[str, ...]
    model: LatencyModel
    lengths: tuple[int, ...]

    @property
    def best(self) -> Answer:
        """The fastest of those with a draft."""
        return self.answers[0]

    @property
    def pays(self) -> bool:
        """True if it is faster than plain decoding."""
        return self.best.gain > 1

    def last_paying(self, most: int = 1024) -> tuple[int, dict[int, float]]:
        """The most requests at which some of the answers beat plain decoding, and the best gains on the way.

        See :func:`.answers.last_paying`; ``ValueError`` for a measured model.
        """
        offered = [*(one.expected for one in self.answers), *self.chains]
        return last_paying(offered, self.model, self.lengths, most)

    def records(self, per_hour: float | None = None) -> list[dict[str, Any]]:
        """The answers as JSON values, best first."""
        return [one.record(per_hour) for one in self.answers]

    def frame(self, per_hour: float | None = None) -> Any:
        """The answers as a pandas DataFrame, terms in columns of their own; ``ImportError`` without pandas."""
        import pandas

        return pandas.json_normalize(self.records(per_hour))


def best_tree(
    pair: Pair | TreeSource,
    model: LatencyModel,
    *,
    budget: int = 16,
    context: int = 512,
    verifiers: Sequence[str] = SEARCHED,
    policies: Sequence[str | Policy] | None = None,
    trees: int = TREES,
    seed: int = 0,
) -> Found:
    """The verifiers, policies and shapes of most tokens per second, up to a budget of nodes below the root.

    Parameters
    ----------
    pair : whose trees are drawn at the empty context, or a source of trees
    model : how long passes take; its batch is the number of requests, on which the answer depends
    budget : the most nodes below the root that are planned, >= 1
    context : tokens before a step, root included, that count for time
    policies : in place of all shapes up to the budget (Sequoia's, OPT-Tree's, DySpec's among them)
    trees : of each answer (at least 2), drawn behind the choice; seed : of all trees

    By successive halving with the same random numbers for all: what is shown best is best up to the answers' intervals.
    Raises ``ValueError`` for an unknown verifier, and where no policy fits.
    """
    source = PairTrees([pair]) if isinstance(pair, Pair) else pair
    given = None if policies is None else [get_policy(policy) for policy in policies]
    return search(source, model, (context,), verifiers, given, budget, trees, seed)


def search(
    source: TreeSource, model: LatencyModel, lengths: Sequence[int], verifiers: Sequence[str] = SEARCHED,
    policies: Sequence[Policy] | None = None, budget: int = 16, trees: int = TREES, seed: int = 0,
    book: Book | None = None,
) -> Found:  # fmt: skip
    """As :func:`best_tree`, over contexts; the book of an earlier search of the same source saves what it computed."""
    check_count("trees", trees, 2)
    names = [get_verifier(name).name for name in verifiers]
    offered, left_out = shapes_of(source, budget, seed) if policies is None else (list(policies), [])
    pairs, unfit = pairings(names, offered)
    race = _Race(book or Book(source, seed), model, tuple(check_count("context", one, 1) for one in lengths))
    answers, chains = race.run(pairs, trees)
    reasons = tuple(dict.fromkeys([*left_out, *([] if policies is None else unfit), *race.reasons]))
    if not answers:
        raise LackError(f"nothing can be predicted: {'; '.join((reasons or tuple(unfit))[:3])}")
    return Found(tuple(answers), tuple(chains), len(pairs), reasons, model, race.lengths)


def shapes_of(source: TreeSource, budget: int, seed: int) -> tuple[list[Policy], list[str]]:
    """Every shape up to the budget, Sequoia's for the source's rows among them, and why these are not."""
    offered = shapes_up_to(budget)
    try:
        return offered + [one for one in sequoia_shapes(source, budget, seed) if one not in offered], []
    except LackError as error:
        return offered, [f"Sequoia's shapes: {error}"]


class Book:
    """Trees and laws of a source that were computed, each once."""

    def __init__(self, source: TreeSource, seed: int) -> None:
        self.source, self.seed = source, seed
        self._trees: dict[tuple[Policy, bool], list[tuple[DraftTree, Schedule]]] = {}
        self._laws: dict[tuple[str, Policy, bool], list[tuple[float, Any]]] = {}

    def expected(self, verifier: str, policy: Policy, count: int, final: bool = False) -> Expected:
        """What the verifier accepts of so many trees; those of the final are drawn from another seed."""
        held = self._drawn(policy, count, final)
        laws = self._laws.setdefault((verifier, policy, final), [])
        laws += [_read(verifier, policy, tree) for tree, _ in held[len(laws) :]]
        tokens, reach = zip(*laws[: len(held)], strict=True)
        mean = np.mean(reach, axis=0).tolist()
        return Expected(verifier, policy, tokens, tuple(schedule for _, schedule in held), tuple(mean))

    def _drawn(self, policy: Policy, count: int, final: bool) -> list[tuple[DraftTree, Schedule]]:
        held = self._trees.setdefault((policy, final), [])
        if len(held) < count:
            new = self.source.trees(policy, count - len(held), self.seed + final, len(held))
            held += [(tree, Schedule.of_drawn(policy, tree)) for tree in new]
        if not held:
            raise LackError(f"{policy.name}: no tree of it is held")
        return held[:count]


def _read(verifier: str, policy: Policy, tree: DraftTree) -> tuple[float, Any]:
    """E[tau + 1 | tree], and (L + 1,) the probability that tau is at least 0, 1, ..."""
    law = get_verifier(verifier).law(tree)
    by_depth = np.zeros(policy.depth + 1)
    np.add.at(by_depth, tree.depths, law.stopping)
    return float(law.block_efficiency), by_depth[::-1].cumsum()[::-1]


Pairing = tuple[str, Policy]


class _Race:
    """The pairings on one machine; ``reasons`` say what could not be had."""

    def __init__(self, book: Book, model: LatencyModel, lengths: tuple[int, ...]) -> None:
        self.book, self.model, self.lengths = book, model, lengths
        self.reasons: list[str] = []

    def run(self, pairs: Sequence[Pairing], trees: int) -> tuple[list[Answer], list[Expected]]:
        """The answers to the best pairings and the best chain, best first; and what all chains accept."""
        found, going = [], _scouts(pairs)
        for count, kept in STAGES:
            found = self.answers(going, count)
            going = [_pairing(one) for rank, one in enumerate(found) if rank < kept or _is_chain(one)]
        policies = {policy for _, policy in going[: STAGES[-1][1]]}
        policies |= {one.expected.policy for one in [one for one in found if _is_chain(one)][:BEST_CHAINS]}
        last = self.answers([one for one in pairs if one[1] in policies], PAIRED)
        finalists = [_pairing(one) for one in last[:FINALISTS]]
        finalists += [_pairing(one) for one in last[FINALISTS:] if _is_chain(one)][:BEST_CHAINS]
        chains = [one.expected for one in found if _is_chain(one)]
        return self.answers(finalists, trees, final=True), chains

    def answers(self, pairs: Sequence[Pairing], count: int, final: bool = False) -> list[Answer]:
        """The answers, best first; what cannot be had is noted with its reason."""
        found = list(self._each(pairs, count, final))
        return sorted(found, key=lambda one: one.tokens_per_second, reverse=True)

    def _each(self, pairs: Sequence[Pairing], count: int, final: bool) -> Iterator[Answer]:
        for verifier, policy in pairs:
            try:
                yield answer_of(self.book.expected(verifier, policy, count, final), self.model, self.lengths)
            except ValueError as error:
                text = str(error)
                self.reasons.append(text if policy.name in text else f"{policy.name}: {text}")


def _pairing(answer: Answer) -> Pairing:
    return answer.verifier, answer.expected.policy


def _is_chain(answer: Answer) -> bool:
    return isinstance(answer.expected.policy, Chain)


def _scouts(pairs: Sequence[Pairing]) -> list[Pairing]:
    """One pairing of each policy."""
    fitting: dict[Policy, list[str]] = {}
    for verifier, policy in pairs:
        fitting.setdefault(policy, []).append(verifier)
    return [(next((one for one in SCOUTS if one in names), names[0]), policy) for policy, names in fitting.items()]
