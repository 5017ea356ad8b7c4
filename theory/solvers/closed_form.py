"""The optimal one-step solver for i.i.d. lists at any vocabulary size, in closed form but for a root per group.

The problem (2410.18234, Theorem 1), over rules that choose one token of a list of k i.i.d. draws and have the
law r: maximise ``sum_y min(w target(y), r(y))``.  The laws of such rules are those with ``r(H) >= draft(H)^k``
for every set H and ``r(V) = 1``.  The chosen token is then verified by plain speculative sampling against r,
which is lossless whatever r is, provided that r is the law of the choice: and that law is computed exactly.

Four steps, after one sort of the tokens by draft/target descending, with P and Q the cumulated rows:

1. *Groups* (only for long rows): neighbours in the order are pooled, and share one value of r/draft.
2. *Law.*  Along the concave majorant of the points (P, Q^k) let r be the slope times the target.  Every
   minimiser of ``w target(H) - draft(H)^k`` is a vertex of it, hence ``sum min(w target, r)`` is as large as
   possible for *all* weights w at once: one rule per node serves every weight that a lift may give it.
3. *Tickets.*  r/draft increases along the order, and r lies above the law of the plain ranking; so tokens
   are laid, one after the other, on intervals of the line [0, 1], on which a ticket from a to b wins with
   probability ``b^k - a^k``.  A token whose interval would meet earlier ones goes around them, below and
   above, and the union is again one interval: its length and its value are known, its start is a root.
4. *Verification* of the chosen token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb, frexp, ldexp, sqrt

import numpy as np
from numpy.typing import NDArray

from ..rows.distributions import Floats, Row, RowKey, Scalar, check_count, check_rows, is_exact
from .rankings import NO_GROUP, SplitRanking
from .sequential import Branching, accept_share, excess, naive, scaled, split

SHARE_STEP = 2**30
"""In exact arithmetic the shares of a group's tickets are rounded to multiples of 1 over this."""

MOST_STEPS = 60
"""Newton's method stops after this many steps; it needs three to eight."""

LEAST_SHARE = 1e-13
"""A ticket with a smaller part of its group is rounding noise, and is left out."""


@dataclass(frozen=True)
class OptimalIid:
    """The solver for i.i.d. lists with the largest acceptance: ``solver(target, draft, tokens, weight=1)``.

    Lossless whatever ``groups`` is: for Fractions exactly, in float64 up to rounding.  Rows of at most
    ``groups`` different ratios draft/target reach the optimal acceptance up to rounding (Fractions: up to
    about 2^-30); longer ones lose a little, by :func:`shortfall`.  The rule for a pair of rows is built once
    and remembered; it does not depend on the weight.
    """

    groups: int = 512

    def __post_init__(self) -> None:
        check_count("groups", self.groups, 2)

    def __call__(self, target: Row, draft: Row, tokens: Sequence[int], weight: Scalar = 1) -> Branching:
        """The branching law given a list of i.i.d. draws: rows (V,), any weight in [0, 1].

        Raises ``ValueError`` for an improper row, and for a token of draft probability 0.
        """
        if len(tokens) == 1:  # nothing to choose
            return naive(target, draft, tokens, weight)
        rule = remembered_rule(RowKey(target), RowKey(draft), len(tokens), self.groups)
        mass, none = scaled(target, tokens, weight)
        zero = none * 0
        listed, remaining = {}, zero
        for token, chance in rule.choice(tokens).items():
            accept = accept_share(mass[token], rule.law[token])
            listed[token] = chance * accept
            remaining = remaining + chance * (1 - accept)
        return split(excess(mass, rule.law, zero + 1), mass, none, listed, remaining)


optimal_iid = OptimalIid()
"""The solver with its default number of groups."""


@lru_cache(maxsize=64)
def remembered_rule(target: RowKey, draft: RowKey, count: int, groups: int) -> SplitRanking:
    """:func:`optimal_rule`, remembered for the last 64 pairs of rows."""
    return optimal_rule(target.row, draft.row, count, groups)


