"""Seconds for a million simulated trials at |V| = 3, K = 2, L = 2, for every verifier.

    python benchmarks/bench_simulate.py [trials]

Single-path verifiers run on Chain(2).  Each run is also compared with the exact values.  Set OMP_NUM_THREADS=1 to
time one core.
"""

from __future__ import annotations

import sys
from time import perf_counter, process_time

from veridraft.simulate import PROCEDURES, compare, simulate
from veridraft.theory import VERIFIERS, Chain, Iid, dirichlet_pair

AIM = 10.0


def measure(name: str, trials: int) -> str:
    """One line of the table."""
    policy = Iid(2, 2) if VERIFIERS[name].supports(Iid(2, 2)) else Chain(2)
    pair = dirichlet_pair(3, seed=1, closeness=0.2)
    start, start_cpu = perf_counter(), process_time()
    run = simulate(name, policy, pair, trials, seed=1)
    seconds, cpu = perf_counter() - start, process_time() - start_cpu
    found = compare(run, name, policy, pair)
    return (
        f"{name:14}{policy.name:12}{seconds:9.2f}{cpu:8.2f}{trials / seconds:14,.0f}"
        f"{run.block_efficiency:12.4f}{run.standard_error:10.4f}  {found.outcome.value}"
    )


def main() -> None:
    """Print the table."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"{trials:,} trials, |V| = 3; the aim is {AIM:g} s for 1,000,000")
    times = f"{'seconds':>9}{'cpu':>8}{'trials / s':>14}"
    print(f"{'verifier':14}{'policy':12}{times}{'E[tau + 1]':>12}{'error':>10}  exact values")
    for name in PROCEDURES:
        print(measure(name, trials), flush=True)


if __name__ == "__main__":
    main()
