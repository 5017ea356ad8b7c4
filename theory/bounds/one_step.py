"""alpha*: the largest acceptance rate that any one-step solver reaches, by sorting, without a transport plan.

The problem (maximum flow = minimum cut; 2502.18779, Theorem 3.1, for any law of the child list): over all joint
laws of a list and a token y with the list's law and the target's row as marginals, maximise Pr(y in list).
Its value is ``1 + min over H of [target(H) - Pr(list inside H)]``, H running over the sets of tokens.

The minimum is attained at a prefix of the tokens ordered by draft/target descending whenever Pr(list inside H)
is *q-convex*: adding token i to H, and then j, gains per unit of draft mass at least as much by j as by i.
(If the best H holds i and not j, of larger draft/target, then leaving i out or taking j in is no worse.)
I.i.d. lists: ``draft(H)^k`` grows with slope k draft(H)^(k-1), which increases.  Lists without replacement: let
the tokens arrive at exponential times with rates draft(x), the list being the first k.  Given that i, or j,
arrives at time t, the gain by i asks j to stay out of the list, and all that it asks else the gain by j asks
too.  A top-(k-1)+1 list has one free token, and its minimum is written down.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..rows.distributions import Row, Scalar, check_count, check_rows, is_exact

ListDrawing = Literal["iid", "without_replacement", "top_plus_one"]
"""How the k tokens of a child list are drawn from the draft's row."""

NODE_STEP = 0.2
"""Distance of the quadrature's nodes in the logarithm of time."""

SURELY_ARRIVED = 40.0
"""A token of rate r is taken to have arrived at times beyond this over r."""

LATEST = 12.0
"""The logarithm of rate times time is cut to this: by then a token has arrived, and e^-e^12 is 0."""

BLOCK = 1024
"""Prefixes that the quadrature takes at once."""


@dataclass(frozen=True, eq=False)
class OptimalAcceptance:
    """The optimal acceptance, and the set that proves that no solver exceeds it.

    Fields
    ------
    value : alpha* in [0, 1], a Fraction for rows of Fractions
    cut : the tokens of a minimising set H: ``value = 1 + weight target(H) - inside``
    inside : Pr(list inside H)
    """

    value: Scalar
    cut: NDArray[np.int64]
    inside: Scalar

    def __float__(self) -> float:
        return float(self.value)


def optimal_acceptance(
    target: ArrayLike, draft: ArrayLike, k: int, drawing: ListDrawing = "iid", weight: Scalar = 1
) -> OptimalAcceptance:
    """The largest Pr(Y in list) over all solvers that are lossless for lists of k draws, with a minimising set.

    Parameters
    ----------
    target, draft : rows (V,), both float64 or both of Fractions
    k : the length of the list, >= 1
    drawing : "iid"; "without_replacement" (a list ends early when the draft's support is used up);
        "top_plus_one": the draft's k - 1 top tokens, the lower token first among equals, and one draw from the
        rest, if that has any mass
    weight : the target counts ``weight`` in [0, 1], and the rest of 1 falls on a symbol that no list holds

    Exact for Fractions.  In float64 "iid", "top_plus_one" and k <= 2 are closed forms, O(V log V); without
    replacement k >= 3 is an integral over time by the trapezoidal rule in log t, to about 1e-13, O(k V) for each
    of some 150 nodes (more when the draft has entries below 1e-8); for Fractions it is a sum over O(V^(k-1))
    sets.  Raises ``ValueError`` for improper rows, k < 1, a weight outside [0, 1], an unknown drawing.
    Source: 2502.18779; the prefix's proof and the integral are in this module.
    """
    target, draft = _checked(target, draft, weight)
    check_count("k", k, 1)
    if drawing == "top_plus_one":
        return _top_plus_one(target * weight, draft, k)
    if drawing not in ("iid", "without_replacement"):
        raise ValueError(f'drawing must be "iid", "without_replacement" or "top_plus_one", but is {drawing!r}')
    order = over_drafted_first(target, draft)
    ordered = draft[order]
    inside = np.cumsum(ordered) ** k if drawing == "iid" else _without_replacement(ordered, k)
    costs = np.cumsum(target[order]) * weight - inside
    best = int(np.argmin(costs))
    zero = costs[0] * 0
    if costs[best] >= 0:
        return OptimalAcceptance(zero + 1, order[:0], zero)
    return OptimalAcceptance(1 + costs[best], order[: best + 1], inside[best])


def _checked(target: ArrayLike, draft: ArrayLike, weight: Scalar) -> tuple[Row, Row]:
    """Both rows, checked alone and against each other."""
    rows = check_rows("target", target, ndim=1), check_rows("draft", draft, ndim=1)
    if len(rows[0]) != len(rows[1]):
        raise ValueError(f"target has {len(rows[0])} tokens, but draft has {len(rows[1])}")
    if is_exact(rows[0]) != is_exact(rows[1]):
        raise TypeError("target and draft must both be float64, or both hold Fractions")
    if not 0 <= weight <= 1:
        raise ValueError(f"weight must lie in [0, 1], but is {weight}")
    return rows


def over_drafted_first(target: Row, draft: Row) -> NDArray[np.int64]:
    """(V,) the tokens by draft/target descending: target 0 first, draft 0 last; equal ratios in any order.

    Tokens in neither support come last.
    """
    if is_exact(target):
        sums = target + draft
        empty = sums == 0
        return np.argsort((target + empty) / (sums + empty))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratios = draft / target  # keeps apart the largest ratios as well as the least
    ratios[np.isnan(ratios)] = -1
    return np.argsort(-ratios)


