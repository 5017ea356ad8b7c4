"""The tree-level optimum as one sparse linear programme over node sets, for any tree policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ..rows.distributions import Scalar
from .node_laws import ListedTrees, Trie

FEASIBILITY = 1e-10
"""What the solver may violate a constraint by; HiGHS takes no less."""

MOST_ITERATIONS = 20
"""Iterations allowed for each row and column, before the solver's other method is tried."""

SCALE = 1e4
"""The programme's masses are multiplied by this, so that rare trees stand out from the tolerance."""


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver found: to be repaired and certified, not to be trusted.

    ``acceptance`` (M,) is the probability of accepting a node or one below it, ``prices`` (M,) the dual price
    of accepting in a node's place; ``variables`` and ``constraints`` are the programme's size.
    """

    acceptance: Sequence[Scalar]
    prices: Sequence[float]
    variables: int
    constraints: int


def solve_blocks(law: ListedTrees) -> Solution:
    """The optimum over node sets S and nodes v of S: how often, given S, to accept v.

    With f (number of pairs S, v) and w (M - 1,), all at least 0, v and x running over nodes below the root::

        maximise    sum_x w(x)
        subject to  sum_v f(S, v)           <= Pr(S)              each S     (the rest accepts the root)
                    w(x) - sum_y w(xy)      <= sum_S f(S, x)      each x
                    w(xy)                   <= target(y | x) w(x) each xy    (w(root) = 1)

    Float64, by HiGHS.  Raises ``RuntimeError`` if it does not report an optimum.
    """
    sizes = np.array([len(nodes) for _, nodes in law.blocks], dtype=int)
    nodes = np.array([node for _, block in law.blocks for node in block], dtype=int) - 1
    chances = np.array([float(chance) for chance, _ in law.blocks])
    matrix = _constraints(law.trie, sizes, nodes)
    count = law.trie.size - 1
    limits = np.concatenate([chances, np.zeros(count), root_steps(law.trie)])
    cost = np.concatenate([np.zeros(len(nodes)), -np.ones(count)])
    shares, marginals = solve_program(cost, matrix, limits)
    accepted = _accepted(law, shares[: len(nodes)].tolist())
    prices = marginals[len(sizes) : len(sizes) + count]
    return Solution(accepted, [0.0, *prices.tolist()], len(cost), len(limits))


def clipped(trie: Trie, weights: Sequence[Scalar]) -> list[Scalar]:
    """The greatest M weights w below those given with w(root) = 1 and 0 <= w(xy) <= target(y | x) w(x)."""
    found = [trie.steps[0]]
    for node in range(1, trie.size):
        found.append(min(max(weights[node], found[0] * 0), trie.steps[node] * found[trie.parents[node]]))
    return found


def solve_program(
    cost: NDArray[np.float64],
    matrix: Any,
    limits: NDArray[np.float64],
    methods: Sequence[Any] = ("highs-ipm", "highs-ds"),
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """HiGHS's optimum of ``min cost @ x, matrix @ x <= limits, x >= 0``: x, and the prices of the rows, at least 0.

    ``RuntimeError`` if it reports none.

    ``methods`` of ``scipy.optimize.linprog`` are tried in turn.
    """
    options: Any = {
        "primal_feasibility_tolerance": FEASIBILITY,
        "dual_feasibility_tolerance": FEASIBILITY,
        "maxiter": MOST_ITERATIONS * sum(matrix.shape),
    }
    for method in methods:
        result = scipy.optimize.linprog(
            cost, A_ub=matrix, b_ub=limits * SCALE, bounds=(0, None), method=method, options=options
        )
        if result.status == 0:
            return result.x / SCALE, np.maximum(-result.ineqlin.marginals, 0)
    raise RuntimeError(f"linear programme of {matrix.shape} not solved to optimality: {result.message}")


def tree_rows(trie: Trie) -> scipy.sparse.csr_array:
    """(M - 1, M - 1) rows ``w(xy) - target(y | x) w(x)``, below the root's children ``w(y)`` alone."""
    nodes = np.arange(1, trie.size)
    parents = np.array(trie.parents[1:], dtype=int)
    steps = np.array([float(step) for step in trie.steps[1:]])
    deep = parents > 0
    rows = np.concatenate([nodes, nodes[deep]]) - 1
    columns = np.concatenate([nodes, parents[deep]]) - 1
    values = np.concatenate([np.ones(len(nodes)), -steps[deep]])
    return scipy.sparse.csr_array((values, (rows, columns)), shape=(len(nodes), len(nodes)))


def root_steps(trie: Trie) -> NDArray[np.float64]:
    """(M - 1,) the target's probability of each child of the root, 0 for deeper nodes."""
    below = zip(trie.parents[1:], trie.steps[1:], strict=True)
    return np.array([float(step) if parent == 0 else 0.0 for parent, step in below])


def _constraints(trie: Trie, sizes: NDArray[np.int_], nodes: NDArray[np.int_]) -> scipy.sparse.csr_array:
    """The three groups of rows over (f, w)."""
    pairs, count = np.arange(len(nodes)), trie.size - 1
    blocks = np.repeat(np.arange(len(sizes)), sizes)
    ones = np.ones(len(nodes))
    of_blocks = scipy.sparse.csr_array((ones, (blocks, pairs)), shape=(len(sizes), len(nodes)))
    of_nodes = scipy.sparse.csr_array((-ones, (nodes, pairs)), shape=(count, len(nodes)))
    return scipy.sparse.block_array(
        [[of_blocks, None], [of_nodes, _stop_rows(trie)], [None, tree_rows(trie)]], format="csr"
    )


def _stop_rows(trie: Trie) -> scipy.sparse.csr_array:
    """(M - 1, M - 1) rows ``w(x) - sum_y w(xy)``."""
    nodes = np.arange(1, trie.size)
    parents = np.array(trie.parents[1:], dtype=int)
    deep = parents > 0
    rows = np.concatenate([nodes, parents[deep]]) - 1
    columns = np.concatenate([nodes, nodes[deep]]) - 1
    values = np.concatenate([np.ones(len(nodes)), -np.ones(deep.sum())])
    return scipy.sparse.csr_array((values, (rows, columns)), shape=(len(nodes), len(nodes)))


def _accepted(law: ListedTrees, shares: Sequence[float]) -> list[Scalar]:
    """(M,) how often a node or one below it is accepted, if each block gives away its shares in order, cut to at
    least 0 and to what is left of its probability; 1 at the root.  Exact for Fractions.
    """
    one = law.trie.steps[0]
    accepted = [one] + [one * 0] * (law.trie.size - 1)
    given = iter(shares)
    for chance, nodes in law.blocks:
        left = chance
        for node, share in zip(nodes, given, strict=False):
            taken = min(left, max(type(one)(share), one * 0))
            accepted[node] += taken
            left -= taken
    for node in range(law.trie.size - 1, 0, -1):
        if law.trie.parents[node]:
            accepted[law.trie.parents[node]] += accepted[node]
    return accepted
