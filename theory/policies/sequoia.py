"""Sequoia's topology: the fixed shape that is best when siblings are accepted at known rates by rank."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..rows.distributions import Row, Scalar, check_count, check_entries
from .topologies import Topology


def sequoia_value(topology: Topology, acceptance_by_rank: ArrayLike) -> Scalar:
    """F(T), the sum over nodes, the root included, of the product of the rates by rank along the path (2402.12374).

    The rates (width,) are those of :func:`acceptance_by_rank`.  F is the block efficiency of a top-down verifier
    whose rates are the same at every node, whatever was drawn.  Exact for Fractions.  Raises ``ValueError`` for a
    topology wider than the rates.
    """
    rates = _rates(acceptance_by_rank)
    if topology.width > len(rates):
        raise ValueError(f"topology has {topology.width} siblings, but acceptance_by_rank {len(rates)} rates")
    below = (rate * sequoia_value(child, rates) for rate, child in zip(rates, topology.children, strict=False))
    return rates[0] * 0 + 1 + sum(below)


def sequoia_topology(
    acceptance_by_rank: ArrayLike, budget: int, max_depth: int | None = None, max_width: int | None = None
) -> Topology:
    """The shape of largest F (:func:`sequoia_value`) with at most ``budget`` nodes below the root.

    Parameters
    ----------
    acceptance_by_rank : (width,) rates >= 0 by rank, float64 or Fractions
    budget : nodes below the root, >= 0 (the paper's tables count the root too)
    max_depth : the deepest level, >= 0; None is no limit
    max_width : the longest child list, >= 0; None, or more than there are rates, is as many as there are rates

    By the dynamic programme of Sequoia (2402.12374), O(budget^2 width) operations, times max_depth if given.
    A node is added only where it has a positive gain.
    """
    rates = _rates(acceptance_by_rank)[: None if max_width is None else check_count("max_width", max_width, 0)]
    check_count("budget", budget, 0)
    layers = budget if max_depth is None else min(check_count("max_depth", max_depth, 0), budget)
    if max_depth is None or layers == budget:
        first = _best_forests(rates, budget, None)[1]
        return _shape([first] * (layers + 1), budget)
    values, choices = np.zeros((len(rates) + 1, budget + 1), dtype=rates.dtype), []
    for _ in range(layers):
        values, first = _best_forests(rates, budget, values)
        choices.append(first)
    return _shape(choices, budget)


Sizes = NDArray[np.int64]
"""(width + 1, budget + 1): by rank and number of nodes, how many the sub-tree of that rank takes; 0 ends the list."""


def _best_forests(rates: Row, budget: int, below: Row | None) -> tuple[Row, Sizes]:
    """The best value of siblings from a rank on, with their sub-trees, of at most m nodes; and the first one's size.

    ``below[0]`` holds the best values one level down; None: the same values, without a limit to the depth.
    ``values[b, m] = max(0, max over y of rates[b] (1 + below[0, y - 1]) + values[b + 1, m - y])``.
    """
    values = np.full((len(rates) + 1, budget + 1), rates[:1].sum() * 0, dtype=rates.dtype)
    first = np.zeros(values.shape, dtype=np.int64)
    down = values if below is None else below
    for nodes in range(1, budget + 1):
        for rank in reversed(range(len(rates))):
            gains = rates[rank] * (1 + down[0, :nodes]) + values[rank + 1, nodes - 1 :: -1]
            best = int(np.argmax(gains))
            if gains[best] > 0:
                values[rank, nodes], first[rank, nodes] = gains[best], best + 1
    return values, first


def _shape(choices: Sequence[Sizes], budget: int) -> Topology:
    """The shape that the choices of the topmost level, the last entry, and of the levels below it add up to."""
    children: list[Topology] = []
    while choices and (size := int(choices[-1][len(children)][budget])):
        children.append(_shape(choices[:-1], size - 1))
        budget -= size
    return Topology(tuple(children))


def _rates(acceptance_by_rank: ArrayLike) -> Row:
    return check_entries("acceptance_by_rank", acceptance_by_rank, ndim=1)
