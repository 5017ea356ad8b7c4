"""A head on the embedded target: what its trimmed vocabulary leaves out, how often it is right, what a step costs.

    OMP_NUM_THREADS=1 python benchmarks/bench_head.py [--head DIR] [--features DIR] [--context 128] [--rounds 15]
                                                    [--texts 84] [--temperatures 1,0.6,0] [--sizes 2048,4096,8192,16384]
                                                    [--tokens 32] [--prompts 3]

``--features`` is a folder that ``veridraft distil --head`` kept: its held-out texts are measured on, those that were
drawn at temperature 1, at places whose next token the target drew.

- acceptance: the mean of sum min(p, q) at depths 1 to 6 below a root, at each temperature, which both rows get;
  standard errors take texts as independent
- left out: the target's mass on held-out texts outside the M tokens that its rows make most frequent on the first
  shard to learn from, which bounds what M costs in acceptance
- cost: CPU time, one thread, of a draft step (one token through the head, float64 row over the vocabulary) for heads of
  M tokens, and of a target pass of one token up to its row, measured in turn; medians, and the ratio of the medians
- decoding (``--tokens``): tokens per second of CPU time of plain decoding and of the head with some verifiers and
  policies on packed layers, after the built-in prompts, in one order and then in the reverse one
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import torch

from veridraft.gpu import BatchDecoder, ModelPair, Request, Sampling, load_pair, packed_pair
from veridraft.gpu.decoding.drafting.head_drafter import HeadModel
from veridraft.gpu.decoding.passes.cache import BatchModel
from veridraft.gpu.decoding.passes.finite_checks import Columns
from veridraft.gpu.distilling.heads.evaluation import evaluate
from veridraft.gpu.distilling.heads.features import HELD_OUT, FeaturePlan, read_shard, shard_name
from veridraft.gpu.distilling.heads.job import at_temperature_one, most_frequent
from veridraft.gpu.distilling.heads.plan import DEEPEST
from veridraft.gpu.models.heads.network import Head
from veridraft.gpu.models.prompts import prompts_of

METHODS = (
    ("nss", "Chain(0)"),
    ("block", "Chain(1)"),
    ("block", "Chain(2)"),
    ("block", "Chain(3)"),
    ("traversal", "Iid(2, 1)"),
    ("traversal", "Iid(2, 2)"),
)
"""Plain decoding first."""


def target_step(pair: ModelPair, context: int) -> Callable[[], object]:
    """A pass of the target over one token behind random ones, up to its row; nothing is kept."""
    model = BatchModel(pair.target, 1, context + 8)
    model.prefill(0, np.random.default_rng(0).integers(pair.vocabulary_size, size=context).tolist())
    visible = torch.ones((1, 1, 1), dtype=torch.bool)
    return lambda: Sampling().rows(model.feed(1, torch.tensor([[5]]), 0, visible))


def head_step(head: Head, vocabulary_size: int, context: int) -> Callable[[], object]:
    """A draft step of a head behind as many, up to its row over the vocabulary; nothing is kept."""
    model = HeadModel(head, 1, context + 8)
    model.restart(0)
    model.hear(0, torch.randn(context, head.config.hidden_size))
    model.prefill(0, np.random.default_rng(0).integers(vocabulary_size, size=context).tolist())
    visible, columns = torch.ones((1, 1, 1), dtype=torch.bool), Columns(head.tokens, vocabulary_size)
    return lambda: columns.widen(Sampling().rows(model.feed(1, torch.tensor([[5]]), 0, visible)))


@torch.inference_mode()
def costs(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """By name the median milliseconds of CPU time; the ways take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 2):
        for name, way in ways.items():
            begin = process_time()
            way()
            if turn >= 2:
                seconds[name].append(process_time() - begin)
    return {name: 1000 * median(found) for name, found in seconds.items()}


def decoding(pair: ModelPair, temperature: float, tokens: int, prompts: int) -> list[str]:
    """A line for each method: tokens per second of CPU time, over plain decoding, and block efficiency."""
    spent, written, steps = np.zeros(len(METHODS)), np.zeros(len(METHODS)), np.zeros(len(METHODS))
    order = list(range(len(METHODS)))
    decoders = [BatchDecoder(pair, *method, Sampling(temperature), rows=1) for method in METHODS]
    for turn, prompt in enumerate(prompts_of(pair)[:prompts]):
        for place in [*order, *reversed(order)]:
            begin = process_time()
            text = decoders[place].decode([Request(prompt, tokens, turn)])[0]
            spent[place] += process_time() - begin
            written[place] += len(text.tokens)
            steps[place] += len(text.taus)
    rates = written / spent
    return [
        f"T = {temperature:g}  {verifier:9s} {policy:9s} {rates[place]:6.2f} tokens/s, {rates[place] / rates[0]:.3f} "
        f"of plain decoding, {written[place] / steps[place]:.3f} tokens a step"
        for place, (verifier, policy) in enumerate(METHODS)
    ]


def numbers(text: str, kind: Callable[[str], float]) -> list[float]:
    """The numbers of a list with commas."""
    return [kind(one) for one in text.split(",")]


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", default="head")
    parser.add_argument("--features", type=Path)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--temperatures", type=partial(numbers, kind=float), default=[1.0, 0.6, 0.0])
    parser.add_argument("--sizes", type=partial(numbers, kind=int), default=[2048, 4096, 8192, 16384])
    parser.add_argument("--tokens", type=int, default=0)
    parser.add_argument("--prompts", type=int, default=3)
    options = parser.parse_args(words)
    pair = load_pair(draft=options.head)
    print(f"{pair.target_name}, {len(pair.draft.layers)} layer(s), M = {len(pair.draft.tokens)}")
    learnt = mass = None
    if options.features:
        shard = read_shard(options.features, HELD_OUT)
        held_out = at_temperature_one(shard, FeaturePlan().temperatures).rows(slice(0, options.texts))
        learnt, mass = read_shard(options.features, shard_name(0)).mass, shard.mass / shard.mass.sum()
        for temperature in options.temperatures:
            seen = evaluate(pair.draft, held_out, 0, pair.target.get_output_embeddings(), temperature)
            rates = zip(seen.acceptance, seen.standard_errors, strict=True)
            shown = "  ".join(f"{rate:.3f} ({error:.3f})" for rate, error in rates)
            print(f"acceptance at T = {temperature:g}, depth 1 to {DEEPEST}, {len(held_out)} texts: {shown}")
    ways = {"target": target_step(pair, options.context)}
    order = most_frequent if mass is not None else lambda _, size: list(range(size))
    heads = {size: Head(pair.target, len(pair.draft.layers), order(learnt, size)) for size in options.sizes}
    ways |= {f"M = {size}": head_step(head, pair.vocabulary_size, options.context) for size, head in heads.items()}
    found = costs(ways, options.rounds)
    print(f"target pass, one token behind {options.context}: {found['target']:.1f} ms of CPU time")
    for size in options.sizes:
        left = "" if mass is None else f", target's mass left out {1 - mass[heads[size].tokens.numpy()].sum():.3f}"
        cost = found[f"M = {size}"]
        print(f"head of M = {size}: {cost:.2f} ms, {100 * cost / found['target']:.1f} % of a target pass{left}")
    if options.tokens:
        packed = packed_pair(pair)
        for temperature in options.temperatures:
            print(*decoding(packed, temperature, options.tokens, options.prompts), sep="\n", flush=True)


if __name__ == "__main__":
    main()