def shortfall(rule: SplitRanking, target: Row, best: Scalar, weight: Scalar = 1) -> Scalar:
    """``best - sum min(weight target, rule.law)``: at most this much acceptance is missing, given the optimum.

    ``best`` is :func:`.optimal_acceptance`'s value at that weight.  Exact for Fractions.
    """
    return best - np.minimum(target * weight, rule.law).sum()


def optimal_rule(target: Row, draft: Row, count: int, groups: int = 512) -> SplitRanking:
    """The choice of one token from ``count`` >= 2 i.i.d. draws whose law meets the target's as far as possible.

    Rows (V,); rows of more than ``groups`` different ratios are pooled into about that many groups.  The
    sort is O(V log V), the rest O(V + groups).  For Fractions the order and the cuts are found in float64
    and the cuts rounded; the law of the rule is exact all the same.  Raises ``ValueError`` for improper rows.
    """
    target, draft = check_rows("target", target, ndim=1), check_rows("draft", draft, ndim=1)
    check_count("count", count, 2)
    rows = target.astype(np.float64), draft.astype(np.float64)
    places = _groups(*rows, groups)
    proposed = places != NO_GROUP
    wanted, masses = (np.bincount(places[proposed], weights=row[proposed]).astype(np.float64) for row in rows)
    owners, shares = _tickets(masses.tolist(), _law(wanted, masses, count), count)
    return SplitRanking(draft, count, places, owners, _rational(owners, shares) if is_exact(draft) else shares)


def _groups(target: Floats, draft: Floats, limit: int) -> NDArray[np.int64]:
    """(V,) the group of each token, numbered by draft/target descending; ``NO_GROUP`` where the draft is 0.

    Equal ratios are one group.  If that leaves more than ``limit``, a group also ends only where the cumulated
    mass or the ratio ``target / (target + draft)`` passes a multiple of 2 / limit.
    """
    support = np.flatnonzero(draft)
    sums = target[support] + draft[support]
    ratios = target[support] / sums
    order = np.argsort(ratios, kind="stable")
    ratios, sums = ratios[order], sums[order]
    gaps = np.diff(ratios)
    ends = gaps > 0
    if np.count_nonzero(ends) >= limit:
        spans = np.cumsum(np.sqrt((sums[1:] + sums[:-1]) * gaps))
        ends = np.diff(np.floor(spans * (limit / spans[-1])), prepend=0) > 0
    places = np.full(len(draft), NO_GROUP)
    places[support[order]] = np.concatenate([[0], np.cumsum(ends)])
    return places


def _law(target: Floats, draft: Floats, count: int) -> list[float]:
    """(G,) the law r of the choice: the slopes of the concave majorant of the points (P, Q^k), times the target.

    Every step of Q^k is computed without a difference, so that groups of tiny mass have their slope too.
    """
    ends = np.cumsum(draft)
    starts = np.concatenate([[0.0], ends[:-1]])
    rises = draft * sum(ends**i * starts ** (count - 1 - i) for i in range(count))
    law: list[float] = []
    for start, end, run, rise in _majorant(target.tolist(), rises.tolist()):
        law += (target[start:end] / run * rise if run else rises[start:end]).tolist()
    return law


def _majorant(runs: list[float], rises: list[float]) -> list[tuple[int, int, float, float]]:
    """The edges of the least concave function above a path: the first and last step, the sums of run and rise.

    A step that is not less steep than the edge before it is joined to it.
    """
    edges: list[tuple[int, int, float, float]] = []
    for step, (run, rise) in enumerate(zip(runs, rises, strict=True)):
        start = step
        while edges and _at_least(rise, edges[-1][2], edges[-1][3], run):
            start, _, run_before, rise_before = edges.pop()
            run, rise = run + run_before, rise + rise_before
        edges.append((start, step + 1, run, rise))
    return edges


def _at_least(a: float, b: float, c: float, d: float) -> bool:
    """Whether a b >= c d for numbers >= 0, though both products may underflow."""
    (left, left_power), (right, right_power) = (
        (x * y, m + n) for (x, m), (y, n) in ((frexp(a), frexp(b)), (frexp(c), frexp(d)))
    )
    if left == 0 or right == 0:
        return left >= right
    return ldexp(left, max(-1000, min(1000, left_power - right_power))) >= right


