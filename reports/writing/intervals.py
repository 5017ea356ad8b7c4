"""Means with their intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy


@dataclass(frozen=True)
class Mean:
    """A mean, and half of its 95 % interval."""

    mean: float
    half: float

    @property
    def low(self) -> float:
        """The interval's lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """The interval's upper end."""
        return self.mean + self.half

    def __str__(self) -> str:
        return f"{self.mean:+.2f} ± {self.half:.2f}"


def mean_of(values: Sequence[float], level: float = 0.95) -> Mean:
    """The mean of at least two independent values, with Student's interval."""
    if len(values) < 2:
        raise ValueError(f"values must be at least 2, for an interval, but are {len(values)}")
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return Mean(float(np.mean(values)), float(scipy.stats.t.ppf((1 + level) / 2, len(values) - 1)) * error)


def mean_over_seeds(values: Iterable[tuple[int, float]]) -> Mean | None:
    """The mean of seeds' means, each value with its seed; ``None`` where fewer than two seeds have any."""
    seeds: dict[int, list[float]] = {}
    for seed, value in values:
        seeds.setdefault(seed, []).append(value)
    means = [sum(found) / len(found) for found in seeds.values()]
    return mean_of(means) if len(means) > 1 else None
