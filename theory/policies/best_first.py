"""Deterministic trees: the nodes of largest draft probability, by several budgets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from fractions import Fraction
from functools import cached_property
from itertools import islice
from math import inf
from numbers import Real
from typing import Any

import numpy as np
import scipy

from ..pairs.base import Pair
from ..rows.distributions import Row, Scalar, check_count
from ..rows.trees import Context, DraftTree
from .arguments import POLICIES
from .base import DraftLaw, Policy, grown
from .most_probable import LevelSearch, Nodes
from .top_plus_one import top_tokens


def convex_costs(measured: Mapping[int, Any] | Sequence[tuple[int, Any]]) -> tuple[float, ...]:
    """Costs at sizes 0, 1, ..., N, the nonnegative, nondecreasing, convex least-squares fit of measured costs.

    ``measured`` maps sizes, 0 among them and N the largest, to costs >= 0.  The fit is linear between measured
    sizes, and convex in the size itself, so that sizes may be unequally spaced: nonnegative least squares
    (``scipy.optimize.nnls``) in the basis 1, n, (n - n_j)+.
    """
    sizes, costs = (np.array(column, dtype=float) for column in zip(*sorted(dict(measured).items()), strict=True))
    knots = sizes[:-1]

    def basis(points: Any) -> Any:
        return np.hstack([np.ones((len(points), 1)), np.maximum(points[:, None] - knots, 0)])

    weights, _ = scipy.optimize.nnls(basis(sizes), costs)
    return tuple((basis(np.arange(sizes[-1] + 1)) @ weights).tolist())


class DeterministicPolicy(Policy):
    """A policy that reads the draft's rows and draws nothing: one tree at each context."""

    depth: int = MISSING  # type: ignore
    """A field of the dataclasses below, without a default; it stands over the abstract property."""

    @abstractmethod
    def nodes(self, pair: Pair, context: Context = ()) -> Iterable[Context]:
        """The nodes below the root, as tokens; siblings in list order."""

    @property
    def name(self) -> str:
        """The call that builds the policy."""
        return f"{type(self).__name__}({', '.join(str(getattr(self, field.name)) for field in fields(self))})"  # type: ignore

    @property
    def draft_laws(self) -> frozenset[DraftLaw]:
        """Chosen by rule."""
        return frozenset({DraftLaw.DETERMINISTIC})

    def tree(self, pair: Pair, context: Context = ()) -> DraftTree:
        """The tree at the context; no node below its root counts as sampled."""
        lists: dict[Context, list[int]] = {}
        for below in self.nodes(pair, context):
            lists.setdefault(below[:-1], []).append(below[-1])
        return grown(lambda below: (lists.get(below, []), [False] * len(lists.get(below, []))), pair, context)

    def sample(self, pair: Pair, rng: np.random.Generator, context: Context = ()) -> DraftTree:
        """The tree at the context; the generator is not used."""
        return self.tree(pair, context)

    def enumerate(self, pair: Pair, context: Context = ()) -> Iterator[tuple[Any, DraftTree]]:
        """The tree at the context, with probability 1."""
        yield 1, self.tree(pair, context)

    def tree_count(self, vocabulary_size: int) -> int:
        """1."""
        check_count("vocabulary_size", vocabulary_size, 1)
        return 1


@dataclass(frozen=True, repr=False)
class TopK(DeterministicPolicy):
    """EAGLE-2's tree: expand the k best nodes of each layer, then keep the best ``budget`` of all (2406.16858).

    A node's value is its draft probability given the root.  Each node that is expanded offers its k likeliest
    children; ``budget`` counts nodes below the root.  Of equal values the node drafted first is kept, so that
    ancestors always are; a node of probability 0 is never drafted.  k, budget >= 1, depth >= 0.
    """

    k: int
    depth: int
    budget: int

    def __post_init__(self) -> None:
        check_count("k", self.k, 1)
        check_count("depth", self.depth, 0)
        check_count("budget", self.budget, 1)

    def nodes(self, pair: Pair, context: Context = ()) -> list[Context]:
        """The nodes that are kept, most probable first."""
        drafted: list[tuple[Scalar, Context]] = []
        layer: list[tuple[Scalar, Context]] = [(1, ())]
        for _ in range(self.depth):
            rows = pair.draft_rows([context + below for _, below in layer])
            offered = [child for node, row in zip(layer, rows, strict=True) for child in self._children(*node, row)]
            drafted += offered
            layer = sorted(offered, key=_likeliest_first)[: self.k]
        return [below for _, below in sorted(drafted, key=_likeliest_first)[: self.budget]]

    def _children(self, value: Scalar, below: Context, row: Row) -> Iterator[tuple[Scalar, Context]]:
        for token in top_tokens(row, self.k):
            if row[token]:
                yield value * row[token], (*below, token)


