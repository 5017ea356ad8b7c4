"""Tokens per second of real decoding: plain, drafted by a head, by prompt lookup, and transformers' own ways.

    python benchmarks/bench_decoding.py [--tokens 48] [--prompts 6] [--temperatures 0,0.6,1] [--threads 2]
                                        [--head head] [--skip skip:17,18,16,14] [--out FOLDER]

The embedded target, one text at a time.  At each temperature every method writes a text after each prompt, all methods
in one order and then in the reverse one; the time of reading the prompt is included for all.  A rate is over plain
decoding's after the same prompt; its interval is Student's over prompts at 95 %, of the mean logarithm.

Ours run on packed linear layers (``packed_pair``), whose sums stand in another order than plain ones'; transformers'
assisted generation drafts with the layer-skip draft, and runs on packed layers too.  At temperature 0 trees of the
likeliest tokens are drafted by the head's rows at temperature 1.  Besides wall-clock time there is CPU time, which on a
shared machine disturbs less.  Below it stands what a step spends on what, and what a pass of so many tokens costs.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import scipy
import torch
from taking_turns import PHASES, Method, compared, numbers, ours, run

from veridraft.gpu import ModelPair, Sampling, load_pair
from veridraft.gpu.decoding.memory import PeakMemory
from veridraft.gpu.decoding.passes.cache import BatchModel
from veridraft.gpu.decoding.passes.packing import packed_pair
from veridraft.gpu.decoding.step_watch import time_pass
from veridraft.gpu.models.embedded import LAYERS_LEFT_OUT
from veridraft.gpu.models.machine import machine
from veridraft.gpu.models.prompts import prompts_of

PLAIN = "plain"

OF_HEAD = (
    ("block", "Chain(1)"),
    ("block", "Chain(2)"),
    ("block", "Chain(3)"),
    ("specinfer", "Iid(3, 1)"),
    ("traversal", "Iid(2, 2)"),
    ("lifted_k_seq", "Iid(4, 1)"),
    ("lifted_optimal", "Iid(2, 2)"),
    ("nss", "TopK(4, 1, 4)"),
    ("nss", "TopK(4, 2, 8)"),
)
"""Verifiers and policies that draft with the head; lists that are drawn say at temperature 0 what a chain says."""

AIMS = {0.0: 1.4}
"""Times plain decoding's speed that are worth the trouble, by temperature; ``AIM`` at the others."""

AIM = 1.15

SIZES = (1, 2, 4, 8, 16)
"""Tokens of a pass whose cost is told."""

def theirs(name: str, pair: ModelPair, temperature: float, tokens: int, **options: Any) -> Method:
    """transformers' ``generate`` on a pair: plain, assisted by the draft, or with prompt lookup."""
    options |= {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
    options |= {"top_k": 0, "top_p": 1.0} if temperature else {}

    def write(prompt: tuple[int, ...], seed: int) -> int:
        torch.manual_seed(seed)
        ids = torch.tensor([prompt], device=pair.device)
        written = pair.target.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, **options)
        return written.shape[1] - len(prompt)

    return Method(name, write)


def assisted(pair: ModelPair, temperature: float, tokens: int, length: int) -> Method:
    """transformers' assisted generation with a constant draft length."""
    config = pair.draft.generation_config
    config.num_assistant_tokens_schedule, config.assistant_confidence_threshold = "constant", 0.0
    method = theirs(f"assisted {length}", pair, temperature, tokens, assistant_model=pair.draft)
    write = method.write

    def with_length(prompt: tuple[int, ...], seed: int) -> int:
        config.num_assistant_tokens = length
        return write(prompt, seed)

    return replace(method, write=with_length)


def methods(head: ModelPair, skip: ModelPair, temperature: float, tokens: int) -> list[Method]:
    """All ways at one temperature, ours and plain decoding first."""
    sampling = Sampling(temperature)
    made = [ours(PLAIN, head, "nss", "Chain(0)", sampling, tokens)]
    for verifier, policy in OF_HEAD:
        is_drawn, wide = not policy.startswith("TopK"), Sampling(temperature, draft_temperature=1.0)
        if temperature or not is_drawn or policy.startswith("Chain"):
            chosen = sampling if is_drawn else wide
            made.append(ours(f"head: {verifier}, {policy}", head, verifier, policy, chosen, tokens))
    made.append(ours("lookup: nss, NGram(3)", head, "nss", "NGram(3)", sampling, tokens))
    made.append(theirs("transformers: plain", skip, temperature, tokens))
    made.append(assisted(skip, temperature, tokens, 1))
    made.append(theirs("transformers: lookup 3", skip, temperature, tokens, prompt_lookup_num_tokens=3))
    return made


