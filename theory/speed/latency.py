"""Latency models: the seconds of one pass of a network, measured or from a roofline, and of what surrounds it.

A *pass* feeds ``new`` tokens behind ``context`` tokens that are in the KV cache already, so that it attends to
``context + new`` of them.  Seconds come out in the arithmetic that goes in: with Fractions they are exact.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from typing import Any

import scipy

from ..rows.distributions import check_count
from .hardware import Device
from .networks import Network

Seconds = Any
"""A float or a Fraction, at least 0."""


class PassTime(ABC):
    """How long one pass of a network takes."""

    @abstractmethod
    def seconds(self, context: int, new: int) -> Seconds:
        """The seconds of a pass over ``new`` >= 1 tokens behind ``context`` >= 0 cached ones."""

    def at_batch(self, batch: int) -> PassTime:
        """The passes of so many requests at once; ``ValueError`` where they are not known."""
        raise ValueError(f"batch must be left out: these passes were measured for their own, not for {batch} requests")


@dataclass(frozen=True)
class ByLength(PassTime):
    """A pass whose time depends on the tokens that it attends to alone: t(l) as 2602.16994 writes it."""

    of: Callable[[int], Seconds]

    def seconds(self, context: int, new: int) -> Seconds:
        """t(context + new)."""
        return self.of(context + new)


@dataclass(frozen=True)
class PassTable(PassTime):
    """Measured seconds on a grid of contexts and sizes, linear between its points in each of the two.

    contexts, sizes : C and S rising integers, at least 0 and at least 1
    table : C rows of S seconds each, at least 0
    name : stands in errors.  Nothing is extrapolated: outside the grid is a ``ValueError``, unless an axis has a
    single point, which then counts for every context (a cost that does not grow), never for every size.
    """

    contexts: tuple[int, ...]
    sizes: tuple[int, ...]
    table: tuple[tuple[Seconds, ...], ...]
    name: str = "pass"

    def __post_init__(self) -> None:
        for axis, least in (("contexts", 0), ("sizes", 1)):
            points = getattr(self, axis)
            if not points or points[0] < least or any(low >= high for low, high in pairwise(points)):
                raise ValueError(f"{self.name} {axis} must rise from {least} or more, but are {points}")
        if len(self.table) != len(self.contexts):
            raise ValueError(f"{self.name} table has {len(self.table)} rows for {len(self.contexts)} contexts")
        for row, seconds in enumerate(self.table):
            if len(seconds) != len(self.sizes) or not all(0 <= value < inf for value in seconds):
                raise ValueError(f"{self.name} table row {row} must be {len(self.sizes)} seconds >= 0: {seconds}")

    def seconds(self, context: int, new: int) -> Seconds:
        """Linear between the nearest sizes, then between the nearest contexts."""
        at = self._place("new tokens", self.sizes, new)
        if len(self.contexts) == 1:
            return _between(self.table[0], at)
        return _between([_between(row, at) for row in self.table], self._place("context", self.contexts, context))

    def _place(self, axis: str, points: Sequence[int], value: int) -> tuple[int, int, int]:
        """The point at or before the value, how far behind it the value lies, and how far the next one."""
        if not points[0] <= value <= points[-1]:
            raise ValueError(f"{self.name}: {axis} {value} lies outside the measured {points[0]} to {points[-1]}")
        before = min(bisect_right(points, value) - 1, max(0, len(points) - 2))
        step = points[before + 1] - points[before] if len(points) > 1 else 1
        return before, value - points[before], step


def _between(values: Sequence[Seconds], place: tuple[int, int, int]) -> Seconds:
    """The value at a place; the point itself exactly where the value is one."""
    before, past, step = place
    if not past:
        return values[before]
    return values[before] + (values[before + 1] - values[before]) * past / step


ALL_REDUCE = 2e-5
"""Seconds that GPUs wait for one another at each of two sums a layer, beside what the link takes for the bytes.

