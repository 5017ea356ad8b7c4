"""The search: every verifier on every shape with a few trees, the best with more, and so on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..display import Sheet, Shown
from ..display.charts import AROUND, BLUE, INK, ROW, name_rows, plotted
from ..display.sheet import needed
from ..pairs.base import Pair
from ..policies.arguments import get_policy
from ..policies.base import Policy
from ..policies.paths import Chain
from ..rows.distributions import check_count
from ..speed.rates import LatencyModel
from ..verifiers.table import get_verifier
from .answers import Answer, answer_of, last_paying
from .book import Book
from .shapes import pairings, sequoia_shapes, shapes_up_to
from .sources import LackError, PairTrees, TreeSource

SEARCHED = ("naive", "block", "specinfer", "spectr", "traversal", "lifted_k_seq", "rrsw", "greedy", "univer",
            "spechub", "nss")  # fmt: skip
"""The verifiers that are searched unless others are named: they are fast at any vocabulary."""

SCOUTS = ("traversal", "block", "univer", "lifted_spechub", "spechub")
"""The first of these that fits a policy stands for all of its verifiers while there are many policies."""

STAGES = ((4, 24), (16, 8))
"""Trees of a policy behind a stage of the search, and how many policies go on from it."""

PAIRED, FINALISTS = 16, 10
"""Trees with which the last policies' verifiers are told apart, all on the same; and pairings that go on."""

TREES = 100
"""Trees from which what is shown is computed, none of them among those that the choice was made by."""


@dataclass(frozen=True)
class Found(Shown):
    """What a search found.

    answers : best first, from trees drawn behind the choice: the best of all, and all chains, as engines draft them;
    considered : how many pairings of a verifier with a policy were looked at; left_out : why policies were not;
    model, lengths : what the times are of
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
        return needed("pandas", "a DataFrame", "frames").json_normalize(self.records(per_hour))

    def sheet(self) -> Sheet:
        """The best answer in words, and all of them."""
        best, rows = self.best, self.answers
        title = f"{best.verifier} with {best.policy}: {best.gain:.2f} × plain decoding on {best.hardware}"
        columns: dict[str, Sequence[Any]] = {
            "verifier": [one.verifier for one in rows], "policy": [one.policy for one in rows],
            "E[τ + 1]": [float(one.result.block_efficiency) for one in rows],
            "tokens/s": [one.tokens_per_second for one in rows], "× plain": [one.gain for one in rows],
            "most time": [one.result.time.dominant.value for one in rows],
        }  # fmt: skip
        facts = (("batch", best.batch), ("tokens/s of one request", best.tokens_per_second), ("tokens/s", best.in_all))
        return Sheet(title, (*facts, ("pairings looked at", self.considered)), self.pays, columns=columns)

    def plot(self, axes: Any = None) -> Any:
        """Bars of tokens per second of one request, best first, and plain decoding as a line, on matplotlib's axes.

        Returns the axes, new ones without any given; ``ImportError`` without matplotlib.
        """

        def paint(place: Any) -> None:
            place.barh(range(len(self.answers)), [one.tokens_per_second for one in self.answers], color=BLUE)
            place.axvline(self.best.plain, color=INK, label="plain decoding")
            name_rows(place, [f"{one.verifier}, {one.policy}" for one in self.answers])
            place.set_xlabel("tokens per second of one request")
            place.legend(loc="lower right")

        return plotted(axes, 7.0, ROW * len(self.answers) + AROUND, paint)


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
    contexts = tuple(check_count("context", one, 1) for one in lengths)
    race = _Race((book or Book(source, seed)).of(offered), model, contexts)
    answers = race.run(pairs, trees)
    reasons = tuple(dict.fromkeys([*left_out, *([] if policies is None else unfit), *race.reasons]))
    if not answers:
        raise LackError(f"nothing can be predicted: {'; '.join((reasons or tuple(unfit))[:3])}")
    return Found(tuple(answers), len(pairs), reasons, model, contexts)


def shapes_of(source: TreeSource, budget: int, seed: int) -> tuple[list[Policy], list[str]]:
    """Every shape up to the budget, Sequoia's for the source's rows among them, and why these are not."""
    offered = shapes_up_to(budget)
    try:
        return offered + [one for one in sequoia_shapes(source, budget, seed) if one not in offered], []
    except LackError as error:
        return offered, [f"Sequoia's shapes: {error}"]


Pairing = tuple[str, Policy]


class _Race:
    """The pairings on one machine; ``reasons`` say what could not be had."""

    def __init__(self, book: Book, model: LatencyModel, lengths: tuple[int, ...]) -> None:
        self.book, self.model, self.lengths = book, model, lengths
        self.reasons: list[str] = []

    def run(self, pairs: Sequence[Pairing], trees: int) -> list[Answer]:
        """The answers to the best pairings, and to all chains, best first."""
        going = _scouts(pairs)
        for count, kept in STAGES:
            going = [_pairing(one) for one in self.answers(going, count)][:kept]
        policies = {policy for _, policy in going}
        last = self.answers([one for one in pairs if one[1] in policies], PAIRED)
        finalists = [_pairing(one) for one in last[:FINALISTS]]
        finalists += [one for one in pairs if isinstance(one[1], Chain) and one not in finalists]
        return self.answers(finalists, trees, final=True)

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


def _scouts(pairs: Sequence[Pairing]) -> list[Pairing]:
    """One pairing of each policy."""
    fitting: dict[Policy, list[str]] = {}
    for verifier, policy in pairs:
        fitting.setdefault(policy, []).append(verifier)
    return [(next((one for one in SCOUTS if one in names), names[0]), policy) for policy, names in fitting.items()]
