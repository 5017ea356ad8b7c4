"""Times of the exact programmes: ``python benchmarks/bench_dynamic.py [--out reports/runs/dynamic] [--quick]``.

How the time of ``block_efficiency(..., method="dp")`` grows with the vocabulary, the number of paths and the depth,
one at a time, and that of ``method="bounds"`` for block verification, with the interval's width.  Times are CPU
seconds of one process on one thread, the best of three runs (one run above a second), the pair built before.
Tables are printed; numbers and a figure are written to the folder of --out.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is loaded

import argparse
import json
import platform
import tracemalloc
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from veridraft.reports.writing.figures import svg_file
from veridraft.theory import Chain, Delayed, MarkovPair, block_efficiency

VERIFIERS = ("nss", "naive_tree", "specinfer", "spectr")
BASE = {"V": 1000, "K": 4, "L": 8}
GROWTH = {"V": (50, 100, 200, 500, 1000, 2000), "K": (1, 2, 3, 4, 6, 8), "L": (2, 4, 8, 16, 32)}
QUICK = {"V": (20, 40), "K": (1, 2), "L": (2, 4)}
AIM_SECONDS = 5.0
MARKS = ("o", "s", "^", "D")


@lru_cache(maxsize=1)
def pair_of(vocabulary_size: int) -> MarkovPair:
    """Dirichlet rows of concentration 0.1; the draft is 0.6 times the target plus 0.4 times independent rows."""
    rng = np.random.default_rng(11)
    target, other = rng.dirichlet(np.full(vocabulary_size, 0.1), size=(2, vocabulary_size))
    return MarkovPair(target, 0.6 * target + 0.4 * other)


def seconds(job: Callable[[], object]) -> float:
    """The least CPU time of three runs, or the first if it takes more than a second."""
    found: list[float] = []
    while len(found) < 3 and sum(found) < 1:
        start = process_time()
        job()
        found.append(process_time() - start)
    return min(found)


def policy_of(paths: int, depth: int) -> Delayed:
    """A trunk of a quarter of the depth, then K paths."""
    return Delayed(paths, depth // 4, depth - depth // 4)


def timed(verifier: str, V: int, K: int, L: int) -> dict[str, Any]:
    """One row: what was run, its time and its value."""
    pair, policy = pair_of(V), policy_of(K, L)
    time = seconds(lambda: block_efficiency(verifier, policy, pair, method="dp"))
    value = block_efficiency(verifier, policy, pair, method="dp").value
    return {"verifier": verifier, "policy": policy.name, "V": V, "K": K, "L": L, "seconds": time, "value": value}


def growth_rows(axis: str, values: Sequence[int]) -> list[dict[str, Any]]:
    """Times of every verifier along one axis, the others at their base."""
    return [timed(verifier, **{**BASE, axis: value}) for value in values for verifier in VERIFIERS]


def print_growth(axis: str, rows: Sequence[dict[str, Any]]) -> None:
    """A line per value of the axis, a column per verifier."""
    fixed = ", ".join(f"{name} = {value}" for name, value in BASE.items() if name != axis)
    print(f'\nmethod="dp", CPU seconds, {fixed}, Delayed(K, L // 4, L - L // 4)')
    print(f"{axis:>6}" + "".join(f"{name:>13}" for name in VERIFIERS))
    for value in dict.fromkeys(row[axis] for row in rows):
        times = [row["seconds"] for row in rows if row[axis] == value]
        print(f"{value:6}" + "".join(f"{time:13.3f}" for time in times))


def headline() -> list[dict[str, Any]]:
    """The stated case: |V| = 1000, K = 4, L1 = 2, L2 = 6, with the most memory held beyond the pair."""
    rows = []
    print(f"\n|V| = {BASE['V']}, Delayed(4, 2, 6); aim {AIM_SECONDS} s per verifier")
    print(f"{'verifier':13}{'seconds':>9}{'peak MiB':>10}{'E[tau + 1]':>12}  aim")
    for verifier in VERIFIERS:
        row = timed(verifier, BASE["V"], 4, 8)
        tracemalloc.start()
        block_efficiency(verifier, Delayed(4, 2, 6), pair_of(BASE["V"]), method="dp")
        row["peak_mebibytes"] = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        met = "met" if row["seconds"] <= AIM_SECONDS else "missed"
        print(f"{verifier:13}{row['seconds']:9.3f}{row['peak_mebibytes']:10.0f}{row['value']:12.6f}  {met}")
        rows.append(row)
    return rows


def bound_rows(quick: bool) -> list[dict[str, Any]]:
    """Block verification on a chain: certified intervals by grid and vocabulary, beside the exact value if any."""
    rows = []
    sizes, grids = ((20,), (5, 9)) if quick else ((50, 200, 1000), (17, 33, 65))
    print(
        '\nblock verification, Chain(5), method="bounds"; exact by the two halves of a path where that is small enough'
    )
    print(f"{'V':>6}{'points':>8}{'seconds':>9}{'lower':>12}{'upper':>12}{'width':>10}{'exact':>12}")
    for size in sizes:
        exact = block_efficiency("block", Chain(5), pair_of(size), method="dp").value if size <= 100 else None
        for points in grids:
            start = process_time()
            found = block_efficiency("block", Chain(5), pair_of(size), method="bounds", points=points)
            row = {"V": size, "points": points, "seconds": process_time() - start, "exact": exact}
            rows.append(row | {"lower": found.lower, "upper": found.upper})
            shown = f"{exact:12.7f}" if exact else f"{'–':>12}"
            print(
                f"{size:6}{points:8}{row['seconds']:9.2f}{found.lower:12.7f}{found.upper:12.7f}{found.width:10.1e}{shown}"
            )
    return rows


def draw(rows: dict[str, list[dict[str, Any]]], file: Path) -> None:
    """A panel per axis: time against V, K and L, both scales logarithmic."""
    file.write_text(svg_file(10, 3.4, lambda figure: paint(figure, rows)), encoding="utf-8")


def paint(figure: Any, rows: dict[str, list[dict[str, Any]]]) -> None:
    """The panels on a figure of matplotlib's."""
    for axes, axis in zip(figure.subplots(1, 3, sharey=True), GROWTH, strict=True):
        for verifier, mark in zip(VERIFIERS, MARKS, strict=True):
            points = [(row[axis], row["seconds"]) for row in rows[axis] if row["verifier"] == verifier]
            axes.plot(*zip(*points, strict=True), marker=mark, label=verifier)
        axes.set(xscale="log", yscale="log", xlabel={"V": "|V|", "K": "paths K", "L": "depth L"}[axis])
        ticks = sorted({row[axis] for row in rows[axis]})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_title(", ".join(f"{name} = {value}" for name, value in BASE.items() if name != axis), loc="left")
        axes.grid()
    figure.axes[0].set_ylabel("CPU seconds")
    figure.axes[0].legend(frameon=False)


def main() -> None:
    """Print the tables, and write the numbers and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("reports/runs/dynamic"), help="folder of the results")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    options = parser.parse_args()
    BASE.update({"V": 30} if options.quick else {})
    rows = {}
    for axis, values in (QUICK if options.quick else GROWTH).items():
        rows[axis] = growth_rows(axis, values)
        print_growth(axis, rows[axis])
    record = {
        "command": "python benchmarks/bench_dynamic.py" + (" --quick" if options.quick else ""),
        "machine": f"{platform.system()} {platform.machine()}, one thread",
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "growth": rows,
        "headline": headline(),
        "bounds": bound_rows(options.quick),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "growth.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    draw(rows, options.out / "growth.svg")
    print(f"\n{options.out / 'growth.json'}\n{options.out / 'growth.svg'}")


if __name__ == "__main__":
    main()
