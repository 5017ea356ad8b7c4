"""Times and losses of the optimal solver, printed as tables: ``python benchmarks/bench_transport.py [--repeats 5]``.

1. alpha* by sorting.  2. The optimal solver at real vocabularies: the time to build the rule of one pair of rows,
the time of the law given one list, and the acceptance missing to alpha*.  3. Transport programmes at small
vocabularies, by POT, HiGHS, and in closed form.  4. What the ties of the plan are worth under both lifts.
All on one thread; a time is the least of the repeats.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is loaded

import argparse
from collections.abc import Callable, Iterable
from functools import partial
from math import comb
from time import perf_counter

import numpy as np

from veridraft.theory import Iid, Row, bottom_up, dirichlet_pair, top_down, zipf_pair
from veridraft.theory.bounds.one_step import ListDrawing, optimal_acceptance
from veridraft.theory.policies.base import DraftLaw
from veridraft.theory.solvers import k_seq, rrs
from veridraft.theory.solvers.closed_form import optimal_iid, optimal_rule, shortfall
from veridraft.theory.solvers.sequential import Solver
from veridraft.theory.solvers.transport import OptimalTransport, remembered_plan
from veridraft.theory.verifiers.emission import emitted_law
from veridraft.theory.verifiers.lifts import Lift, TreeRule
from veridraft.theory.verifiers.table import Verifier

FAMILIES = {"near": (1.0, 0.3), "middle": (1.0, 1.0), "far": (1.0, 3.0), "peaked": (2.0, 1.0)}
"""Exponent of the target's Zipf law, and the standard deviation of the noise on the draft's logits."""

DRAWINGS = ("iid", "without_replacement", "top_plus_one")
PUBLISHED = "published (2511.15898): 35 ms for 1000 tokens and 2 drafts, near-lossless, 31 % of the calls successful"


def milliseconds(job: Callable[[], object], repeats: int) -> float:
    """The least time of a job over some repeats."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        job()
        times.append(1e3 * (perf_counter() - start))
    return min(times)


def rows_of(size: int, family: str) -> tuple[Row, Row]:
    pair = zipf_pair(size, 0, *FAMILIES[family])
    return pair.target_row(()), pair.draft_row(())


def table(title: str, head: str, lines: Iterable[str]) -> None:
    print(f"\n{title}\n{head}")
    for line in lines:
        print(line, flush=True)


def acceptance_lines(repeats: int) -> Iterable[str]:
    for size in (1000, 49_152, 262_144):
        for drawing in DRAWINGS:
            yield f"{size:7d}  {drawing:20s}" + acceptance_cells(rows_of(size, "middle"), drawing, repeats)


def acceptance_cells(rows: tuple[Row, Row], drawing: ListDrawing, repeats: int) -> str:
    slow = drawing == "without_replacement" and len(rows[0]) > 1000
    found: dict[int, float] = {}

    def job(k: int) -> None:
        found[k] = float(optimal_acceptance(*rows, k, drawing))

    times = [milliseconds(partial(job, k), 1 if slow and k > 2 else repeats) for k in (2, 3, 4)]
    return "".join(f"{time:10.2f}" for time in times) + "   " + "".join(f"{found[k]:9.4f}" for k in (2, 3, 4))


def large_lines(repeats: int) -> Iterable[str]:
    for size in (1000, 49_152):
        for k in (2, 3, 4):
            for family in FAMILIES:
                yield large_line(size, k, family, repeats)


def large_line(size: int, k: int, family: str, repeats: int) -> str:
    rows = rows_of(size, family)
    rule, best = optimal_rule(*rows, k), optimal_acceptance(*rows, k).value
    build = milliseconds(lambda: optimal_rule(*rows, k).law, repeats)
    tokens = np.random.default_rng(0).choice(size, k, p=rows[1]).tolist()
    optimal_iid(*rows, tokens)
    given = milliseconds(lambda: optimal_iid(*rows, tokens), repeats)
    full = milliseconds(lambda: optimal_rule(*rows, k, size).law, 1)
    losses = [shortfall(found, rows[0], best) for found in (rule, optimal_rule(*rows, k, size))]
    return (
        f"{size:7d} {k:2d}  {family:7s} {best:8.4f}{build:11.2f}{given:11.2f}{losses[0]:11.1e}"
        f"{full:14.1f}{losses[1]:11.1e}{abs(rule.law.sum() - 1):11.1e}"
    )


