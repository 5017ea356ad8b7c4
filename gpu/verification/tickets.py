"""One token chosen from a list of i.i.d. draws, by the law that covers a target best: groups of tokens, on the host.

A group is a part of the line [0, 1] as long as its draft mass.  Every draw of a list stands at a random point of its
group's part, and the highest of K points is chosen: a point lies in [a, b] with probability ``b^K - a^K``.  Parts are
laid so that each group is chosen as often as the law says, the worst group first: a part that would meet earlier ones
goes around them, below and above, and their union is one interval again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from math import comb, prod

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_SHARE = 1e-13
"""A ticket with a smaller part of its group is rounding noise, and is left out."""

MOST_STEPS = 60
"""Newton's method stops after this many steps; it needs three to eight."""

CLOSE = 1e-9
"""A relative step of Newton's method behind which there is rounding alone: the next one would be its square."""


@dataclass(frozen=True, eq=False)
class Tickets:
    """The parts of the line from the lowest: the group of each, and its share of the group; ``masses`` by group."""

    count: int
    masses: Floats
    owners: NDArray[np.int64]
    shares: Floats

    @cached_property
    def quotients(self) -> Floats:
        """By group, how often it is chosen over its draft mass; nothing is subtracted."""
        lengths = self.shares * self.masses[self.owners]
        ends = np.cumsum(lengths)
        chances = lengths * _power_sum(ends, np.concatenate([[0.0], ends[:-1]]), self.count)
        return np.bincount(self.owners, weights=chances, minlength=len(self.masses)) / self.masses

    def chosen(self, groups: Sequence[int]) -> list[float]:
        """For each draw of a list, by its group, the chance that it is the one that is chosen."""
        draws = Counter(groups)
        reached, wins = dict.fromkeys(draws, 0.0), dict.fromkeys(draws, 0.0)
        for ticket in np.flatnonzero(np.isin(self.owners, list(draws))).tolist():
            group = int(self.owners[ticket])
            others = prod(reached[other] ** number for other, number in draws.items() if other != group)
            before, reached[group] = reached[group], reached[group] + float(self.shares[ticket])
            wins[group] += others * (reached[group] ** draws[group] - before ** draws[group])
        return [wins[group] / draws[group] for group in groups]


def tickets_of(wanted: Floats, masses: Floats, count: int) -> Tickets:
    """The tickets of groups in the order of target/draft upwards, from their masses in the target and in the draft.

    ``count`` >= 2 draws.  Along the concave majorant of the points (target, draft^K), both cumulated, the law of the
    choice is the slope times the target; it covers every multiple of the target best (2410.18234, Theorem 1).
    """
    ends = np.cumsum(masses)
    rises = masses * _power_sum(ends, np.concatenate([[0.0], ends[:-1]]), count)
    law: list[float] = []
    for first, last, run, rise in _majorant(wanted.tolist(), rises.tolist()):
        law += (wanted[first:last] / run * rise if run else rises[first:last]).tolist()
    pieces = _laid_out(masses, law, count)
    owners = np.array([group for _, group, _ in pieces])
    shares = np.array([share for _, _, share in pieces])
    return Tickets(count, masses, owners, shares / np.bincount(owners, weights=shares)[owners])


def _power_sum(high: Floats, low: Floats, count: int) -> Floats:
    """``(high^K - low^K) / (high - low)``, without a difference."""
    return sum((high**i * low ** (count - 1 - i) for i in range(1, count)), start=low ** (count - 1))


def _majorant(runs: list[float], rises: list[float]) -> list[tuple[int, int, float, float]]:
    """The edges of the least concave function above a path: first step, behind the last, sums of run and rise."""
    edges: list[tuple[int, int, float, float]] = []
    for step, (run, rise) in enumerate(zip(runs, rises, strict=True)):
        first = step
        while edges and _is_at_least(rise, edges[-1][2], edges[-1][3], run):
            first, _, run_before, rise_before = edges.pop()
            run, rise = run + run_before, rise + rise_before
        edges.append((first, step + 1, run, rise))
    return edges


def _is_at_least(a: float, b: float, c: float, d: float) -> bool:
    """Whether a b >= c d for numbers >= 0, exactly where the products come near the smallest floats."""
    left, right = a * b, c * d
    if min(left, right) > 1e-290:
        return left >= right
    return Fraction(a) * Fraction(b) >= Fraction(c) * Fraction(d)


def _laid_out(masses: Floats, law: Sequence[float], count: int) -> list[tuple[float, int, float]]:
    """The pieces of all parts from the lowest: where each starts, its group, its share of it.

    ``line`` holds what is laid out as intervals from the lowest: start, end, mass and value.
    """
    whole = float(masses.sum())
    line: list[tuple[float, float, float, float]] = []
    pieces: list[tuple[float, int, float]] = []
    for group, (mass, value) in enumerate(zip(masses.tolist(), law, strict=True)):
        start = _start(mass, value, whole, count)
        holes: list[tuple[float, float, float, float]] = []
        while line and start < line[-1][1]:
            holes.append(line.pop())
            mass, value = mass + holes[-1][2], value + holes[-1][3]
            start = min(_start(mass, value, whole, count), holes[-1][0])
        end = max(start + mass, holes[0][1]) if holes else start + mass
        line.append((start, end, mass, value))
        pieces += _cut(group, start, end, holes)
    return sorted(pieces, key=lambda piece: piece[0])


def _cut(
    group: int, start: float, end: float, holes: list[tuple[float, float, float, float]]
) -> list[tuple[float, int, float]]:
    """The pieces of a part from start to end that leaves out holes, given from the highest."""
    lows = [start, *(hole[1] for hole in reversed(holes))]
    highs = [*(hole[0] for hole in reversed(holes)), end]
    lengths = [max(0.0, high - low) for low, high in zip(lows, highs, strict=True)]
    length = sum(lengths)
    cut = [(low, group, own / length) for low, own in zip(lows, lengths, strict=True)] if length else []
    return [piece for piece in cut if piece[2] > LEAST_SHARE] or [(end, group, 1.0)]


@cache
def _odd_choices(count: int) -> tuple[int, ...]:
    """C(K, 1), C(K, 3), ..."""
    return tuple(comb(count, number) for number in range(1, count + 1, 2))


def _start(length: float, value: float, whole: float, count: int) -> float:
    """The s in [0, whole - length] with ``(s + length)^K - s^K = value``; the nearer end where there is none.

    Newton's method for the centre c = s + length / 2: the left side over the length is the sum over odd j of
    ``C(K, j) half^(j-1) c^(K-j)``, convex in c; it starts above the root.
    """
    half, height = length / 2, value / length
    centre, square_of_half, even = (height / count) ** (1 / (count - 1)), half * half, count % 2 == 0
    factors, power = [], 1.0
    for number in _odd_choices(count):
        factors.append(number * power)
        power *= square_of_half
    for _ in range(MOST_STEPS):
        left, slope, square = factors[0], 0.0, centre * centre
        for factor in factors[1:]:  # Horner's scheme in the square of c
            left, slope = left * square + factor, slope * square + 2 * centre * left
        if even:
            left, slope = left * centre, left + slope * centre
        step = (left - height) / slope if slope > 0 else 0.0
        centre -= step
        if centre <= half or step <= CLOSE * centre:
            break
    return min(max(centre - half, 0.0), max(whole - length, 0.0))
