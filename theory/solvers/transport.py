"""The optimal one-step solver for any law of the child list, by a transport plan: for small vocabularies.

The problem (2310.15141): between the child lists, of masses a_1..a_M, and the symbols 0..V-1 and "none", of
masses ``(w target, 1 - w)``,

    minimise  sum of plan[l, y] cost[l, y]   over plans >= 0 with these marginals,

where ``cost[l, y]`` is 0 if list l holds token y, and else 1.  The minimum is 1 - alpha*, and given list l the
solver emits from row l of the plan over a_l.  Solved by POT or by HiGHS, and proven by the dual each time.

Many plans are optimal.  The tie-break is a second programme, on the edges whose reduced cost is zero: most, or
least, mass on the tokens of high multiplicity.

Of the answer only the mass that hits its list is used, cut down to fit both marginals; what remains of the
lists is coupled with what remains of the symbols as a product.  So the solver is lossless whatever the
programme's tolerance.  For Fractions the support of a basic plan is a forest, along which the plan is found
exactly; should rounding have spoilt the support, the plan is rounded down instead, still lossless.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb, log10, prod
from typing import Literal

import numpy as np

from ..rows.distributions import Row, RowKey, Scalar, check_rows, exact, is_exact, over_own_sums
from ..rows.lists import ListLaw, TokenList, iid_lists
from .programmes import PROGRAMS, Duality, Program, check_duality, solve_transport
from .sequential import Branching, check_list, nss, scaled, split

Preference = Literal["high", "low", "any"]
"""Where a tie goes: to tokens of higher multiplicity, of lower multiplicity, or as the programme falls."""

TIE_SIGNS = {"high": -1.0, "low": 1.0, "any": 0.0}

TIE_TOLERANCE = 1e-7
"""An edge with a reduced cost below this may carry mass; with costs 0 and 1 reduced costs are integers."""

MOST_LISTS = 100_000
"""The most child lists (draws of the support, in order) that a plan is made for."""

MOST_CELLS = 2**20
"""The most distinct child lists times tokens: a plan of that size takes some seconds and 100 MiB."""

NEGLIGIBLE = 1e-30
"""In float64 a child list of less probability is left out of the programme, and ignored as by ``nss``."""

HIT_STEP = 2**40
"""Where no exact plan is found, hits are rounded down to multiples of 1 over this."""


@dataclass(frozen=True, eq=False)
class TransportPlan:
    """An optimal coupling of child lists and tokens, with its proof.

    Fields
    ------
    rows : list of tokens to its row l in 0..M-1; multisets ascending, unless order is kept
    list_masses : (M,) the lists' probabilities
    hits : (M, V) the joint probability of list l and a token y that it holds
    mass, none : (V,) the target times the weight, and the mass of "none"
    proof : the coupling's cost 1 - alpha*, and that of its dual
    """

    rows: dict[TokenList, int]
    list_masses: Row
    hits: Row
    mass: Row
    none: Scalar
    proof: Duality

    @property
    def acceptance(self) -> Scalar:
        """The probability that the emitted token is in the list, alpha* up to the proof's gap."""
        return 1 - self.proof.primal

    @property
    def left(self) -> tuple[Row, Row]:
        """(M,) and (V,) the masses of lists and of tokens that are not part of a hit."""
        return _rest(self.list_masses, self.hits.sum(axis=1)), _rest(self.mass, self.hits.sum(axis=0))

    def branching(self, tokens: Sequence[int], key: TokenList) -> Branching:
        """The branching law given a list of tokens, whose entry in ``rows`` is ``key``.

        Raises ``ValueError`` for a list that the law of lists never draws.
        """
        if key not in self.rows:
            raise ValueError(f"the list {tuple(tokens)} has probability 0 under the law of the child lists")
        row = self.rows[key]
        lists, symbols = self.left
        total = self.list_masses[row]
        listed = {token: self.hits[row, token] / total for token in dict.fromkeys(tokens)}
        return split(symbols, self.mass, self.none, listed, lists[row] / total)


