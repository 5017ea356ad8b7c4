"""Sizes and times of the tree-level optimum, printed as tables: ``python benchmarks/bench_bounds.py [--seconds 60]``.

1. The programme over node sets: trees, node sets, variables, constraints, CPU seconds and peak memory as |V|, K and L
grow.  2. Independent paths by antichain cuts: strings, antichains, CPU seconds.  3. How large each gets in ten
minutes and 8 GB: the last two rows of each series are continued by their growth.  Instances that are predicted to
take more than ``--seconds`` are left out.  One thread; every row in a process of its own, so that memory is its own.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is loaded

import argparse
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from math import comb
from multiprocessing import get_context
from time import process_time

from veridraft.theory import Iid, dirichlet_pair
from veridraft.theory.bounds.tree import tree_optimum

LIMIT_SECONDS, LIMIT_BYTES = 600.0, 8e9

BLOCK_SERIES = {
    "|V| at Iid(2, 2)": [(size, 2, 2) for size in (2, 3, 4, 5, 6, 8, 10)],
    "|V| at Iid(3, 2)": [(size, 3, 2) for size in (2, 3, 4, 5, 6)],
    "K at |V| = 3, L = 2": [(3, count, 2) for count in (1, 2, 3, 4, 5, 6)],
    "L at |V| = 2, K = 2": [(2, 2, depth) for depth in (1, 2, 3, 4, 5, 6)],
    "L at |V| = 3, K = 2": [(3, 2, depth) for depth in (1, 2, 3, 4)],
}
CUT_SERIES = {
    "|V| at Iid(3, 2)": [(size, 3, 2) for size in (2, 4, 8, 12, 16, 24)],
    "|V| at Iid(4, 3)": [(size, 4, 3) for size in (2, 3, 4, 5, 6, 8)],
    "K at |V| = 4, L = 3": [(4, count, 3) for count in (1, 2, 4, 8, 16)],
    "L at |V| = 3, K = 4": [(3, 4, depth) for depth in (1, 2, 3, 4, 5, 6)],
}
"""(V, K, L) along each series."""

Case = tuple[int, int, int]


@dataclass(frozen=True)
class Row:
    """One optimum: ``nodes`` counts node sets listed, or strings."""

    case: Case
    nodes: int
    variables: int
    constraints: int
    seconds: float
    peak: int
    gap: float


def measure(method: str, case: Case) -> Row:
    size, count, depth = case
    pair = dirichlet_pair(size, 0, closeness=0.3)
    start = process_time()
    found = tree_optimum(Iid(count, depth), pair, method=method)
    seconds = process_time() - start
    nodes = found.blocks or sum(size**level for level in range(1, depth + 1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Row(case, nodes, found.variables, found.constraints, seconds, peak, found.gap)


def series(method: str, cases: Iterable[Case], most: float) -> list[Row]:
    """Rows until the growth of the last two foretells more than so many seconds."""
    rows: list[Row] = []
    for case in cases:
        if len(rows) > 1 and rows[-1].seconds ** 2 / max(rows[-2].seconds, 1e-3) > most:
            break
        with get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(measure, (method, case)))
        print(text(rows[-1]), flush=True)
    return rows


def text(row: Row) -> str:
    v, k, depth = row.case
    return (
        f"  {v:3d} {k:3d} {depth:3d} {node_sets(row.case):14,d} {row.nodes:9,d} {row.variables:9,d} "
        f"{row.constraints:9,d} {row.seconds:9.2f} {row.peak / 1e6:7.0f} {row.gap:8.0e}"
    )


def node_sets(case: Case) -> int:
    """How many sets of at most K of V^L paths there are."""
    v, k, depth = case
    return sum(comb(v**depth, chosen) for chosen in range(1, k + 1))


def reach(rows: list[Row]) -> str:
    """The node sets, or strings, that the limits allow if time and memory go on as powers of their number."""
    if len(rows) < 2 or rows[-1].nodes == rows[-2].nodes:
        return ""
    from math import log

    ratio = log(rows[-1].nodes / rows[-2].nodes)
    power = max(log(rows[-1].seconds / max(rows[-2].seconds, 1e-3)) / ratio, 0.1)
    by_time = rows[-1].nodes * (LIMIT_SECONDS / rows[-1].seconds) ** (1 / power)
    by_memory = rows[-1].nodes * LIMIT_BYTES / rows[-1].peak
    return f"  time grows as the power {power:.1f}: {by_time:,.0f} in ten minutes; {by_memory:,.0f} at least in 8 GB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="longest predicted time of a row")
    most = parser.parse_args().seconds
    tables = (("blocks", "node sets", BLOCK_SERIES), ("antichains", "strings", CUT_SERIES))
    for method, word, cases in tables:
        for name, along in cases.items():
            print(f"\n{method}, {name}")
            print(f"    V   K   L  all node sets {word:>9s} variables     rows   seconds      MB      gap")
            print(reach(series(method, along, most)))


if __name__ == "__main__":
    main()