def programme_lines(repeats: int) -> Iterable[str]:
    for size, k in ((3, 2), (5, 2), (5, 3), (8, 3), (10, 3), (20, 2), (12, 4)):
        yield programme_line(size, k, repeats)


def programme_line(size: int, k: int, repeats: int) -> str:
    pair = dirichlet_pair(size, 1, closeness=0.3)
    rows = pair.target_row(()), pair.draft_row(())
    best = float(optimal_acceptance(*rows, k))
    cells = []
    for solver in (OptimalTransport(prefer="any"), OptimalTransport(prefer="any", program="highs")):
        solver.plan(*rows, k)  # POT is imported when first used
        time = milliseconds(partial(fresh_plan, solver, rows, k), repeats)
        cells.append(f"{time:10.2f}{abs(solver.plan(*rows, k).acceptance - best):10.1e}")
    time = milliseconds(lambda: optimal_rule(*rows, k).law, repeats)
    cells.append(f"{time:10.2f}{abs(shortfall(optimal_rule(*rows, k), rows[0], best)):10.1e}")
    return f"{size:3d} {k:2d} {comb(size + k - 1, k):7d}" + "".join(cells)


def fresh_plan(solver: OptimalTransport, rows: tuple[Row, Row], k: int) -> None:
    remembered_plan.cache_clear()
    solver.plan(*rows, k)


def tie_lines() -> Iterable[str]:
    solvers: dict[str, Solver] = {
        "plan, ties high": OptimalTransport(prefer="high"),
        "plan, ties any": OptimalTransport(prefer="any"),
        "plan, ties low": OptimalTransport(prefer="low"),
        "closed form": optimal_iid,
        "k_seq": k_seq,
        "rrs": rrs,
    }
    for name, solver in solvers.items():
        means = [mean_length(solver, lift, *case) for case in CASES for lift in (top_down, bottom_up)]
        yield f"{name:18s}" + "".join(f"{mean:9.4f}" for mean in means)


CASES = ((0.0, Iid(2, 2)), (0.0, Iid(3, 2)), (0.6, Iid(2, 2)), (0.6, Iid(3, 2)))


def mean_length(solver: Solver, lift: Lift, closeness: float, policy: Iid, pairs: int = 6) -> float:
    """E[tau] averaged over some random pairs of 3 tokens."""
    rule = Verifier("benchmark", "", "", TreeRule(solver, lift), frozenset({DraftLaw.IID}))
    lengths = []
    for seed in range(pairs):
        by_depth = emitted_law(rule, policy, dirichlet_pair(3, seed, closeness=closeness)).by_depth
        lengths.append(float((by_depth * np.arange(len(by_depth))).sum()))
    return float(np.mean(lengths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    head = "      V  drawing                    k=2       k=3       k=4   values"
    table("alpha*, ms", head, acceptance_lines(repeats))
    table(
        f"The optimal solver for i.i.d. lists; {PUBLISHED}",
        "      V  k  pair      alpha*   rule, ms   list, ms   missing   ungrouped, ms    missing   |law - 1|",
        large_lines(repeats),
    )
    table(
        "One plan, ms, and its distance to alpha*",
        "  V  k   lists       POT               HiGHS               closed form",
        programme_lines(repeats),
    )
    head = "".join(f"{lift:>9s}" for _ in CASES for lift in ("down", "up"))
    table(f"E[tau], lifts top-down and bottom-up, at closeness and policy {CASES}", " " * 18 + head, tie_lines())


if __name__ == "__main__":
    main()
