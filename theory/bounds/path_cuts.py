"""The tree-level optimum for independent paths, by cuts: no tree is listed.

Below one trunk end an antichain B (no node of it above another) is met by the tree with a probability that is a
concave function r of the mass q(B) with which one path meets it.  So among all antichains, w(B) - r(B) is
greatest at a corner of the concave frontier of the points (q(B), w(B)), and a trie's frontier is put together
from its children's by one sort: a violated antichain is found in O(M log M), however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from ..rows.distributions import Scalar
from .block_program import Solution, clipped, root_steps, solve_program, tree_rows
from .node_laws import PathTrees

SATISFIED = 1e-13
"""A point that exceeds no antichain by more than this counts as feasible."""

CLOSED = 1e-10
"""The search ends when a feasible point comes this close to the programme's optimum."""

INWARD = 0.5
"""Cuts are sought this far from the programme's optimum toward the best feasible point known."""

MOST_CUTS = 20
"""Cuts added below one trunk end in one round, the most violated first."""

MOST_ROUNDS = 2000


class Segment(NamedTuple):
    """A piece of a frontier: its slope, its extent in q and in w, and the node that it ends at."""

    slope: Scalar
    mass: Scalar
    weight: Scalar
    node: int


@dataclass(frozen=True, eq=False)
class Frontier:
    """The concave frontier of (q(B), w(B)) over the antichains below one trunk end, as segments from (0, 0).

    ``slopes`` holds each node's own last slope: at a slope s the antichain is that of the highest nodes with at
    least that.
    """

    law: PathTrees
    end: int
    segments: list[Segment]
    slopes: dict[int, Scalar]

    def excesses(self) -> list[Scalar]:
        """For each corner w(B) less the probability that the tree meets B."""
        masses = accumulate(segment.mass for segment in self.segments)
        weights = accumulate(segment.weight for segment in self.segments)
        return [weight - self.law.meeting(self.end, mass) for mass, weight in zip(masses, weights, strict=True)]

    def antichain(self, corner: int) -> tuple[int, ...]:
        """The nodes of the antichain at a corner."""
        slope = self.segments[corner].slope
        found, open_nodes = [], list(self.law.trie.children[self.end])
        while open_nodes:
            node = open_nodes.pop()
            if self.slopes[node] >= slope:
                found.append(node)
            else:
                open_nodes += self.law.trie.children[node]
        return tuple(sorted(found))


def frontiers(law: PathTrees, weights: Sequence[Scalar]) -> Iterator[Frontier]:
    """The frontier below each trunk end, for M weights; exact for Fractions."""
    trie = law.trie
    pieces: dict[int, list[Segment]] = {}
    slopes: dict[int, Scalar] = {}
    for node in range(trie.size - 1, -1, -1):
        below = sorted((piece for child in trie.children[node] for piece in pieces.pop(child)), reverse=True)
        depth = len(trie.contexts[node])
        if depth == law.trunk:
            yield Frontier(law, node, below, slopes)
        if depth > law.trunk:
            pieces[node] = _capped(below, node, law.masses[node], weights[node])
            slopes[node] = pieces[node][-1].slope
        else:
            pieces[node] = []


def _capped(below: list[Segment], node: int, mass: Scalar, weight: Scalar) -> list[Segment]:
    """The frontier of a subtree: that of the antichains below its node, and the point of the node itself."""
    mass = max(mass - sum(piece.mass for piece in below), mass * 0)
    weight = weight - sum(piece.weight for piece in below)
    while below and weight * below[-1].mass >= below[-1].weight * mass:
        mass, weight = mass + below[-1].mass, weight + below[-1].weight
        below.pop()
    return [*below, Segment(weight / mass if mass else weight, mass, weight, node)]


def antichain_excess(law: PathTrees, weights: Sequence[Scalar]) -> Scalar:
    """By how much M weights exceed what trees can meet: the sum over trunk ends of the greatest w(B) - Pr(tree
    meets B), at least 0; exact for Fractions.
    """
    zero = weights[0] * 0
    return sum((max(zero, *frontier.excesses()) for frontier in frontiers(law, weights) if frontier.segments), zero)