@dataclass(frozen=True)
class OptimalTransport:
    """The solver of largest acceptance for a law of the child list: ``solver(target, draft, tokens, weight=1)``.

    Lossless for child lists of the law ``lists``, of the list's length; for Fractions exactly.

    Parameters
    ----------
    lists : the law of the child list, such as :func:`.iid_lists`; any function ``(draft, k)`` to pairs of
        probability and tokens
    prefer : the tie-break among optimal plans, "high", "low" or "any" (see ``Preference``)
    program : "pot" or "highs"
    ordered : tell apart lists that hold the same tokens in another order; only where ``lists`` does

    A plan is made once for a pair of rows, a length and a weight, and remembered.  The work grows with the
    number of lists times V: some hundred lists take milliseconds.
    """

    lists: ListLaw = iid_lists
    prefer: Preference = "high"
    program: Program = "pot"
    ordered: bool = False

    def __post_init__(self) -> None:
        if self.prefer not in TIE_SIGNS or self.program not in PROGRAMS:
            raise ValueError(
                f"prefer must be one of {', '.join(TIE_SIGNS)} and program one of {', '.join(PROGRAMS)}, "
                f"but they are {self.prefer!r} and {self.program!r}"
            )

    def __call__(self, target: Row, draft: Row, tokens: Sequence[int], weight: Scalar = 1) -> Branching:
        """The branching law given a child list: rows (V,), any weight in [0, 1].

        Raises ``ValueError`` for an improper row, for a list that the law of lists never draws, and where there
        are more than ``MOST_LISTS`` lists (:data:`.optimal_iid` has no such bound);
        ``RuntimeError`` if the programme is not solved to optimality.
        """
        check_list(tokens, len(target))
        plan, key = self.plan(target, draft, len(tokens), weight), self._key(tokens)
        if key not in plan.rows and _is_negligible(draft, tokens):
            return nss(target, draft, tokens, weight)
        return plan.branching(tokens, key)

    def plan(self, target: Row, draft: Row, k: int, weight: Scalar = 1) -> TransportPlan:
        """The optimal coupling for lists of length k, with its proof; remembered."""
        return remembered_plan(self, RowKey(target), RowKey(draft), k, weight)

    def _key(self, tokens: Sequence[int]) -> TokenList:
        return tuple(tokens) if self.ordered else tuple(sorted(tokens))

    def _plan(self, target: Row, draft: Row, k: int, weight: Scalar) -> TransportPlan:
        """The coupling, computed."""
        target, draft = (
            over_own_sums(check_rows(name, row, ndim=1)) for name, row in (("target", target), ("draft", draft))
        )
        mass, none = scaled(target, (), weight)
        law = self._merged(draft, k)
        masses = np.array(list(law.values()), dtype=mass.dtype)
        symbols = np.append(mass, none)
        copies = _multiplicities(list(law), len(target))
        plan, prices = self._solve(copies, (masses.astype(np.float64), symbols.astype(np.float64)))
        found = _along_forest(plan, masses, symbols) if is_exact(mass) else plan
        hits = _fitted(plan if found is None else found, copies, (masses, symbols))
        coupling, cost = _completed(hits, masses, symbols), (copies == 0).astype(mass.dtype)
        proof = check_duality(coupling, cost, (masses, symbols), (_as(mass, prices[0]), _as(mass, prices[1])))
        return TransportPlan({key: row for row, key in enumerate(law)}, masses, hits[:, :-1], mass, none, proof)

    def _merged(self, draft: Row, k: int) -> dict[TokenList, Scalar]:
        """The lists of positive probability (float64: not negligible), those that count as equal merged."""
        _require_few(int(np.count_nonzero(draft)), k, self.ordered)
        law: dict[TokenList, Scalar] = defaultdict(int)
        for probability, tokens in self.lists(draft, k):
            law[self._key(tokens)] += probability
        least = 0 if is_exact(draft) else NEGLIGIBLE
        return {key: probability for key, probability in law.items() if probability > least}

    def _solve(self, copies: Row, masses: tuple[Row, Row]) -> tuple[Row, tuple[Row, Row]]:
        """A float64 plan of least cost, of those the one preferred, and the prices that prove it."""
        cost = (copies == 0).astype(np.float64)
        plan, *prices = solve_transport(cost, masses, self.program)
        if self.prefer != "any":
            reduced = cost - prices[0][:, None] - prices[1][None, :]
            never = 2.0 * copies.shape[1] + 2  # above any difference of prices along the tokens
            second = np.where(reduced < TIE_TOLERANCE, TIE_SIGNS[self.prefer] * copies / copies.max(), never)
            plan, *_ = solve_transport(second, masses, self.program)
        return plan, (prices[0] - prices[0][0], prices[1] + prices[0][0])


