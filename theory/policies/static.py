"""Trees of a fixed shape, their children drawn with or without replacement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cache
from math import inf, log10, perm, prod
from typing import Any

import numpy as np

from ..rows.distributions import Row, check_count, draw
from ..rows.lists import TokenList, draw_without_replacement, ordered_iid_lists, without_replacement_lists
from .arguments import POLICIES
from .base import DraftLaw, RecursivePolicy, State
from .paths import Chain, Iid
from .topologies import Topology

_PATHS = Iid(2, 1).draft_laws


@dataclass(frozen=True, repr=False)
class Static(RecursivePolicy):
    """A tree of a fixed shape (SpecInfer 2305.09781, Sequoia 2402.12374, EAGLE 2401.15077).

    Fields
    ------
    topology : the shape; a node with k children in it makes k draws
    replacement : True: the draws are independent, and draws that agree are one child, which carries the
        sub-topologies of all of them, so that its own list is the concatenation of their draws.  False: each
        draw is from the rest of the row, renormalised, draw i has the i-th sub-topology, and the list is
        shorter where the row has fewer tokens of positive probability

    A state is the tuple of topologies that a node carries, in draw order.
    """

    topology: Topology
    _: KW_ONLY
    replacement: bool

    def __post_init__(self) -> None:
        if not isinstance(self.topology, Topology):
            raise TypeError(f"topology must be a Topology, but is {self.topology!r}")
        if not isinstance(self.replacement, bool):
            raise TypeError(f"replacement must be True or False, but is {self.replacement!r}")

    @property
    def name(self) -> str:
        """``Static(2x2)``, or ``StaticIid(2x2)`` with replacement, for an expansion; else the call."""
        if self.topology.expansion:
            widths = "x".join(map(str, self.topology.expansion))
            return f"StaticIid({widths})" if self.replacement else f"Static({widths})"
        return f"Static({self.topology!r}, replacement={self.replacement})"

    @property
    def depth(self) -> int:
        """The topology's depth."""
        return self.topology.depth

    @property
    def most_nodes(self) -> int:
        """The topology's size."""
        return self.topology.size

    @property
    def draft_laws(self) -> frozenset[DraftLaw]:
        """Draws with or without replacement; where the shape is a chain or independent paths, the laws of those."""
        if self.topology.is_path:
            return Chain(self.depth).draft_laws
        if not self.replacement:
            return frozenset({DraftLaw.WITHOUT_REPLACEMENT})
        return _PATHS if _is_paths(self.topology) else frozenset({DraftLaw.IID})

    @property
    def root_state(self) -> State:
        """The topology alone."""
        return (self.topology,)

    def is_leaf(self, state: State) -> bool:
        """True if no draw is made."""
        return not _sub_topologies(state)

    def child_states(self, state: State, tokens: Sequence[int]) -> tuple[State, ...]:
        """For each distinct token the sub-topologies of its draws."""
        states: dict[int, tuple[Topology, ...]] = {}
        for token, topology in zip(tokens, _sub_topologies(state), strict=False):  # a list may be shorter
            states[token] = (*states.get(token, ()), topology)
        return tuple(states.values())

    def list_law(self, state: State, draft_row: Row) -> Iterator[tuple[Any, TokenList]]:
        """Every list of draws of the row (V,), with its probability."""
        lists = ordered_iid_lists if self.replacement else without_replacement_lists
        return lists(draft_row, len(_sub_topologies(state)))

    def draw_list(self, state: State, draft_row: Row, rng: np.random.Generator) -> TokenList:
        """Draws from the row (V,)."""
        count = len(_sub_topologies(state))
        if self.replacement:
            return tuple(draw(draft_row, rng.random(count)).tolist())
        return draw_without_replacement(draft_row, count, rng)

    def tree_count(self, vocabulary_size: int) -> int:
        """With replacement V to the number of draws, however they merge; else products of V (V - 1) ... (V - k + 1)."""
        size = check_count("vocabulary_size", vocabulary_size, 1)
        if self.replacement:
            return int(size ** (self.topology.size - 1))

        @cache
        def count(topology: Topology) -> int:
            below = topology.children[:size]
            return perm(size, len(below)) * prod(count(child) for child in below)

        return count(self.topology)

    def log_tree_count(self, vocabulary_size: int, most: float = inf) -> float:
        """The same products as sums of logarithms."""
        size = check_count("vocabulary_size", vocabulary_size, 1)
        if self.replacement:
            return (self.topology.size - 1) * log10(size)

        @cache
        def digits(topology: Topology) -> float:
            below = topology.children[:size]
            return sum(log10(size - place) for place in range(len(below))) + sum(digits(child) for child in below)

        return digits(self.topology)


def _sub_topologies(state: State) -> list[Topology]:
    """The topologies of a node's draws, in draw order."""
    return [child for topology in state for child in topology.children]  # type: ignore[attr-defined]


def _is_paths(topology: Topology) -> bool:
    """True for a chain that ends in paths of one length."""
    while len(topology.children) == 1:
        topology = topology.children[0]
    return all(child.is_path and child.depth + 1 == topology.depth for child in topology.children)


def _of_widths(replacement: bool, widths: int | tuple[int, ...]) -> Static:
    """The policy that the text ``2x2`` stands for."""
    expansion = widths if isinstance(widths, tuple) else (widths,)
    return Static(Topology.from_expansion(expansion), replacement=replacement)


POLICIES["Static(2x2)"] = lambda widths: _of_widths(False, widths)
POLICIES["StaticIid(2x2)"] = lambda widths: _of_widths(True, widths)