@dataclass
class _Interval:
    """A part of the line that is laid out: where it starts and ends, and the draft's and r's mass on it.

    ``mass`` is ``end - start`` up to rounding, but tiny groups must not be measured by that difference.
    """

    start: float
    end: float
    mass: float
    value: float


def _tickets(masses: list[float], law: list[float], count: int) -> tuple[NDArray[np.int64], Floats]:
    """Lay the groups out one after the other: the owners (T,) and the shares (T,) of the tickets, worst first."""
    line: list[_Interval] = []
    pieces: list[tuple[float, int, float]] = []  # where the ticket starts, its group, its length
    whole = sum(masses)
    for group, (mass, value) in enumerate(zip(masses, law, strict=True)):
        new, holes = _place(line, mass, value, whole, count)
        edges = [new.start, *(edge for hole in reversed(holes) for edge in (hole.start, hole.end)), new.end]
        lengths = [max(0.0, high - low) for low, high in zip(edges[::2], edges[1::2], strict=True)]
        total = sum(lengths)
        cut = [(low, length / total) for low, length in zip(edges[::2], lengths, strict=True)] if total else []
        kept = [(low, group, share) for low, share in cut if share > LEAST_SHARE]
        pieces += kept or [(new.end, group, 1.0)]
    pieces.sort(key=lambda piece: piece[0])
    owners = np.array([owner for _, owner, _ in pieces])
    shares = np.array([share for _, _, share in pieces])
    return owners, shares / np.bincount(owners, weights=shares)[owners]


def _place(
    line: list[_Interval], mass: float, value: float, whole: float, count: int
) -> tuple[_Interval, list[_Interval]]:
    """The interval that the next group fills together with the earlier ones that it goes around, from the top."""
    start, holes = _start(mass, value, whole, count), []
    while line and start < line[-1].end:
        hole = line.pop()
        holes.append(hole)
        mass, value = mass + hole.mass, value + hole.value
        start = min(_start(mass, value, whole, count), hole.start)
    end = max(start + mass, holes[0].end) if holes else start + mass
    line.append(_Interval(start, end, mass, value))
    return line[-1], holes


def _start(length: float, value: float, whole: float, count: int) -> float:
    """The s in [0, whole - length] with ``(s + length)^k - s^k = value``; the nearer end if there is none."""
    half, height = length / 2, value / length
    if count == 2:
        centre = height / 2
    elif count == 3:
        centre = sqrt(max(height - half * half, 0.0) / 3)
    else:
        centre = _centre(half, height, count)
    return min(max(centre - half, 0.0), max(whole - length, 0.0))


def _centre(half: float, height: float, count: int) -> float:
    """The c >= half with ``((c + half)^k - (c - half)^k) / (2 half) = height``, or ``half`` if there is none.

    Newton's method on the left side, which is ``sum over odd j of C(k, j) half^(j-1) c^(k-j)``: increasing and
    convex in c, and started above the root, at the root for half = 0.
    """
    factors = [comb(count, j) * half ** (j - 1) for j in range(1, count + 1, 2)]
    centre = (height / count) ** (1 / (count - 1))
    for _ in range(MOST_STEPS):
        left, slope, square = 0.0, 0.0, centre * centre
        for factor in factors:  # Horner's rule in the square of c
            left, slope = left * square + factor, slope * square + 2 * centre * left
        if count % 2 == 0:
            left, slope = left * centre, left + slope * centre
        step = (left - height) / slope if slope > 0 else 0.0
        centre -= step
        if centre <= half or step <= 1e-16 * centre:
            break
    return max(centre, half)


def _rational(owners: NDArray[np.int64], shares: Floats) -> Row:
    """The shares as positive multiples of 2^-30, the largest of each group making up the sum of 1."""
    out = np.array([Fraction(max(1, round(share * SHARE_STEP)), SHARE_STEP) for share in shares], dtype=object)
    largest = np.lexsort((shares, owners))[np.searchsorted(np.sort(owners), np.arange(owners.max() + 1), "right") - 1]
    missing = np.full(len(largest), Fraction(1), dtype=object)
    np.subtract.at(missing, owners, out)
    out[largest] += missing
    return out
