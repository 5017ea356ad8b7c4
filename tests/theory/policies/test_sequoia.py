"""Sequoia's dynamic programme, against brute force over all small shapes and against exact block efficiency."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest
from strategies import P, Q, one_step_pair

from veridraft.theory import MarkovPair, block_efficiency
from veridraft.theory.efficiency.by_rank import acceptance_by_rank
from veridraft.theory.policies.sequoia import sequoia_topology, sequoia_value
from veridraft.theory.policies.static import Static
from veridraft.theory.policies.topologies import Topology

LEAF = Topology()
UNEVEN = Topology((Topology.k_ary(2, 1), LEAF, Topology.k_ary(1, 1)))
"""Three children: the first with two children, the last with one."""


def small_shapes(nodes: int) -> list[Topology]:
    """Every ordered shape with exactly so many nodes below the root."""
    if nodes == 0:
        return [LEAF]
    return [
        Topology((first, *rest.children))
        for size in range(nodes)
        for first in small_shapes(size)
        for rest in small_shapes(nodes - 1 - size)
    ]


RATES = [
    [Fraction(1, 2), Fraction(1, 5), Fraction(1, 10)],
    [Fraction(1, 10), Fraction(2, 5), Fraction(1, 5)],
    [Fraction(9, 10), Fraction(0), Fraction(1, 20)],
    [Fraction(1, 3), Fraction(1, 3), Fraction(1, 3)],
]


@pytest.mark.parametrize("rates", RATES, ids=str)
@pytest.mark.parametrize(("depth", "width"), [(None, None), (2, None), (None, 2), (1, 2), (3, 1), (0, 3), (4, 0)])
def test_sequoia_s_shape_is_the_best_of_all_small_ones(
    rates: list[Fraction], depth: int | None, width: int | None
) -> None:
    deepest, widest = 9 if depth is None else depth, 3 if width is None else width
    for budget in range(6):
        allowed = [
            shape
            for nodes in range(budget + 1)
            for shape in small_shapes(nodes)
            if shape.depth <= deepest and shape.width <= widest
        ]
        best = sequoia_topology(rates, budget, depth, width)
        assert best in allowed
        assert sequoia_value(best, rates) == max(sequoia_value(shape, rates) for shape in allowed)


def test_sequoia_s_value_by_hand() -> None:
    half, fifth, tenth = RATES[0]
    assert sequoia_value(UNEVEN, RATES[0]) == 1 + half * (1 + half + fifth) + fifth + tenth * (1 + half)
    assert sequoia_value(LEAF, [0.5]) == 1.0


@pytest.mark.parametrize("shape", [UNEVEN, Topology.k_ary(2, 2), Topology.k_ary(1, 3)])
def test_sequoia_s_value_is_the_block_efficiency_where_rows_do_not_change(shape: Topology) -> None:
    pair = one_step_pair()
    rates = acceptance_by_rank("rrsw", pair, 3)
    assert block_efficiency("rrsw", Static(shape, replacement=False), pair).value == sequoia_value(shape, rates)


def test_acceptance_by_rank_by_hand() -> None:
    pair = one_step_pair()
    rates = acceptance_by_rank("rrsw", pair, 2)
    assert rates[0] == Fraction(13, 20)
    assert sum(rates) == Fraction(77, 90)
    assert list(acceptance_by_rank("rrsw", pair, 4)[3:]) == [0]
    at_one = MarkovPair([P, Q, P], [Q, Q, P], (P, Q))
    assert list(acceptance_by_rank("traversal", at_one, 2, context=(1,))) == [1, 0]


def test_nss_accepts_surely_where_every_token_is_listed() -> None:
    rates = acceptance_by_rank("nss", one_step_pair(), 3)
    assert sum(rates) == 1
    assert rates[0] == sum(P * Q)


def test_sequoia_at_a_real_size() -> None:
    rates = [0.6 / (rank + 1) ** 1.5 for rank in range(16)]
    values = [sequoia_value(sequoia_topology(rates, budget), rates) for budget in (1, 8, 64, 256)]
    assert values == sorted(values)
    assert sequoia_topology(rates, 256).size == 257


def test_sequoia_with_bad_arguments_raises() -> None:
    with pytest.raises(ValueError, match="acceptance_by_rank"):
        sequoia_topology([0.5, -0.1], 3)
    with pytest.raises(ValueError, match="budget must be at least 0"):
        sequoia_topology([0.5], -1)
    with pytest.raises(ValueError, match="max_depth must be at least 0"):
        sequoia_topology([0.5], 1, max_depth=-1)
    with pytest.raises(ValueError, match="topology has 3 siblings, but acceptance_by_rank 2 rates"):
        sequoia_value(UNEVEN, [0.5, 0.1])
    with pytest.raises(ValueError, match="not known to be lossless"):
        acceptance_by_rank("specinfer", one_step_pair(), 2)


def test_shapes_of_the_brute_force_are_all_different() -> None:
    shapes = small_shapes(5)
    assert len(shapes) == 42
    assert all(one != other for one, other in combinations(shapes, 2))
