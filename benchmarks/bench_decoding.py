"""Tokens per second of real decoding, against transformers' assisted generation and plain generation.

    python benchmarks/bench_decoding.py [--tokens 48] [--prompts 3] [--length 3] [--sweep 1,2,3,5] [--threads 1]
                                        [--out FOLDER]

One pair (the embedded one), temperature 1, sampling everywhere, one text at a time; each method writes a text after
each prompt, all methods in one order and then in the reverse one.  The time of reading the prompt is included for
all.  Two comparisons: (a) at one draft length, ours against assisted generation; (b) each side at the best setting of
one sweep, where ours may draft with the network or with n-grams (prompt lookup), and so may transformers.

Ours run on the pair with packed linear layers, as ``packed_pair`` gives it; transformers runs on the pair as it is
loaded, and again on the packed one, so that what the layers give and what the decoder gives can be told apart.
Besides wall-clock time there is CPU time, which on a shared machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch

from veridraft.gpu import BatchDecoder, ModelPair, NGram, Request, load_pair
from veridraft.gpu.decoding.memory import PeakMemory
from veridraft.gpu.decoding.passes.packing import packed_pair
from veridraft.gpu.models.machine import machine
from veridraft.gpu.models.prompts import PROMPTS
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Chain, Delayed, Iid

Writer = Callable[[tuple[int, ...], int], int]
"""``writer(prompt, seed)`` writes a text and returns how many tokens it has."""

def ours(pair: ModelPair, verifier: str, policy: Policy, tokens: int, decoders: dict[str, BatchDecoder]) -> Writer:
    decoder = decoders[f"{verifier}, {policy.name}"] = BatchDecoder(pair, verifier, policy, rows=1)

    def write(prompt: tuple[int, ...], seed: int) -> int:
        return len(decoder.decode([Request(prompt, tokens, seed)])[0].tokens)

    return write


def transformers_generate(pair: ModelPair, tokens: int, length: int | None = None, lookup: int | None = None) -> Writer:
    """Plain generation, assisted with a constant draft length, or prompt lookup."""
    options: dict[str, Any] = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    options["max_new_tokens"] = tokens
    if lookup is not None:
        options["prompt_lookup_num_tokens"] = lookup

    def write(prompt: tuple[int, ...], seed: int) -> int:
        torch.manual_seed(seed)
        ids = torch.tensor([prompt], device=pair.device)
        if length is not None:
            config = pair.draft.generation_config
            config.num_assistant_tokens, config.num_assistant_tokens_schedule = length, "constant"
            config.assistant_confidence_threshold = 0.0
            options["assistant_model"] = pair.draft
        return pair.target.generate(ids, attention_mask=torch.ones_like(ids), **options).shape[1] - len(prompt)

    return write


def methods(
    pair: ModelPair, tokens: int, length: int, sweep: list[int], decoders: dict[str, BatchDecoder]
) -> dict[str, Writer]:
    """All of them by name; ``sweep`` are draft lengths."""
    fast = packed_pair(pair)
    table = {
        "plain": transformers_generate(pair, tokens),
        "plain, packed": transformers_generate(fast, tokens),
        f"assisted {length}, packed": transformers_generate(fast, tokens, length),
    }
    table |= {f"assisted {k}": transformers_generate(pair, tokens, k) for k in sorted({*sweep, length})}
    table |= {f"lookup {k}": transformers_generate(pair, tokens, lookup=k) for k in sweep if k > 1}
    settings: list[tuple[str, Policy]] = [("nss", Chain(0)), ("naive", Chain(length))]
    settings += [("block", Chain(k)) for k in sorted({*sweep, length})]
    settings += [("traversal", Iid(4, length)), ("lifted_k_seq", Iid(4, length)), ("traversal", Delayed(3, 1, 1))]
    settings += [("nss", NGram(k)) for k in sweep]
    for verifier, policy in settings:
        table[f"ours: {verifier}, {policy.name}"] = ours(fast, verifier, policy, tokens, decoders)
    return table


def run(writers: dict[str, Writer], prompts: list[tuple[int, ...]]) -> dict[str, np.ndarray]:
    """(3,) tokens, seconds and CPU seconds of each method, over both orders, after one warm-up each."""
    totals = {name: np.zeros(3) for name in writers}
    for write in writers.values():
        write(prompts[0][:4], 0)
    for order in (list(writers), list(writers)[::-1]):
        for seed, prompt in enumerate(prompts):
            for name in order:
                begin, begin_cpu = perf_counter(), process_time()
                tokens = writers[name](prompt, seed)
                totals[name] += tokens, perf_counter() - begin, process_time() - begin_cpu
            print(".", end="", file=sys.stderr, flush=True)
    return totals


def speeds(totals: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    return {
        name: {"tokens": int(tokens), "tokens_per_second": tokens / wall, "tokens_per_cpu_second": tokens / cpu}
        for name, (tokens, wall, cpu) in totals.items()
    }


def comparisons(found: dict[str, dict[str, float]], length: int) -> list[str]:
    """The ratios of (a) and (b), in wall-clock and in CPU time."""
    mine = {name: row for name, row in found.items() if name.startswith("ours")}
    theirs = {name: row for name, row in found.items() if name not in mine and "packed" not in name}
    drafted = {name: row for name, row in mine.items() if f"Chain({length})" in name}
    lines = []
    for kind in ("tokens_per_second", "tokens_per_cpu_second"):
        best = max(drafted, key=lambda name: drafted[name][kind])
        base = found[f"assisted {length}"][kind]
        lines.append(f"(a) {kind}: {best} / assisted {length} = {drafted[best][kind] / base:.2f}")
        best, other = (max(rows, key=lambda name: rows[name][kind]) for rows in (mine, theirs))
        lines.append(f"(b) {kind}: {best} / {other} = {mine[best][kind] / theirs[other][kind]:.2f}")
    return lines


def budgets(decoders: dict[str, BatchDecoder]) -> dict[str, dict[str, float]]:
    """Milliseconds of a step by phase; ``prompt`` is the prompts' reading, spread over the steps."""
    table = {}
    for name, decoder in decoders.items():
        table[name] = {phase: 1000 * time / decoder.steps for phase, time in decoder.stopwatch.seconds.items()}
    return table