def _likeliest_first(node: tuple[Scalar, Context]) -> Scalar:
    """A key for sorting, which is stable: the node drafted first stays first among equals."""
    return -node[0]


@dataclass(frozen=True, repr=False)
class OptTree(DeterministicPolicy):
    """OPT-Tree: the ``budget`` most probable nodes, with layers added while that pays (2406.17276).

    With E(d) the sum of the ``budget`` largest draft probabilities of nodes down to depth d, a layer is added
    after layer d while E(d) - E(d - 1) > threshold (E(0) = 0), and down to ``depth``.  budget >= 1, a finite
    threshold >= 0, depth >= 0.
    """

    budget: int
    threshold: Any
    depth: int

    def __post_init__(self) -> None:
        check_count("budget", self.budget, 1)
        check_number("threshold", self.threshold)
        check_count("depth", self.depth, 0)

    def nodes(self, pair: Pair, context: Context = ()) -> list[Context]:
        """The nodes that are kept, most probable first."""
        best: list[tuple[Scalar, Context]] = []
        search = LevelSearch(pair, context, self.budget)
        for layers in range(1, self.depth + 1):
            before = sum(value for value, _ in best)
            best = search.find(lambda nodes: list(islice(nodes, self.budget)), layers)
            if not sum(value for value, _ in best) - before > self.threshold:
                break
        return [below for _, below in best]


@dataclass(frozen=True, repr=False, init=False)
class CaDDTree(DeterministicPolicy):
    """CaDDTree: the most probable nodes, as many as pay for their verification (2606.01813).

    Nodes are added, most probable first, while ``theta(n) = (1 + Phi(n)) / (draft_cost + cost(n))`` grows, Phi(n)
    the sum of the n largest draft probabilities and ``cost`` the convex fit of the measured costs
    (:func:`convex_costs`).  Phi is concave and the cost convex, so theta has one rise and one fall, and n is best.

    Fields
    ------
    draft_cost : cost of drafting, finite, >= 0, in the unit of the others
    verification_costs : a mapping from numbers of nodes below the root to measured costs of their verification;
        0 among them, whose cost is positive, and the largest the most nodes a tree can have
    depth : the deepest level, >= 0
    """

    draft_cost: Any
    verification_costs: tuple[tuple[int, Any], ...]
    depth: int

    def __init__(self, draft_cost: Any, verification_costs: Mapping[int, Any], depth: int) -> None:
        object.__setattr__(self, "draft_cost", check_number("draft_cost", draft_cost))
        if not isinstance(verification_costs, Mapping) or 0 not in verification_costs:
            raise ValueError(f"verification_costs must map sizes, 0 among them, to costs; it is {verification_costs!r}")
        for size, cost in verification_costs.items():
            check_count("a size in verification_costs", size, 0)
            check_number(f"verification_costs[{size}]", cost)
        object.__setattr__(self, "verification_costs", tuple(sorted(verification_costs.items())))
        object.__setattr__(self, "depth", check_count("depth", depth, 0))
        if not self.draft_cost + self.costs[0] > 0:
            raise ValueError(f"draft_cost is {draft_cost} and the fitted cost of no nodes {self.costs[0]}: both are 0")

    @property
    def name(self) -> str:
        """The call that builds the policy."""
        return f"CaDDTree({self.draft_cost}, {dict(self.verification_costs)}, {self.depth})"

    @cached_property
    def costs(self) -> tuple[float, ...]:
        """The fitted costs of verifying 0, 1, ..., N nodes below the root."""
        return convex_costs(self.verification_costs)

    def nodes(self, pair: Pair, context: Context = ()) -> list[Context]:
        """The nodes that are kept, most probable first."""
        return LevelSearch(pair, context, len(self.costs) - 1).find(self._worthwhile, self.depth)

    def _worthwhile(self, nodes: Nodes) -> list[Context]:
        """The nodes of a sequence, most probable first, that are added while theta grows."""
        totals = [self.draft_cost + cost for cost in self.costs]
        chosen: list[Context] = []
        gain, theta = 1, 1 / Fraction(totals[0])
        for total, (value, below) in zip(totals[1:], nodes, strict=False):
            gain += value
            if not Fraction(gain) / Fraction(total) > theta:
                break
            theta = Fraction(gain) / Fraction(total)
            chosen.append(below)
        return chosen


def check_number(name: str, value: Any) -> Any:
    """The number as it is; raises unless it is real, finite and at least 0."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, but is {value!r}")
    if not 0 <= value < inf:  # type: ignore[operator]
        raise ValueError(f"{name} must be finite and at least 0, but is {value}")
    return value


POLICIES["TopK(k, depth, budget)"] = TopK
