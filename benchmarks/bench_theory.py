"""Times of the exact laws, printed as tables: ``python benchmarks/bench_theory.py [--help]``.

The law given a tree, per verifier: stopping probabilities alone, then with next-token rows, in float64 on
one thread, in CPU time, so that other work on the machine counts less.  A ratio is to one plain pass
``minimum(target, draft).sum()`` over the rows of the tree's inner nodes, timed in the same run, so that runs
on different machines can be compared.  Then certificates.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is loaded

import argparse
import tracemalloc
from collections.abc import Callable, Sequence
from statistics import median
from time import process_time

import numpy as np

from veridraft.theory import Chain, DraftTree, Iid, MarkovPair, Pair, Verifier, certify, get_verifier, zipf_pair

VOCABULARY, PATHS, DEPTH = 49_152, 4, 8
NINE = "naive nss naive_tree spectr specinfer block traversal lifted_k_seq lifted_rrs"
NOISES = {"near": 0.3, "middle": 1.0, "far": 3.0}
AIM_STOPPING_MS, AIM_ROWS_MS, AIM_CERTIFICATE_S = 4.0, 6.0, 0.2


def milliseconds(job: Callable[[], object], repeats: int) -> float:
    """The median CPU time of a job, after one run that is not counted."""
    job()
    times = []
    for _ in range(repeats):
        start = process_time()
        job()
        times.append(1e3 * (process_time() - start))
    return median(times)


def peak_mebibytes(job: Callable[[], object]) -> float:
    """The most memory that a job holds at once, beyond what was held before."""
    tracemalloc.start()
    job()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def trees_of(pair: Pair, depth_policy: Iid | Chain, count: int) -> list[DraftTree]:
    """Random trees of one policy on one pair."""
    return [depth_policy.sample(pair, np.random.default_rng(seed)) for seed in range(count)]


def plain_pass(tree: DraftTree) -> float:
    """One look at every inner row: the least that any law has to read."""
    inner = [node for node, nodes in enumerate(tree.child_lists) if nodes]
    return sum(float(np.minimum(tree.target[node], tree.draft[node]).sum()) for node in inner)


def rebuild(tree: DraftTree) -> DraftTree:
    """The same tree built again, with every check of the input."""
    return DraftTree(tree.tokens, tree.parents, tree.child_lists, tree.target, tree.draft)


def law_rows(verifier: Verifier, trees: Sequence[DraftTree], repeats: int) -> tuple[float, float, float, float]:
    """Medians over trees: ms for stopping, ms with rows, ratio of the former to the plain pass, peak MiB."""
    stopping = [milliseconds(lambda tree=tree: verifier.law(tree), repeats) for tree in trees]
    rows = [milliseconds(lambda tree=tree: verifier.law(tree, rows=True), repeats) for tree in trees]
    plain = [milliseconds(lambda tree=tree: plain_pass(tree), repeats) for tree in trees]
    peak = max(peak_mebibytes(lambda tree=tree: verifier.law(tree)) for tree in trees)
    return median(stopping), median(rows), median(a / b for a, b in zip(stopping, plain, strict=True)), peak


def law_table(verifiers: Sequence[Verifier], count: int, repeats: int) -> None:
    """Print the laws' times for every verifier and pair."""
    print(f"law given a tree: V = {VOCABULARY:,}, K = {PATHS}, L = {DEPTH}, float64, one thread, {count} trees")
    print(f"aims: stopping {AIM_STOPPING_MS} ms, with rows {AIM_ROWS_MS} ms; chains where a verifier takes no tree")
    print(f"{'pair':8}{'verifier':16}{'stopping ms':>12}{'with rows ms':>14}{'/ plain pass':>14}{'peak MiB':>10}  aims")
    for label, noise in NOISES.items():
        pair = zipf_pair(VOCABULARY, seed=1, noise=noise)
        bushy, chains = trees_of(pair, Iid(PATHS, DEPTH), count), trees_of(pair, Chain(DEPTH), count)
        for verifier in verifiers:
            stopping, rows, ratio, peak = law_rows(verifier, bushy if verifier.supports(Iid(2, 1)) else chains, repeats)
            met = "met" if stopping <= AIM_STOPPING_MS and rows <= AIM_ROWS_MS else "missed"
            print(f"{label:8}{verifier.name:16}{stopping:12.2f}{rows:14.2f}{ratio:14.2f}{peak:10.1f}  {met}")
        checks = median(milliseconds(lambda tree=tree: rebuild(tree), repeats) for tree in bushy)
        nodes = median(tree.size for tree in bushy)
        print(f"{label:8}{'(input check)':16}{checks:12.2f}   once per tree, {nodes:.0f} nodes")


def exact_pair(vocabulary_size: int, seed: int) -> Pair:
    """A Markov pair of random rows in Fractions of denominator about 1000."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.ones(vocabulary_size), size=(2, vocabulary_size))
    return MarkovPair(*rows).rationalised(1000)


def certificate_table(verifiers: Sequence[Verifier], repeats: int) -> None:
    """Print the times of rational certificates of 81 trees, merged and listed one by one."""
    policy, pair = Iid(2, 2), exact_pair(3, seed=1)
    print(f"\nrational certificate: V = 3, {policy!r}, aim {AIM_CERTIFICATE_S} s merged")
    print(f"{'verifier':16}{'trees':>6}{'merged s':>10}{'listed s':>10}{'listed / merged':>17}  aim")
    for verifier in verifiers:
        used = policy if verifier.supports(policy) else Chain(4)
        trees = certify(verifier, used, pair).trees
        merged = milliseconds(lambda v=verifier, p=used: certify(v, p, pair), repeats) / 1e3
        listed = milliseconds(lambda v=verifier, p=used: certify(v, p, pair, merge=False), 1) / 1e3
        met = "met" if merged <= AIM_CERTIFICATE_S else "missed"
        print(f"{verifier.name:16}{trees:6}{merged:10.3f}{listed:10.3f}{listed / merged:17.1f}  {met}")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=int, default=4, help="random trees of each pair")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each tree, of which the median counts")
    parser.add_argument("--verifiers", nargs="+", default=NINE.split(), help="names, each for chains or i.i.d. trees")
    options = parser.parse_args()
    verifiers = [get_verifier(name) for name in options.verifiers]
    law_table(verifiers, options.trees, options.repeats)
    certificate_table(verifiers, options.repeats)


if __name__ == "__main__":
    main()
