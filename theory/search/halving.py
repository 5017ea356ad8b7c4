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

STAGES = (6, 20, 60)
"""Trees of a pairing behind each stage of the search; a quarter of the pairings goes on."""

KEPT, FINALISTS = 4, 12
"""One in so many goes on from a stage; so many at least, and into the last one so many."""

TREES = 200
"""Trees from which what is shown is computed, none of them among those that the choice was made by."""


@dataclass(frozen=True)
class Found:
    """What a search found.

    answers : best first, each from trees of its own; considered : how many pairings of a verifier with a policy were
    looked at; left_out : why policies were not; model, lengths : what their times are of
    """

    answers: tuple[Answer, ...]
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
        return last_paying([one.expected for one in self.answers], self.model, self.lengths, most)

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
    """As :func:`best_tree`; the book of an earlier search of the same source saves what it has computed."""
    check_count("trees", trees, 2)
    for length in lengths:
        check_count("context", length, 1)
    names = [get_verifier(name).name for name in verifiers]
    offered, reasons = shapes_of(source, budget, seed) if policies is None else (list(policies), [])
    pairs, left_out = pairings(names, offered)
    race = _Race(book or Book(source, seed), model, tuple(lengths))
    considered = len(pairs)
    for count in STAGES:
        pairs = race.best(pairs, count, max(FINALISTS, -(-len(pairs) // KEPT)))
    finalists = pairs[:FINALISTS]
    finalists += [one for one in race.chains if one not in finalists]
    answers = race.answers(finalists, trees, final=True)
    if not answers:
        raise LackError(f"nothing can be predicted: {'; '.join([*reasons, *left_out, *race.reasons][:3])}")
    told = dict.fromkeys([*reasons, *([] if policies is None else left_out), *race.reasons])
    return Found(tuple(answers), considered, tuple(told), model, tuple(lengths))


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
        self._trees: dict[tuple[Policy, bool], list[DraftTree]] = {}
        self._laws: dict[tuple[str, Policy, bool], list[tuple[float, Any]]] = {}

    def expected(self, verifier: str, policy: Policy, count: int, final: bool = False) -> Expected:
        """What the verifier accepts of so many trees; those of the final are drawn from another seed."""
        trees = self._drawn(policy, count, final)
        laws = self._laws.setdefault((verifier, policy, final), [])
        laws += [_read(verifier, policy, tree) for tree in trees[len(laws) :]]
        mean = np.mean([reach for _, reach in laws[:count]], axis=0)
        schedules = tuple(Schedule.of_drawn(policy, tree) for tree in trees)
        return Expected(verifier, policy, tuple(tokens for tokens, _ in laws[:count]), schedules, tuple(mean.tolist()))

    def _drawn(self, policy: Policy, count: int, final: bool) -> list[DraftTree]:
        held = self._trees.setdefault((policy, final), [])
        if len(held) < count:
            held += self.source.trees(policy, count - len(held), self.seed + final, len(held))
        if not held:
            raise LackError(f"{policy.name}: no tree of it is held")
        return held[:count]


def _read(verifier: str, policy: Policy, tree: DraftTree) -> tuple[float, Any]:
    """E[tau + 1 | tree], and (L + 1,) the probability that tau is at least 0, 1, ..."""
    law = get_verifier(verifier).law(tree)
    by_depth = np.zeros(policy.depth + 1)
    np.add.at(by_depth, tree.depths, law.stopping)
    reach = by_depth[::-1].cumsum()[::-1]
    return float(law.block_efficiency), reach


class _Race:
    """The pairings on one machine."""

    def __init__(self, book: Book, model: LatencyModel, lengths: tuple[int, ...]) -> None:
        self.book, self.model, self.lengths = book, model, lengths
        self.chains: list[tuple[str, Policy]] = []
        self.reasons: list[str] = []

    def best(self, pairs: Sequence[tuple[str, Policy]], count: int, kept: int) -> list[tuple[str, Policy]]:
        """The best pairings with so many trees each, best first; all chains that can be had are remembered."""
        found = self.answers(pairs, count)
        going = [(one.verifier, one.expected.policy) for one in found]
        self.chains = self.chains or [one for one in going if isinstance(one[1], Chain)]
        return going[:kept]

    def answers(self, pairs: Sequence[tuple[str, Policy]], count: int, final: bool = False) -> list[Answer]:
        """The answers, best first; what cannot be had is noted with its reason."""
        found = list(self._each(pairs, count, final))
        return sorted(found, key=lambda one: one.tokens_per_second, reverse=True)

    def _each(self, pairs: Sequence[tuple[str, Policy]], count: int, final: bool) -> Iterator[Answer]:
        for verifier, policy in pairs:
            try:
                yield answer_of(self.book.expected(verifier, policy, count, final), self.model, self.lengths)
            except ValueError as error:
                text = str(error)
                self.reasons.append(text if policy.name in text else f"{policy.name}: {text}")