def report(found: dict[str, dict[str, float]], steps: dict[str, dict[str, float]], lines: list[str]) -> str:
    base = found["plain"]
    text = [f"{'method':32} {'tokens':>6} {'tokens/s':>9} {'per CPU s':>9} {'/ plain':>8} {'(CPU)':>6}"]
    for name, row in found.items():
        wall, cpu = row["tokens_per_second"], row["tokens_per_cpu_second"]
        ratios = wall / base["tokens_per_second"], cpu / base["tokens_per_cpu_second"]
        text.append(f"{name:32} {row['tokens']:6d} {wall:9.2f} {cpu:9.2f} {ratios[0]:8.2f} {ratios[1]:6.2f}")
    phases = ("draft", "target", "verify", "commit", "prompt")
    text += ["", *lines, "", f"{'milliseconds of a step':32} " + " ".join(f"{phase:>7}" for phase in phases)]
    for name, row in steps.items():
        shares = [row.get(phase, 0.0) for phase in phases]
        text.append(f"{name:32} " + " ".join(f"{share:7.1f}" for share in shares))
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("tokens", 48), ("prompts", 3), ("length", 3), ("threads", torch.get_num_threads())):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--sweep", default="1,2,3,5", help="draft lengths")
    parser.add_argument("--out", type=Path, help="folder for decoding.json and decoding.txt")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pair = load_pair()
    decoders: dict[str, BatchDecoder] = {}
    prompts = [pair.encode(prompt) for prompt in PROMPTS[: options.prompts]]
    with PeakMemory(pair.device) as peak:
        sweep = [int(length) for length in options.sweep.split(",")]
        found = speeds(run(methods(pair, options.tokens, options.length, sweep, decoders), prompts))
    lines, steps = comparisons(found, options.length), budgets(decoders)
    head = f"{pair.target_name}, draft {pair.draft_name}, {pair.device}, {options.threads} threads, "
    head += f"peak memory {peak.bytes / 2**30:.2f} GiB"
    text = "\n".join([head, report(found, steps, lines)])
    print(text)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        command = shlex.join(["python", *sys.argv])
        body = {"command": command, "machine": machine(), "peak_bytes": peak.bytes, "speeds": found, "budgets": steps}
        (options.out / "decoding.json").write_text(json.dumps(body | {"comparisons": lines}, indent=1) + "\n")
        (options.out / "decoding.txt").write_text(f"$ {command}\n{text}\n")


if __name__ == "__main__":
    main()
