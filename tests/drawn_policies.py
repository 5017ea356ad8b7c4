"""One of each policy that draws, and what tells their trees apart."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from veridraft.theory import DraftTree, Policy, Row
from veridraft.theory.policies.dyspec import DySpec
from veridraft.theory.policies.static import Static
from veridraft.theory.policies.top_plus_one import HubPairs, TopPlusOne
from veridraft.theory.policies.topologies import Topology
from veridraft.theory.rows.lists import TokenList

UNEVEN = Topology((Topology.k_ary(2, 1), Topology()))
"""Two children, the first with two children."""

TIED = np.array([Fraction(2, 5), Fraction(1, 5), Fraction(2, 5)])
POINT = np.array([Fraction(0), Fraction(1), Fraction(0)])

DRAWN: list[Policy] = [
    Static(UNEVEN, replacement=True),
    Static(UNEVEN, replacement=False),
    TopPlusOne(1, 2),
    TopPlusOne(2, 2),
    TopPlusOne(3, 1),
    TopPlusOne(5, 1),
    HubPairs(2),
    DySpec(3),
    DySpec(threshold=Fraction(2, 5), depth=2),
]


def lists_of(policy: Any, row: Row) -> dict[TokenList, Any]:
    """The law of the root's child list."""
    return {tokens: chance for chance, tokens in policy.list_law(policy.root_state, row)}


def key(tree: DraftTree) -> tuple[Any, ...]:
    """What tells one tree from another."""
    return tuple(tree.tokens), tree.child_lists, tuple(tree.sampled)
