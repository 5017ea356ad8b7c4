"""Exact laws of small loops: a loop throws its coins by ``flip`` and ``pick``, and every outcome is followed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
from draws import pick


class Thrown:
    """Coins thrown by a NumPy generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def flip(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, weights: Sequence[float]) -> int:
        return pick(weights, self.rng.random() * np.cumsum(weights)[-1])


class _Followed:
    """Coins that take one path of ways, told with their chances, then the first way; they note the other ways."""

    def __init__(self, path: tuple[tuple[int, float], ...]) -> None:
        self.path, self.taken = path, 0
        self.open: list[tuple[tuple[int, float], ...]] = []

    @property
    def probability(self) -> float:
        return math.prod(chance for _, chance in self.path)

    def _choose(self, probabilities: Callable[[], Sequence[float]]) -> int:
        if self.taken == len(self.path):
            first, *others = [(way, chance) for way, chance in enumerate(probabilities()) if chance > 0]
            self.open += [(*self.path, way) for way in others]
            self.path = (*self.path, first)
        self.taken += 1
        return self.path[self.taken - 1][0]

    def flip(self, probability: float) -> bool:
        chance = min(1.0, max(0.0, probability))
        return self._choose(lambda: [chance, 1.0 - chance]) == 0

    def pick(self, weights: Sequence[float]) -> int:
        return self._choose(lambda: (np.asarray(weights) / np.sum(weights)).tolist())


def outcomes(loop: Callable) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Every outcome of ``loop(coins)`` with its probability."""
    waiting: list[tuple[tuple[int, float], ...]] = [()]
    while waiting:
        coins = _Followed(waiting.pop())
        emitted = tuple(loop(coins))
        waiting += coins.open
        yield coins.probability, emitted


def target_law(row: Callable, size: int, length: int) -> np.ndarray:
    """(V,) * length, the target's probability of every string."""
    law = np.ones((size,) * length)
    for string in product(range(size), repeat=length):
        law[string] = np.prod([row(string[:place])[token] for place, token in enumerate(string)])
    return law


def loop_law(loop: Callable, row: Callable, size: int, length: int) -> np.ndarray:
    """(V,) * length, the law of what a loop emits, cut to that length and completed by the target."""
    masses: dict[tuple[int, ...], float] = defaultdict(float)
    for probability, emitted in outcomes(loop):
        masses[emitted[:length]] += probability
    law = np.zeros((size,) * length)
    for start, mass in masses.items():
        law[start] += mass * target_law(lambda below, start=start: row(start + below), size, length - len(start))
    return law


def departures(loop: Callable, row: Callable, size: int, length: int) -> list[float]:
    """Total variation of a loop's law from the target's up to the first token, the second, ..."""
    difference = loop_law(loop, row, size, length) - target_law(row, size, length)
    behind = [tuple(range(place, length)) for place in range(1, length + 1)]
    return [float(np.abs(difference.sum(axis=axes)).sum() / 2) for axes in behind]


def first_above(values: Sequence[float], least: float = 1e-12) -> int | None:
    """The first place, from 1, whose value is above that; None: none is."""
    return next((place for place, value in enumerate(values, 1) if value > least), None)


def first_departure(loop: Callable, row: Callable, size: int, length: int) -> int | None:
    """The first token, from 1, up to which the law of a loop departs; None: never."""
    return first_above(departures(loop, row, size, length))
