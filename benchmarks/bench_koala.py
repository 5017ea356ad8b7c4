"""KOALA's claim on one target: heads of 1, 2 and 3 layers, with and without the judge, after equal training.

    OMP_NUM_THREADS=1 python benchmarks/bench_koala.py --features DIR --out DIR [--layers 1,2,3] [--judge 0,0.2]
                                        [--shards 8] [--steps 300] [--batch 4] [--tokens 48] [--prompts 8]

Every head learns from the same batches of the same kept texts (``veridraft distil --head`` made the folder), from the
target's last layers as they are, by half KL and half total variation, and the judge's loss by its weight beside.  Heads
are kept in the folder of ``--out``: the same command goes on where a stopped one was.

Told of each: exact acceptance on held-out texts by depth; tokens per step (block efficiency) and tokens per second of
CPU time of block verification with three drafted tokens at temperature 1 on packed layers, over those of the first head
and, for the time, over plain decoding's.  All take turns after each prompt, in one order and then in the reverse one;
intervals are Student's over prompts at 95 %.  2408.08146 claims that layers and the judge each raise what is accepted.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from itertools import product
from pathlib import Path

import torch
from taking_turns import Method, compared, numbers, ours, run, shown

from veridraft.gpu import ModelPair, Sampling, packed_pair
from veridraft.gpu.distilling.heads.job import HeadJob
from veridraft.gpu.distilling.heads.plan import HeadPlan
from veridraft.gpu.distilling.plan import LossWeights
from veridraft.gpu.models.heads.card import read_card
from veridraft.gpu.models.pairs import load_alone, load_pair
from veridraft.gpu.models.prompts import prompts_of

METHOD = ("block", "Chain(3)")


def trained(target: ModelPair, options: argparse.Namespace, layers: int, judge: float) -> Path:
    """The folder of one head, taught unless it is there."""
    weights = LossWeights(0.5, 0.5, judge)
    plan = HeadPlan(layers=layers, depth=1, weights=weights, shards=options.shards, steps=options.steps,
                    batch=options.batch, evaluate_every=options.steps)  # fmt: skip
    job = HeadJob.prepared(target, plan, options.out / f"{layers}-{judge:g}", features=options.features)

    def told(part: str, done: int, whole: int, detail: str) -> None:
        print(f"\r{layers} layer(s), judge {judge:g}: {part} {done}/{whole}", end="", file=sys.stderr, flush=True)

    job.run(told=told)
    return job.folder.draft


def main() -> None:
    """Teach what is missing, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("shards", 8), ("steps", 300), ("batch", 4), ("tokens", 48), ("prompts", 8)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--layers", type=partial(numbers, kind=int), default=[1, 2, 3])
    parser.add_argument("--judge", type=partial(numbers, kind=float), default=[0.0, 0.2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    target = load_alone()
    kinds = list(product(options.layers, options.judge))
    heads = {f"{layers} layer(s), judge {judge:g}": trained(target, options, layers, judge) for layers, judge in kinds}
    ways: list[Method] = []
    for name, folder in heads.items():
        pair = packed_pair(load_pair(draft=str(folder)))
        ways.append(ours(name, pair, *METHOD, Sampling(), options.tokens))
    prompts = [pair.encode(prompt) for prompt in prompts_of(pair)[: options.prompts]]
    plain = ours("plain", pair, "nss", "Chain(0)", Sampling(), options.tokens)
    run([plain, *ways], prompts)
    over_plain, over_first = compared([plain, *ways], len(prompts))[1:], compared(ways, len(prompts))
    print(f"\n{options.steps * options.batch} texts learnt by each head, of {options.shards} shards")
    for name, beside, row in zip(heads, over_plain, over_first, strict=True):
        found = read_card(heads[name])["held_out"]["temperature 1"]
        rates = "  ".join(f"{rate:.3f}" for rate in found["acceptance"])
        print(f"{name}: acceptance by depth {rates} (error {found['standard_errors'][0]:.3f})")
        over = row["over_first"]
        print(f"  {row['tokens_a_step']:.3f} tokens a step, {shown(over['steps'])} of the first head's")
        print(f"  tokens per CPU second {shown(over['cpu'])} of the first head's, "
              f"{shown(beside['over_first']['cpu'])} of plain decoding's")  # fmt: skip


if __name__ == "__main__":
    main()
