"""What a decision costs beside the law that it is drawn from, one tree at a time.

    OMP_NUM_THREADS=1 python benchmarks/bench_deciding.py [--vocabulary 49152] [--trees 12] [--paths 4] [--length 8]
                                                        [--dtype float32] [--rules NAME,NAME]

Trees are drawn from synthetic pairs with rows as peaked as a language model's, new rows for each.  Of each rule and
tree in turn: theory's exact law of the whole tree (float64, nothing remembered of it), the same law on tensors, and one
decision with its token.  Each is the fastest of three by CPU time, the mean over trees; one thread.  Rules that do not
take K independent paths have a chain of the same length, or a small tree of their own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import process_time

import numpy as np
import torch
from bench_verification import SMALL, PeakedRows

from veridraft.gpu.trees.tensor_tree import TensorTree
from veridraft.gpu.trees.tree_batch import batched
from veridraft.gpu.verification.table import stopping_in_batch, verify_batch
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Chain, Iid
from veridraft.theory.policies.top_plus_one import HubPairs, TopPlusOne
from veridraft.theory.solvers.canonical_lists import tournament
from veridraft.theory.solvers.closed_form import remembered_rule
from veridraft.theory.verifiers.table import VERIFIERS, get_verifier


def policy_of(name: str, paths: int, length: int) -> Policy:
    """The first policy that the rule takes."""
    choices = (Iid(paths, length), Chain(length), TopPlusOne(paths - 1, 3), HubPairs(4))
    return next(policy for policy in choices if get_verifier(name).supports(policy))


def fastest(run: Callable[[], object]) -> float:
    """Milliseconds of CPU time, the fastest of three, with nothing remembered between them."""
    times = []
    for _ in range(3):
        remembered_rule.cache_clear()
        tournament.cache_clear()
        begin = process_time()
        run()
        times.append(1000 * (process_time() - begin))
    return min(times)


def runs_of(name: str, policy: Policy, options: argparse.Namespace, seed: int) -> list[Callable[[], object]]:
    """Theory's law, the law on tensors, and a decision: of one tree."""
    rng = np.random.default_rng(seed)
    tree = policy.sample(PeakedRows(options.vocabulary, seed), rng)
    batch = batched([TensorTree.from_theory(tree, getattr(torch, options.dtype))])
    coins = torch.from_numpy(rng.random((1, batch.columns + 1)))
    return [
        lambda: get_verifier(name).law(tree),
        lambda: stopping_in_batch(name, batch),
        lambda: verify_batch(name, batch, coins).tokens.tolist(),
    ]


def times_of(name: str, policy: Policy, options: argparse.Namespace) -> np.ndarray:
    """(3,) milliseconds of each run: means over trees, of which the first warms up."""
    seeds = range(options.trees + 1)
    return np.mean([[fastest(run) for run in runs_of(name, policy, options, seed)] for seed in seeds][1:], axis=0)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("vocabulary", 49152), ("trees", 12), ("paths", 4), ("length", 8)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--rules", default=",".join(name for name in VERIFIERS if name not in SMALL))
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"|V| = {options.vocabulary}, {options.dtype}, {options.trees} trees each, one thread, ms of CPU time")
    print(f"{'rule':22} {'policy':18} {'law':>8} {'on tensors':>10} {'decision':>8} {'/ law':>6}")
    kept, rules = 0, options.rules.split(",")
    for name in rules:
        policy = policy_of(name, options.paths, options.length)
        law, on_tensors, decision = times_of(name, policy, options)
        kept += decision <= law
        numbers = f"{law:8.2f} {on_tensors:10.2f} {decision:8.2f} {decision / law:6.2f}"
        print(f"{name:22} {policy.name:18} {numbers}", flush=True)
    print(f"{kept} of {len(rules)} decide in no more time than the law takes")


if __name__ == "__main__":
    main()