def _top_plus_one(mass: Row, draft: Row, k: int) -> OptimalAcceptance:
    """``mass(A) + sum over x off A of min(mass(x), s(x))``, A the top k - 1 tokens, s the last draw's law."""
    zero, rest = mass[0] * 0, draft.copy()
    top = np.empty(min(k - 1, len(draft)), dtype=np.int64)
    for place in range(len(top)):
        top[place] = rest.argmax()
        rest[top[place]] = zero - 1  # below every entry, so that no token is taken twice
    rest[top] = zero
    if not rest.any():  # the list is A, whatever happens
        return OptimalAcceptance(mass[top].sum() + zero, top, zero + 1)
    last = rest / rest.sum()
    over = np.flatnonzero(mass < last)
    value = mass[top].sum() + np.minimum(mass, last).sum()
    return OptimalAcceptance(value, np.concatenate([top, over]), last[over].sum())


def _without_replacement(ordered: Row, k: int) -> Row:
    """(V,) the probability that the first k draws without replacement all lie in each prefix of the tokens."""
    k = min(k, int(np.count_nonzero(ordered)))
    zero = ordered[:1] * 0
    rest = np.concatenate([np.cumsum(ordered[::-1])[::-1][1:], zero])  # the draft's mass behind each prefix
    if k == 1:
        return 1 - rest
    if k == 2:
        return _by_two(ordered, rest)
    return _by_sets(ordered, rest, k) if is_exact(ordered) else _race(ordered, rest, k)


def _by_two(ordered: Row, rest: Row) -> Row:
    """``1 - rest (1 + sum over the prefix of q / (1 - q))``, where 1 - q, summed, may be tiny for the greatest q."""
    zero, top = ordered[:1] * 0, int(np.argmax(ordered))
    others = np.concatenate([zero, np.cumsum(ordered)[:-1]]) + rest
    odds, share = ordered.copy(), rest * 0
    odds[top], share[top:] = zero[0], rest[top:] / others[top]
    others[top] = zero[0] + 1
    return 1 - rest * (1 + np.cumsum(odds / others)) - ordered[top] * share


def _by_sets(ordered: Row, rest: Row, k: int) -> Row:
    """The exact form: the draws leave a prefix right after some set of less than k of its tokens was drawn.

    ``rest`` times the sum, over those sets, of the probability that they come first over the mass they leave.
    """
    gains = np.full(len(ordered), Fraction(0), dtype=object)
    first: dict[tuple[int, ...], Scalar] = {(): Fraction(1)}
    for _ in range(k):
        longer: dict[tuple[int, ...], Scalar] = defaultdict(int)
        for drawn, probability in first.items():
            quotient = probability / (1 - sum(ordered[list(drawn)]))
            gains[max(drawn, default=0)] += quotient
            for token in set(np.flatnonzero(ordered).tolist()) - set(drawn):
                longer[tuple(sorted((*drawn, token)))] += quotient * ordered[token]
        first = longer
    return 1 - rest * np.cumsum(gains)


def _race(ordered: Row, rest: Row, k: int) -> Row:
    """The float64 form: ``integral of rest e^(-rest t) Pr(k or more of the prefix arrived by t) dt``.

    Tokens arrive at exponential times with their draft masses as rates; the integrand is the density of the
    first arrival behind the prefix.  The trapezoidal rule in log t, for functions that are analytic for
    Re t > 0, errs by less than 1e-15 at this step; before the first node lies less than 1e-4^(k+1).
    """
    with np.errstate(divide="ignore"):  # of a token that is never drawn
        rates, behind = np.log(ordered), np.log(rest)
    latest = np.log(45) - rates[ordered > 0].min()
    times = np.arange(np.log(1e-4), latest + NODE_STEP, NODE_STEP)[:, None]  # logarithms: the times may overflow
    arrivals = _Arrivals(k, len(times))
    inside = np.ones(len(ordered))
    for start in range(0, len(ordered), BLOCK):
        part = slice(start, start + BLOCK)
        hazards, ages = (np.exp(np.minimum(logs[part] + times, LATEST)) for logs in (behind, rates))
        densities = NODE_STEP * hazards * np.exp(-hazards)
        inside[part] = (densities * arrivals.enough(ages)).sum(axis=0)
    inside[rest == 0] = 1
    return inside


class _Arrivals:
    """The probability that k or more tokens of each prefix arrived, computed block by block at n times.

    The number of arrivals is m with probability ``e^-(sum of ages)`` times the m-th elementary symmetric sum of
    ``e^age - 1``, age being rate times time.  A token older than 40 counts as arrived: an error of e^-40.
    """

    def __init__(self, k: int, n: int) -> None:
        self.k = k
        self.sure, self.ages = np.zeros((n, 1), dtype=np.int64), np.zeros((n, 1))
        self.sums = [np.ones((n, 1)), *(np.zeros((n, 1)) for _ in range(1, k))]

    def enough(self, ages: Row) -> Row:
        """(n, B) for the next B prefixes, from the ages (n, B) of the tokens that they add one by one."""
        certain = ages > SURELY_ARRIVED
        ages = np.where(certain, 0.0, ages)
        sure = self.sure + np.cumsum(certain, axis=1)
        total = self.ages + np.cumsum(ages, axis=1)
        odds, sums = np.expm1(ages), np.ones_like(ages)
        fewer = np.where(sure < self.k, sums, 0.0)
        for number in range(1, self.k):
            before = np.concatenate([self.sums[number - 1], sums[:, :-1]], axis=1)
            self.sums[number - 1] = sums[:, -1:]
            sums = self.sums[number] + np.cumsum(odds * before, axis=1)
            fewer += np.where(sure < self.k - number, sums, 0.0)
        self.sums[-1], self.sure, self.ages = sums[:, -1:], sure[:, -1:], total[:, -1:]
        return 1 - fewer * np.exp(-total)