@torch.inference_mode()
def passes(pair: ModelPair, context: int = 128, rounds: int = 9) -> dict[int, float]:
    """Median milliseconds of a pass of the target over so many tokens behind a context, sizes in turn."""
    rng = np.random.default_rng(0)
    lines = {size: [rng.integers(pair.vocabulary_size, size=size).tolist()] for size in SIZES}
    model = BatchModel(pair.target, 1, context + max(SIZES) + 1)
    model.prefill(0, rng.integers(pair.vocabulary_size, size=context).tolist())
    spent: dict[int, list[float]] = {size: [] for size in SIZES}
    for turn in range(rounds + 1):
        for size, tokens in lines.items():
            span = time_pass(model, tokens, Sampling())
            if turn:
                spent[size].append(1000 * float(span[0]))
    return {size: median(values) for size, values in spent.items()}


def table(temperature: float, found: Sequence[dict[str, Any]]) -> str:
    """One temperature as text."""
    lines = [f"T = {temperature:g}",
             f"  {'method':34} {'tokens':>6} {'tokens/s':>9} {'/ plain':>8} {'(95 %)':>13} {'CPU':>6} {'a step':>7}  "
             + " ".join(f"{phase:>6}" for phase in PHASES)]  # fmt: skip
    for row in found:
        low, middle, high = row["over_first"]["seconds"]
        spent = row.get("milliseconds", {})
        lines.append(
            f"  {row['method']:34} {row['tokens']:6d} {row['tokens_per_second']:9.2f} {middle:8.2f} "
            f"({low:.2f} to {high:.2f}) {row['over_first']['cpu'][1]:6.2f} "
            + (f"{row['tokens_a_step']:7.2f}  " if spent else "")
            + " ".join(f"{spent[phase]:6.1f}" for phase in PHASES if phase in spent)
        )
    return "\n".join(lines)


def needed(temperature: float, found: Sequence[dict[str, Any]]) -> str:
    """What chains of one acceptance at every depth would need for the aim, with the step's measured times, as text."""
    rows = {row["method"]: row for row in found}
    plain = sum(rows[PLAIN]["milliseconds"].values())
    aim = AIMS.get(temperature, AIM)
    chains = {length: rows.get(f"head: block, Chain({length})") for length in (1, 2, 3)}
    told = {length: [aim * sum(row["milliseconds"].values()) / plain, row["tokens_a_step"]]
            for length, row in chains.items() if row}  # fmt: skip
    lines = [f"{of_tokens(length, wanted)} by {length} drafted ({of_tokens(length, had)} measured)"
             for length, (wanted, had) in told.items()]  # fmt: skip
    return f"T = {temperature:g}: {aim:g} times plain decoding takes an acceptance of {', '.join(lines)}"


def of_tokens(length: int, tokens: float) -> str:
    """The acceptance a with 1 + a + ... + a ** length = tokens."""
    if not 1 <= tokens <= length + 1:
        return "more than 1" if tokens > 1 else "less than 0"
    return f"{scipy.optimize.brentq(lambda a: sum(a**depth for depth in range(length + 1)) - tokens, 0, 1):.2f}"


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("tokens", 48), ("prompts", 6), ("threads", torch.get_num_threads())):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--temperatures", type=partial(numbers, kind=float), default=[0.0, 0.6, 1.0])
    parser.add_argument("--head", default="head", help="the folder of a head")
    parser.add_argument("--skip", default=LAYERS_LEFT_OUT, help="the draft of assisted generation")
    parser.add_argument("--out", type=Path, help="folder for decoding.json and decoding.txt")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    head, skip = (packed_pair(load_pair(draft=draft)) for draft in (options.head, options.skip))
    prompts = [head.encode(prompt) for prompt in prompts_of(head)[: options.prompts]]
    found: dict[float, list[dict[str, Any]]] = {}
    with PeakMemory(head.device) as peak:
        for temperature in options.temperatures:
            ways = methods(head, skip, temperature, options.tokens)
            run(ways, prompts)
            found[temperature] = compared(ways, len(prompts))
            print("\n" + table(temperature, found[temperature]), flush=True)
        costs = passes(head)
    of_passes = ", ".join(f"{size} token(s) {cost:.1f} ms" for size, cost in costs.items())
    text = [
        f"{head.target_name}, head {options.head}, {options.threads} threads, {len(prompts)} prompts in two orders, "
        f"peak memory {peak.bytes / 2**30:.2f} GiB; at the right milliseconds of a step by phase",
        *(table(temperature, rows) for temperature, rows in found.items()),
        *(needed(temperature, rows) for temperature, rows in found.items()),
        f"a pass of the target: {of_passes}",
    ]
    print("\n".join(text[-len(found) - 1 :]))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        command = shlex.join(["python", *sys.argv])
        body = {"command": command, "machine": machine(), "peak_bytes": peak.bytes, "passes_ms": costs, "speeds": found}
        (options.out / "decoding.json").write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        (options.out / "decoding.txt").write_text("\n".join([f"$ {command}", *text]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
