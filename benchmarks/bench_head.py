"""A head on the embedded target: how often it is right, what a step costs, and what its number of tokens M does.

    OMP_NUM_THREADS=1 python benchmarks/bench_head.py [--head DIR] [--features DIR] [--context 128] [--rounds 15]
                                            [--texts 84] [--temperatures 1,0.6,0] [--sizes 2048,4096,8192,16384,49152]
                                            [--tokens 32] [--prompts 3]

``--features`` is a folder that ``veridraft distil --head`` kept: its held-out texts are measured on, those that were
drawn at temperature 1, at places whose next token the target drew.  Output rows are the target's and are not learnt,
so that one head can be had with any M, of the tokens that the target's rows make most frequent on shards to learn from.

- acceptance: the mean of sum min(p, q) at depths 1 to 6 below a root, at each temperature, which both rows get;
  standard errors take texts as independent; with every M at temperature 1
- left out: the target's mass on held-out texts outside the M tokens, which bounds what M costs in acceptance
- cost: CPU time, one thread, of a draft step (one token through the head, float64 row over the vocabulary) for each M,
  and of a target pass of one token up to its row, measured in turn; medians, and the ratio of the medians
- decoding (``--tokens``): tokens per second of CPU time at temperature 1 with each M over plain decoding's, block
  verification of two drafted tokens on packed layers, after the built-in prompts, in one order and then in reverse
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import torch
from taking_turns import numbers

from veridraft.gpu import BatchDecoder, ModelPair, Request, Sampling, load_pair, packed_pair
from veridraft.gpu.decoding.drafting.head_drafter import HeadModel
from veridraft.gpu.decoding.passes.cache import BatchModel
from veridraft.gpu.decoding.passes.finite_checks import Columns
from veridraft.gpu.distilling.heads.evaluation import HeadEvaluation, evaluate, evaluate_all
from veridraft.gpu.distilling.heads.features import HELD_OUT, FeaturePlan, read_shard, shard_name
from veridraft.gpu.distilling.heads.job import at_temperature_one, most_frequent
from veridraft.gpu.distilling.heads.plan import DEEPEST
from veridraft.gpu.models.heads.network import Head
from veridraft.gpu.models.prompts import prompts_of

METHOD = ("block", "Chain(2)")
"""With which every M decodes."""


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


def with_tokens(pair: ModelPair, tokens: Sequence[int]) -> Head:
    """The pair's head for other tokens."""
    head = Head(pair.target, len(pair.draft.layers), tokens)
    head.own.load_state_dict(pair.draft.own.state_dict())
    return head


def decoding(pairs: dict[int, ModelPair], tokens: int, prompts: int) -> list[str]:
    """A line for each M: tokens per second of CPU time, over plain decoding's, and tokens a step."""
    first = next(iter(pairs.values()))
    decoders = {"plain": BatchDecoder(first, "nss", "Chain(0)", rows=1)}
    decoders |= {f"M = {size}": BatchDecoder(pair, *METHOD, rows=1) for size, pair in pairs.items()}
    spent, written, steps = (dict.fromkeys(decoders, 0.0) for _ in range(3))
    for turn, prompt in enumerate(prompts_of(first)[:prompts]):
        for name in [*decoders, *reversed(decoders)]:
            begin = process_time()
            text = decoders[name].decode([Request(prompt, tokens, turn)])[0]
            spent[name] += process_time() - begin
            written[name] += len(text.tokens)
            steps[name] += len(text.taus)
    rates = {name: written[name] / spent[name] for name in decoders}
    return [
        f"decoding at T = 1, {name}: {rate:.2f} tokens/s, {rate / rates['plain']:.3f} of plain, "
        f"{written[name] / steps[name]:.3f} tokens a step"
        for name, rate in rates.items()
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", default="head")
    parser.add_argument("--features", type=Path)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--temperatures", type=partial(numbers, kind=float), default=[1.0, 0.6, 0.0])
    parser.add_argument("--sizes", type=partial(numbers, kind=int), default=[2048, 4096, 8192, 16384, 49152])
    parser.add_argument("--tokens", type=int, default=0)
    parser.add_argument("--prompts", type=int, default=3)
    options = parser.parse_args(words)
    pair = load_pair(draft=options.head)
    print(f"{pair.target_name}, {len(pair.draft.layers)} layer(s), M = {len(pair.draft.tokens)}")
    heads = {size: with_tokens(pair, list(range(size))) for size in options.sizes}
    if options.features:
        learnt, shard = read_shard(options.features, shard_name(0)), read_shard(options.features, HELD_OUT)
        held_out = at_temperature_one(shard, FeaturePlan().temperatures).rows(slice(0, options.texts))
        output, mass = pair.target.get_output_embeddings(), shard.mass / shard.mass.sum()
        for temperature, one in evaluate_all(pair.draft, held_out, 0, output, options.temperatures).items():
            print(f"acceptance at T = {temperature:g}, {len(held_out)} texts: {shown(one)}", flush=True)
        heads = {size: with_tokens(pair, most_frequent(learnt.mass, size)) for size in options.sizes}
        for size, head in heads.items():
            left = 1 - mass[head.tokens.numpy()].sum()
            print(f"M = {size}: left out {left:.3f}, acceptance {shown(evaluate(head, held_out))}", flush=True)
    ways = {"target": target_step(pair, options.context)}
    ways |= {f"M = {size}": head_step(head, pair.vocabulary_size, options.context) for size, head in heads.items()}
    found = costs(ways, options.rounds)
    print(f"target pass, one token behind {options.context}: {found['target']:.1f} ms of CPU time")
    for size in options.sizes:
        cost = found[f"M = {size}"]
        print(f"M = {size}: a step {cost:.2f} ms, {100 * cost / found['target']:.1f} % of a target pass", flush=True)
    if options.tokens:
        pairs = {size: packed_pair(replace(pair, draft=head)) for size, head in heads.items()}
        print(*decoding(pairs, options.tokens, options.prompts), sep="\n", flush=True)


def shown(found: HeadEvaluation) -> str:
    """Acceptance by depth with standard errors."""
    rates = zip(found.acceptance, found.standard_errors, strict=True)
    return f"depth 1 to {DEEPEST} " + "  ".join(f"{rate:.3f} ({error:.3f})" for rate, error in rates)


if __name__ == "__main__":
    main()