def solve_paths(law: PathTrees) -> Solution:
    """The optimum over w (M - 1,), the probability of accepting a node or one below it::

        maximise    sum_x w(x)
        subject to  0 <= w(xy) <= target(y | x) w(x)                        (w(root) = 1)
                    sum_{x in B} w(x) <= Pr(tree meets B)                   each antichain B

    Antichains are added as they are found violated, between the programme's optimum and the best feasible point
    known (Ben-Ameur and Neto's in-out separation, Networks 49, 2007).  Float64.  Raises ``RuntimeError`` if the
    programme is not solved, or no end is reached in 2000 rounds.
    """
    program = _Program(law)
    inner = [1.0] + [0.0] * (law.trie.size - 1)
    for _ in range(MOST_ROUNDS):
        outer = program.solve()
        if sum(outer) - sum(inner) <= CLOSED:
            return program.solution(outer if antichain_excess(law, outer) <= SATISFIED else inner)
        middle = [INWARD * near + (1 - INWARD) * far for near, far in zip(inner, outer, strict=True)]
        if program.cut(middle):
            continue
        inner = middle
        if not program.cut(outer):
            return program.solution(outer)
    raise RuntimeError(f"no optimum in {MOST_ROUNDS} rounds of cuts, {len(program.antichains)} antichains")


class _Program:
    """The linear programme over w with the antichains found so far."""

    def __init__(self, law: PathTrees) -> None:
        self.law = law
        self.antichains: dict[tuple[int, ...], float] = {}
        self.prices: NDArray[np.float64] = np.zeros(law.trie.size)
        self._tree = tree_rows(law.trie)
        self._limits = root_steps(law.trie)
        self._add_single_nodes()

    def solve(self) -> list[float]:
        """The optimum, clipped; its prices are kept."""
        met = self._rows()
        limits = np.concatenate([self._limits, [float(most) for most in self.antichains.values()]])
        cost, matrix = -np.ones(self.law.trie.size - 1), scipy.sparse.vstack([self._tree, met], format="csr")
        weights, marginals = solve_program(cost, matrix, limits, methods=("highs-ds", "highs-ipm"))  # small ones
        shares = met.T @ marginals[len(self._limits) :]
        for node in range(1, self.law.trie.size):
            self.prices[node] = shares[node - 1] + self.prices[self.law.trie.parents[node]]
        return clipped(self.law.trie, [1.0, *weights.tolist()])

    def cut(self, weights: Sequence[float]) -> bool:
        """Add antichains that the weights violate; False if none is violated that is not there already."""
        before = len(self.antichains)
        for frontier in frontiers(self.law, weights):
            excesses = frontier.excesses()
            violated = [corner for corner, over in enumerate(excesses) if over > SATISFIED]
            for corner in sorted(violated, key=lambda place: -excesses[place])[:MOST_CUTS]:
                self._add(frontier.antichain(corner), frontier.end)
        return len(self.antichains) > before

    def solution(self, weights: list[float]) -> Solution:
        """The weights with the last prices."""
        rows = len(self._limits) + len(self.antichains)
        return Solution(weights, self.prices.tolist(), len(self._limits), rows)

    def _add(self, nodes: tuple[int, ...], end: int) -> None:
        self.antichains[nodes] = self.law.meeting(end, sum(self.law.masses[node] for node in nodes))

    def _add_single_nodes(self) -> None:
        for node in range(1, self.law.trie.size):
            if len(self.law.trie.contexts[node]) <= self.law.trunk:
                self.antichains[(node,)] = self.law.masses[node]
        for end in self.law.ends:
            for node in self._below(end):
                self._add((node,), end)

    def _below(self, end: int) -> Iterator[int]:
        for child in self.law.trie.children[end]:
            yield child
            yield from self._below(child)

    def _rows(self) -> scipy.sparse.csr_array:
        """(antichains, M - 1) indicators."""
        sizes = [len(nodes) for nodes in self.antichains]
        columns = [node - 1 for nodes in self.antichains for node in nodes]
        rows = np.repeat(np.arange(len(sizes)), sizes)
        return scipy.sparse.csr_array(
            (np.ones(len(columns)), (rows, columns)), shape=(len(sizes), self.law.trie.size - 1)
        )