Fitted to gpt-fast's table (Llama-2-7B on 1 to 8 A100, 70B on 2 to 8, batch 1), which it then meets within 12 %.
"""


@dataclass(frozen=True)
class NoPass(PassTime):
    """A draft that costs nothing, such as n-grams of the text so far."""

    def seconds(self, context: int, new: int) -> Seconds:
        """0."""
        return 0

    def at_batch(self, batch: int) -> NoPass:
        """Nothing for each of them."""
        return self


@dataclass(frozen=True)
class Roofline(PassTime):
    """A pass over a batch is as slow as the slower of memory and arithmetic; layers and GPUs add their overheads.

    bytes = weights that are read, once for all + B x keys and values of all ``context + new`` tokens
    FLOPs = B x (2 x weights of matrix products x new + 4 x layers x heads x head width x new x (context + new))
    seconds = max(bytes / (bandwidth x ``bandwidth_share``), FLOPs / (peak x ``peak_share``))
              + layers x ``layer_overhead`` + ``pass_overhead``
              + with g > 1 GPUs: 2 layers x (``all_reduce`` + B x new x width x 2 bytes x 2 (g - 1) / g / link)

    ``batch`` is B, requests that all feed ``new`` tokens behind ``context``.  All weights are read, but of experts
    only the mean number that B x new tokens touch.  ``weight_bytes`` and ``cache_bytes`` are bytes of a weight and of
    an entry of the cache.  The shares are what real kernels reach: gpt-fast reports 1397 of an A100's 2039 GB/s
    (Llama-2-7B in bf16, batch 1), hence 0.7; 0.6 of the peak and 10 microseconds a layer (compiled, or CUDA graphs)
    are round numbers, to be replaced by measured ones.

    2602.16994 and the model of one request behind it leave out B, experts and several GPUs.
    """

    network: Network
    device: Device
    weight_bytes: Any = 2
    cache_bytes: Any = 2
    bandwidth_share: Any = 0.7
    peak_share: Any = 0.6
    layer_overhead: Seconds = 1e-5
    pass_overhead: Seconds = 0
    batch: int = 1
    all_reduce: Seconds = ALL_REDUCE

    def __post_init__(self) -> None:
        check_count("batch", self.batch, 1)
        for name in ("weight_bytes", "cache_bytes", "bandwidth_share", "peak_share"):
            if not 0 < getattr(self, name) < inf:
                raise ValueError(f"{name} must be positive and finite, but is {getattr(self, name)}")
        for name in ("bandwidth_share", "peak_share"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} must be at most 1, but is {getattr(self, name)}")
        for name in ("layer_overhead", "pass_overhead", "all_reduce"):
            if not 0 <= getattr(self, name) < inf:
                raise ValueError(f"{name} must be at least 0 and finite, but is {getattr(self, name)}")

    def at_batch(self, batch: int) -> Roofline:
        """The same with so many requests."""
        return replace(self, batch=batch)

    def memory_seconds(self, context: int, new: int) -> Seconds:
        """The seconds in which weights and caches are read."""
        cache = self.batch * self.network.cache_entries * self.cache_bytes * (context + new)
        read = self.network.weights_of_pass(self.batch * new) * self.weight_bytes + cache
        return read / (self.device.bandwidth * self.bandwidth_share)

    def arithmetic_seconds(self, context: int, new: int) -> Seconds:
        """The seconds in which the products are computed."""
        attention = self.network.attention_flops * (context + new)
        flops = (2 * self.network.product_weights + attention) * new * self.batch
        return flops / (self.device.peak * self.peak_share)

    def link_seconds(self, new: int) -> Seconds:
        """The seconds in which several GPUs sum up what each has computed, by a ring; 0 for one."""
        count = self.device.count
        if count == 1:
            return 0
        moved = self.batch * new * self.network.width * 2 * 2 * (count - 1) / count
        return 2 * self.network.layers * (self.all_reduce + moved / self.device.link)

    def seconds(self, context: int, new: int) -> Seconds:
        """The slower of the two, and the overheads."""
        check_count("context", context, 0)
        check_count("new", new, 1)
        slower = max(self.memory_seconds(context, new), self.arithmetic_seconds(context, new))
        overhead = self.network.layers * self.layer_overhead + self.pass_overhead
        return slower + overhead + self.link_seconds(new)


@dataclass(frozen=True)
class Line:
    """Seconds that grow with the nodes of a tree: ``fixed + per_node`` x N, both at least 0."""

    fixed: Seconds = 0
    per_node: Seconds = 0

    def __post_init__(self) -> None:
        for name in ("fixed", "per_node"):
            if not 0 <= getattr(self, name) < inf:
                raise ValueError(f"{name} must be at least 0 and finite, but is {getattr(self, name)}")

    def seconds(self, nodes: int) -> Seconds:
        """The seconds for a tree of N nodes."""
        return self.fixed + self.per_node * nodes

    @classmethod
    def through(cls, points: Sequence[tuple[float, float]]) -> Line:
        """The least-squares line with both parts at least 0 through (nodes, seconds); proportional for one size.

        Float64.  Raises ``ValueError`` without a point, and for nodes < 1 or seconds < 0.
        """
        if not points:
            raise ValueError("points must hold at least one pair of nodes and seconds")
        for row, (nodes, seconds) in enumerate(points):
            if not 1 <= nodes < inf or not 0 <= seconds < inf:
                raise ValueError(f"points row {row} is {(nodes, seconds)}; it must be nodes >= 1 and seconds >= 0")
        if len({nodes for nodes, _ in points}) == 1:
            nodes = points[0][0]
            return cls(0.0, sum(seconds for _, seconds in points) / len(points) / nodes)
        (fixed, per_node), _ = scipy.optimize.nnls(
            [[1.0, nodes] for nodes, _ in points], [seconds for _, seconds in points]
        )
        return cls(float(fixed), float(per_node))
