"""Time of a tree's pass: as it is, with rounded shapes, compiled, packed; and of attention alone, SDPA against flex.

    OMP_NUM_THREADS=1 python benchmarks/bench_passes.py [--sizes 1,4,16,64] [--context 100] [--rounds 9]
                                                      [--skip-compiled]

The embedded target, one text, passes of so many tokens of a binary tree behind a context, from tokens to logits.
``rounded`` is what shapes for CUDA graphs cost without CUDA graphs: widths of powers of two, at least 2, and seen slots
in multiples of 64.  ``packed`` are linear layers with weights laid out once.  The ways take turns; numbers are medians
over the rounds, and ratios are those of the medians.  All is CPU time on one thread, which other programs disturb less.
A compilation's time is that of the first pass with a graph of its own: for one token, and for more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from veridraft.gpu import ModelPair, compiled_pair, load_pair, packed_pair
from veridraft.gpu.decoding.passes.cache import BatchModel, extended
from veridraft.gpu.models.embedded import LAYERS_LEFT_OUT
from veridraft.gpu.trees.tree_batch import NONE

Pass = Callable[[int], Any]


def binary_tree(size: int) -> torch.Tensor:
    """(size, size) bool: who descends from whom in a binary tree."""
    parents = [NONE, *((node - 1) // 2 for node in range(1, size))]
    return torch.from_numpy(extended(np.zeros((0, 0), dtype=bool), parents))


def tree_pass(network: Any, context: int) -> Pass:
    """The pass over a tree of some size, behind random tokens; the cache is left as it was."""
    rng = torch.Generator().manual_seed(0)
    tokens = torch.randint(network.config.vocab_size, (1, context), generator=rng)
    model = BatchModel(network, 1, context + 256)
    model.prefill(0, tokens[0].tolist())
    return lambda size: model.feed(1, tokens[:, :1].expand(1, size).contiguous(), 0, binary_tree(size)[None])


def rounded(pair: ModelPair) -> Any:
    """The target with the shapes of CUDA graphs, run uncompiled."""
    target = compiled_pair(pair, "reduce-overhead").target
    target.forward.compiled = target.forward.plain
    return target


def cpu_seconds() -> float:
    """Of this process and of the compilers that it has run."""
    return sum(sum(getrusage(who)[:2]) for who in (RUSAGE_SELF, RUSAGE_CHILDREN))


def medians(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Milliseconds of each way, which take turns; the first turn is not counted."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            begin = process_time()
            way()
            if turn:
                times[name].append(1000 * (process_time() - begin))
    return {name: median(spent) for name, spent in times.items()}


def line(first: Any, cells: Sequence[Any]) -> str:
    return f"{first!s:>6}" + "".join(f"{cell:>20}" for cell in cells)


def shown(found: dict[str, float]) -> list[str]:
    """Milliseconds, and the ratio to the first way."""
    base = next(iter(found.values()))
    return [f"{time:.2f} ({time / base:.2f})" for time in found.values()]


def passes(pair: ModelPair, context: int, sizes: Sequence[int], rounds: int, with_compiled: bool) -> None:
    networks = {"as it is": pair.target, "rounded": rounded(pair), "packed": packed_pair(pair).target}
    if with_compiled:
        networks["compiled"] = compiled_pair(pair).target
    ways = {name: tree_pass(network, context) for name, network in networks.items()}
    print(f"\nA pass of the target behind {context} tokens: milliseconds (ratio to the first)")
    print(line("tokens", list(ways)))
    firsts = {}
    for size in sizes:
        begin = cpu_seconds()
        differences = [float((ways[name](size) - ways["as it is"](size)).abs().max()) for name in ways]
        firsts[size] = cpu_seconds() - begin
        assert max(differences) < 1e-3, differences
        found = medians({name: lambda way=way, size=size: way(size) for name, way in ways.items()}, rounds)
        print(line(size, shown(found)), flush=True)
        if with_compiled and firsts[size] > 5:
            gain = found["as it is"] - found["compiled"]
            said = f"{1000 * firsts[size] / gain:.0f} passes win it back" if gain > 0 else "nothing wins it back"
            print(f"       compiling took {firsts[size]:.0f} s of CPU time: {said}", flush=True)


def attention(context: int, sizes: Sequence[int], rounds: int) -> None:
    """Attention of one layer of the embedded target: 9 heads, 3 of keys and values, 64 wide."""
    flex = torch.compile(flex_attention, dynamic=True)
    print(f"\nAttention of one layer behind {context} tokens: milliseconds (ratio to the first)")
    print(line("tokens", ["SDPA", "flex, compiled", "its block mask", "largest difference"]))
    for size in sizes:
        query = torch.randn(1, 9, size, 64)
        keys, values = torch.randn(2, 1, 3, context + size, 64)
        mask = torch.cat([torch.ones(size, context, dtype=torch.bool), binary_tree(size)], dim=1)[None, None]
        allowed = lambda b, h, i, j, mask=mask: mask[b, 0, i, j]  # noqa: E731
        block = create_block_mask(allowed, 1, None, size, context + size, device="cpu")
        ways = {
            "SDPA": lambda q=query, k=keys, v=values, m=mask: torch.nn.functional.scaled_dot_product_attention(
                q, k, v, attn_mask=m, enable_gqa=True
            ),
            "flex": lambda q=query, k=keys, v=values, b=block: flex(q, k, v, block_mask=b, enable_gqa=True),
            "mask": lambda f=allowed, n=size: create_block_mask(f, 1, None, n, context + n, device="cpu"),
        }
        difference = float((ways["SDPA"]() - ways["flex"]()).abs().max())
        print(line(size, [*shown(medians(ways, rounds)), f"{difference:.0e}"]), flush=True)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1,4,16,64", help="tokens of a pass, at most 64")
    parser.add_argument("--context", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--skip-compiled", action="store_true", help="leave out what takes minutes to compile")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch._inductor.config.compile_threads = 1  # so that compilers count as children of this process
    sizes = [int(size) for size in options.sizes.split(",")]
    print(f"$ OMP_NUM_THREADS=1 python {' '.join(sys.argv)}\ntorch {torch.__version__}")
    attention(options.context, sizes, options.rounds)
    passes(load_pair(draft=LAYERS_LEFT_OUT), options.context, sizes, options.rounds, not options.skip_compiled)


if __name__ == "__main__":
    main()
