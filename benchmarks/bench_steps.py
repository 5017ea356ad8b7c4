"""Where a decoding step's time goes, and what share of it each rule's decisions take; passes as they are, or compiled.

    OMP_NUM_THREADS=1 python benchmarks/bench_steps.py [--target MODEL] [--draft head] [--device cpu] [--dtype float32]
                          [--rules NAME,NAME] [--policy "Iid(4, 3)"] [--tokens 24] [--prompts 2] [--rows 1]
                          [--mode plain] [--backend inductor] [--pack]

Each rule decodes the same prompts with one policy (a rule that does not take it has another of the same depth, as
``fitting_policy`` says), after a few tokens to warm up; numbers are means over the steps.
On a CPU they are CPU time.  On a GPU they are seconds of the wall clock in which the device is waited for behind every
phase: exact, and slower than it decodes otherwise.  ``--mode`` compiles the passes of both networks (a mode of
torch.compile, such as ``reduce-overhead``; a head cannot be compiled) and says whether the texts are those of plain
passes: rounding can move a draw.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from bench_verification import SMALL

from veridraft.gpu import BatchDecoder, ModelPair, Request, compiled_pair, packed_pair
from veridraft.gpu.decoding.passes.stopwatch import Stopwatch
from veridraft.gpu.models.prompts import prompts_of
from veridraft.gpu.models.random_models import load_timing_pair
from veridraft.theory.policies.arguments import parse_policy
from veridraft.theory.policies.base import Policy
from veridraft.theory.verifiers.fitting import fitting_policy
from veridraft.theory.verifiers.table import VERIFIERS

PHASES = ("draft", "target", "verify", "commit")


def decoded(pair: ModelPair, name: str, policy: Policy, requests: Sequence[Request], rows: int) -> tuple[list, list]:
    """Milliseconds of a step by phase, and the texts."""
    decoder = BatchDecoder(pair, name, policy, rows=rows)
    decoder.decode([Request(one.prompt[:-1], 6, one.seed) for one in requests])  # other rows: some are remembered
    decoder.stopwatch = decoder.finite.stopwatch = Stopwatch(pair.device, waits=True)
    before = decoder.steps
    texts = [written.tokens for written in decoder.decode(requests)]
    clock = 1 if pair.device.type == "cpu" else 0
    spans = decoder.stopwatch.spans
    return [1000 * spans[phase][clock] / (decoder.steps - before) for phase in PHASES], texts


def report(
    pairs: dict[str, ModelPair], rules: Sequence[str], asked: Policy, requests: Sequence[Request], rows: int
) -> None:
    """A line for each rule and way of making passes."""
    print(f"{'rule':22} {'policy':16} {'passes':16}" + "".join(f"{phase:>9}" for phase in PHASES) + "    share  texts")
    for name in rules:
        policy, first = fitting_policy(name, asked), None
        for way, pair in pairs.items():
            spent, texts = decoded(pair, name, policy, requests, rows)
            first = texts if first is None else first
            equal = sum(one == other for one, other in zip(texts, first, strict=True))
            numbers = "".join(f"{value:9.2f}" for value in spent)
            share = f"{100 * spent[2] / sum(spent):8.1f}%  {equal} of {len(texts)}"
            print(f"{name:22} {policy.name:16} {way:16}{numbers} {share}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", help="a folder, a GGUF file, a name or random:SHAPE; by default the embedded one")
    parser.add_argument("--draft", default="head")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rules", default=",".join(name for name in VERIFIERS if name not in SMALL))
    parser.add_argument("--policy", default="Iid(4, 3)")
    for name, value in (("tokens", 24), ("prompts", 2), ("rows", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--mode", default="plain", help="plain, or a mode of torch.compile")
    parser.add_argument("--backend", default="inductor", help="of torch.compile")
    parser.add_argument("--pack", action="store_true", help="packed linear layers, for float32 on a CPU")
    options = parser.parse_args()
    pair = load_timing_pair(options.target, options.draft, options.device, options.dtype)
    pair = packed_pair(pair) if options.pack else pair
    pairs = {"plain": pair}
    if options.mode != "plain":
        pairs[options.mode] = compiled_pair(pair, options.mode, options.backend)
    requests = [
        Request(tuple(prompt), options.tokens, seed) for seed, prompt in enumerate(prompts_of(pair)[: options.prompts])
    ]
    clock = "CPU time" if options.device == "cpu" else "wall clock, waiting behind every phase"
    print(f"{pair.target_name}, draft {pair.draft_name}, {options.device} {options.dtype}, torch {torch.__version__}")
    print(f"{torch.get_num_threads()} threads, {options.rows} rows; milliseconds of a step ({clock})")
    report(pairs, options.rules.split(","), parse_policy(options.policy), requests, options.rows)


if __name__ == "__main__":
    main()
