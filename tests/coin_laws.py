"""Exact laws of small loops: a loop throws its coins by ``flip`` and ``pick``, and every outcome is followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np


class Thrown:
    """Coins thrown by a NumPy generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def flip(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, weights: Sequence[float]) -> int:
        sums = np.cumsum(weights)
        return int(min(np.searchsorted(sums, self.rng.random() * sums[-1], side="right"), np.flatnonzero(weights)[-1]))


class _Followed:
    """Coins that take one path, and note the other ways."""

    def __init__(self, path: tuple[int, ...]) -> None:
        self.path, self.taken, self.probability = path, 0, 1.0
        self.open: list[tuple[int, ...]] = []

    def _choose(self, probabilities: Sequence[float]) -> int:
        if self.taken == len(self.path):
            ways = [way for way, chance in enumerate(probabilities) if chance > 0]
            self.open += [(*self.path, way) for way in ways[1:]]
            self.path = (*self.path, ways[0])
        way = self.path[self.taken]
        self.taken += 1
        self.probability *= probabilities[way]
        return way

    def flip(self, probability: float) -> bool:
        chance = min(1.0, max(0.0, probability))
        return self._choose([chance, 1.0 - chance]) == 0

    def pick(self, weights: Sequence[float]) -> int:
        return self._choose(np.asarray(weights) / np.sum(weights))


def outcomes(loop: Callable) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Every outcome of ``loop(coins)`` with its probability."""
    waiting: list[tuple[int, ...]] = [()]
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
    law = np.zeros((size,) * length)
    for probability, emitted in outcomes(loop):
        start = emitted[:length]
        rest = target_law(lambda below, start=start: row(start + below), size, length - len(start)) if len(
            start) < length else 1.0  # fmt: skip
        law[start] += probability * rest
    return law


def first_departure(loop: Callable, row: Callable, size: int, length: int, above: float = 1e-12) -> int | None:
    """The first token, from 1, up to which the law of a loop departs by a total variation above that; None: never."""
    difference = loop_law(loop, row, size, length) - target_law(row, size, length)
    for place in range(1, length + 1):
        if np.abs(difference.sum(axis=tuple(range(place, length)))).sum() / 2 > above:
            return place
    return None
