"""Tokens per second of real decoding, against transformers' assisted generation and plain generation.

    python benchmarks/bench_decoding.py [--tokens 64] [--prompts 4] [--length 3] [--threads 1]

One pair (the embedded one), one draft length, temperature 1, sampling everywhere; each method writes a text
after each prompt, all methods in one order and then in the reverse one.  The time of reading the prompt is
included for all.  A draft that leaves out 4 of 30 layers costs nearly as much as its target, so that on a
CPU plain generation stays faster than any speculative one with this pair; the comparison that is aimed at
is ours against assisted generation (ratio at least 1).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import perf_counter, process_time

import numpy as np
import torch

from veridraft.gpu import ModelPair, decode, load_pair
from veridraft.gpu.prompts import PROMPTS
from veridraft.theory.policies import Chain, Iid, Policy

Writer = Callable[[tuple[int, ...], int], int]
"""``writer(prompt, seed)`` writes a text and returns how many tokens it has."""


def ours(pair: ModelPair, verifier: str, policy: Policy, tokens: int) -> Writer:
    def write(prompt: tuple[int, ...], seed: int) -> int:
        rng = np.random.default_rng(seed)
        return len(decode(pair, prompt, verifier, policy, max_new_tokens=tokens, rng=rng).tokens)

    return write


def transformers_generate(pair: ModelPair, tokens: int, length: int | None) -> Writer:
    """Plain generation, or assisted with a constant draft length."""
    options = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": tokens}
    if length is not None:
        options["assistant_model"] = pair.draft
        config = pair.draft.generation_config
        config.num_assistant_tokens, config.num_assistant_tokens_schedule = length, "constant"
        config.assistant_confidence_threshold = 0.0

    def write(prompt: tuple[int, ...], seed: int) -> int:
        torch.manual_seed(seed)
        ids = torch.tensor([prompt], device=pair.device)
        return pair.target.generate(ids, attention_mask=torch.ones_like(ids), **options).shape[1] - len(prompt)

    return write


def methods(pair: ModelPair, tokens: int, length: int) -> dict[str, Writer]:
    return {
        "plain generate": transformers_generate(pair, tokens, None),
        f"assisted, {length} tokens": transformers_generate(pair, tokens, length),
        f"naive, Chain({length})": ours(pair, "naive", Chain(length), tokens),
        f"block, Chain({length})": ours(pair, "block", Chain(length), tokens),
        f"traversal, Iid(4, {length})": ours(pair, "traversal", Iid(4, length), tokens),
        f"lifted_k_seq, Iid(4, {length})": ours(pair, "lifted_k_seq", Iid(4, length), tokens),
    }


def run(writers: dict[str, Writer], prompts: list[tuple[int, ...]]) -> dict[str, np.ndarray]:
    """(3,) tokens, seconds and CPU seconds of each method, over both orders, after one warm-up each."""
    totals = {name: np.zeros(3) for name in writers}
    for write in writers.values():
        write(prompts[0], 0)
    for order in (list(writers), list(writers)[::-1]):
        for seed, prompt in enumerate(prompts):
            for name in order:
                begin, begin_cpu = perf_counter(), process_time()
                tokens = writers[name](prompt, seed)
                totals[name] += tokens, perf_counter() - begin, process_time() - begin_cpu
    return totals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("tokens", 64), ("prompts", 4), ("length", 3), ("threads", torch.get_num_threads())):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pair = load_pair()
    prompts = [pair.encode(prompt) for prompt in PROMPTS[: options.prompts]]
    writers = methods(pair, options.tokens, options.length)
    totals = run(writers, prompts)
    base = totals[f"assisted, {options.length} tokens"]
    print(f"{pair.target_name}, draft {pair.draft_name}, {pair.device}, {options.threads} threads")
    print(f"{'method':28} {'tokens':>6} {'tokens/s':>9} {'per CPU s':>9} {'/ assisted':>10} {'(CPU)':>6}")
    for name, (tokens, seconds, cpu) in totals.items():
        ratio, cpu_ratio = tokens / seconds * base[1] / base[0], tokens / cpu * base[2] / base[0]
        print(f"{name:28} {tokens:6.0f} {tokens / seconds:9.2f} {tokens / cpu:9.2f} {ratio:10.2f} {cpu_ratio:6.2f}")


if __name__ == "__main__":
    main()