optimal = OptimalTransport()
"""The solver for i.i.d. lists, ties to higher multiplicity, by POT."""


@lru_cache(maxsize=4096)
def remembered_plan(
    solver: OptimalTransport, target: RowKey, draft: RowKey, k: int, weight: Scalar
) -> TransportPlan:
    """The plan of one solver for one pair of rows, the last 4096 of them remembered."""
    return solver._plan(target.row, draft.row, k, weight)


def _require_few(support: int, k: int, ordered: bool) -> None:
    """Raise ``ValueError`` where lists of k draws from so many tokens are too many for a plan."""
    if k * log10(max(support, 1)) > log10(MOST_LISTS):
        raise ValueError(
            f"a transport plan for {support}^{k} child lists is too large: at most {MOST_LISTS} are taken"
        )
    distinct = support**k if ordered else comb(support + k - 1, k)
    if distinct * (support + 1) > MOST_CELLS:
        raise ValueError(
            f"a transport plan for {distinct} child lists over {support} tokens is too large: at most {MOST_CELLS} "
            f"lists times tokens are taken; optimal_iid, the closed form for i.i.d. lists, has no such bound"
        )


def _is_negligible(draft: Row, tokens: Sequence[int]) -> bool:
    """True for a list that may have been left out for its small probability, which its tokens' product is below."""
    masses = [draft[token] for token in tokens]
    return not is_exact(draft) and min(masses) > 0 and prod(masses) <= NEGLIGIBLE


def _as(mass: Row, prices: Row) -> Row:
    """The prices in the arithmetic of the masses: with costs 0 and 1 they are integers, if one of them is 0."""
    return exact(np.round(prices)) if is_exact(mass) else prices


def _multiplicities(lists: list[TokenList], size: int) -> Row:
    """(M, V + 1) how often each list holds each token; "none", the last column, never."""
    copies = np.zeros((len(lists), size + 1), dtype=np.int64)
    for row, tokens in enumerate(lists):
        for token, count in Counter(tokens).items():
            copies[row, token] = count
    return copies


def _rest(whole: Row, part: Row) -> Row:
    """``whole - part``, of which rounding may have made the part the larger."""
    return np.maximum(whole - part, whole * 0)


def _completed(hits: Row, rows: Row, columns: Row) -> Row:
    """(M, N) the hits, and a product coupling of what they leave of both marginals."""
    left, right = _rest(rows, hits.sum(axis=1)), _rest(columns, hits.sum(axis=0))
    total = right.sum()
    return hits + np.outer(left, right / total) if total else hits


def _fitted(plan: Row, copies: Row, masses: tuple[Row, Row]) -> Row:
    """(M, N) the plan's mass on the lists' own tokens, cut down where it exceeds a marginal.

    For Fractions a float plan is first rounded down to multiples of 2^-40.
    """
    hits = np.where(copies > 0, plan, plan * 0)
    if is_exact(masses[0]) and not is_exact(hits):
        hits = exact(np.floor(hits * HIT_STEP).astype(np.int64)) / HIT_STEP
    for axis, limits in ((1, masses[0]), (0, masses[1])):
        sums = hits.sum(axis=axis)
        over = (sums > limits).astype(bool)
        factors = np.ones_like(limits) + sums * 0
        factors[over] = limits[over] / sums[over]
        hits = hits * np.expand_dims(factors, axis)
    return hits


def _along_forest(plan: Row, rows: Row, columns: Row) -> Row | None:
    """The exact plan with the support of a float plan, if the support is a forest that bears one; else None.

    A node that only one edge is left at gives that edge all its mass.
    """
    left: list[Scalar] = [*rows, *columns]
    edges: dict[int, set[int]] = defaultdict(set)
    for row, column in np.argwhere(plan > 0).tolist():
        edges[row].add(len(rows) + column)
        edges[len(rows) + column].add(row)
    out = np.full(plan.shape, Fraction(0), dtype=object)
    ends = [node for node in edges if len(edges[node]) == 1]
    while ends:
        node = ends.pop()
        if not edges[node]:
            continue
        other = edges[node].pop()
        edges[other].remove(node)
        out[min(node, other), max(node, other) - len(rows)] = left[node]
        left[other], left[node] = left[other] - left[node], Fraction(0)
        if len(edges[other]) == 1:
            ends.append(other)
    return None if any(left) or any(edges.values()) or out.min() < 0 else out
