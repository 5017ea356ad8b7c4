"""The policies that a search looks at: every kind and shape of tree up to a budget of nodes below the root."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..policies.base import Policy
from ..policies.best_first import OptTree, TopK
from ..policies.dyspec import DySpec
from ..policies.paths import Chain, Delayed, Iid
from ..policies.sequoia import sequoia_topology
from ..policies.static import Static
from ..policies.top_plus_one import HubPairs, TopPlusOne
from ..policies.topologies import EAGLE_TOPOLOGY, Topology
from ..rows.distributions import Row, check_count
from ..verifiers.table import get_verifier
from .sources import TreeSource

WIDTHS = (2, 3, 4, 6, 8)
"""Numbers of paths, or of siblings, that are tried."""

MOST_DEPTH = 8
"""The deepest level that is tried."""

RANK_TREES = 100
"""Trees from which acceptance by rank is estimated for Sequoia's shapes."""


def shapes_up_to(budget: int) -> list[Policy]:
    """Policies of at most ``budget`` >= 1 nodes below the root, as planned (drafts that agree are one node less).

    Chains; independent and delayed paths; top tokens plus one draw; hub pairs; k-ary trees, and EAGLE's, without
    replacement; EAGLE-2's and OPT-Tree's; DySpec's.  Sequoia's depend on the pair: :func:`sequoia_shapes`.
    """
    check_count("budget", budget, 1)
    depth = min(budget, MOST_DEPTH)
    found: list[Policy] = [Chain(length) for length in range(1, depth + 1)]
    for width in WIDTHS:
        found += [Iid(width, length) for length in range(1, depth + 1) if width * length <= budget]
        found += _delayed(width, budget, depth)
        full = [Topology.k_ary(width, levels) for levels in range(1, depth + 1) if width**levels <= budget]
        fitting = [shape for shape in full if shape.size - 1 <= budget]
        found += [Static(shape, replacement=False) for shape in fitting]
        found += [TopPlusOne(width, shape.depth) for shape in fitting]
    found += [HubPairs(levels) for levels in range(1, depth + 1) if 2 ** (levels + 1) - 2 <= budget]
    found += [Static(EAGLE_TOPOLOGY, replacement=False)] if EAGLE_TOPOLOGY.size - 1 <= budget else []
    return found + list(_by_budget(budget, depth))


def _delayed(width: int, budget: int, depth: int) -> Iterator[Policy]:
    """Trunks of one to three tokens, then so many paths."""
    for trunk in range(1, 4):
        for branch in range(1, depth - trunk + 1):
            if trunk + width * branch <= budget:
                yield Delayed(width, trunk, branch)


def budgets_below(budget: int) -> list[int]:
    """The budget, its half and its quarter, of at least 2 nodes; the budget itself in any case."""
    return [budget, *(budget // part for part in (2, 4) if budget // part >= 2)]


def _by_budget(budget: int, depth: int) -> Iterator[Policy]:
    """Shapes that follow the draft's rows, of the budget, a half and a quarter of it."""
    for nodes in budgets_below(budget):
        for levels in sorted({min(2, depth), min(4, depth), depth}):
            yield OptTree(nodes, 0, levels)
            yield DySpec(nodes, depth=levels)
            for width in (4, 8):
                if width <= nodes:
                    yield TopK(width, levels, nodes)


def sequoia_shapes(source: TreeSource, budget: int, seed: int = 0, verifier: str = "rrsw") -> list[Policy]:
    """Sequoia's shapes for the source's rows, of the budget, a half and a quarter of it (2402.12374)."""
    rates = rank_rates(source, min(budget, max(WIDTHS)), seed, verifier)
    shapes = {sequoia_topology(rates, nodes, min(budget, MOST_DEPTH)): None for nodes in budgets_below(budget)}
    return [Static(shape, replacement=False) for shape in shapes if shape.size > 1]


def rank_rates(source: TreeSource, width: int, seed: int, verifier: str) -> Row:
    """(width,) how often the first, second, ... of siblings is accepted: a mean over trees of one level."""
    entry, rates = get_verifier(verifier), np.zeros(width)
    trees = source.trees(Static(Topology.k_ary(width, 1), replacement=False), RANK_TREES, seed)
    for tree in trees:
        rates[: tree.size - 1] += entry.law(tree).stopping[1:]
    return rates / len(trees)


def pairings(verifiers: Sequence[str], policies: Sequence[Policy]) -> tuple[list[tuple[str, Policy]], list[str]]:
    """Each policy with the verifiers that are worth asking, and why policies are left out.

    A verifier stands with a policy that it is lossless for.  NSS accepts least where another fits as well, and of the
    rules for lists all are naive rejection, or block verification, on a chain: those are asked there if they are named.
    """
    found: list[tuple[str, Policy]] = []
    left_out = []
    for policy in policies:
        fitting = [name for name in verifiers if get_verifier(name).supports(policy)]
        better = [name for name in fitting if name != "nss"]
        if isinstance(policy, Chain):
            better = [name for name in better if name in ("naive", "block")] or better
        found += [(name, policy) for name in better or fitting]
        if not fitting:
            left_out.append(f"{policy.name}: none of the verifiers is lossless for it")
    return found, left_out
