"""Time of drafting a tree that no skeleton foretells: rows asked for one by one, and a level at a time.

    OMP_NUM_THREADS=1 python benchmarks/bench_drafting.py [--rounds 3] [--embedded]

Both ways draft the same trees at the same roots, in alternating order, from the draft's row at the root to the
finished tree.  One by one is a pass for each row, of those alone that finding the tree node after node comes to; by
level is one pass for all that a level may need, hence more rows in fewer passes.  Numbers are medians over roots and
rounds; times are CPU time on one thread, which other programs disturb less; the ratio is that of the medians.  The
small network has random weights and rows as peaked as a language model's; ``--embedded`` adds the embedded draft.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import process_time
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import transformers

from veridraft.gpu import load_pair
from veridraft.gpu.decoding.drafting.draft_pair import LivePair
from veridraft.gpu.decoding.passes.cache import BatchModel, RowFeed
from veridraft.gpu.models.embedded import LAYERS_LEFT_OUT
from veridraft.gpu.models.prompts import PROMPTS
from veridraft.gpu.trees.sampling import Sampling
from veridraft.gpu.trees.tensor_tree import TensorTree
from veridraft.theory import Context, Policy
from veridraft.theory.policies import best_first
from veridraft.theory.policies.best_first import CaDDTree, OptTree, TopK
from veridraft.theory.policies.dyspec import DySpec
from veridraft.theory.policies.most_probable import LevelSearch, Nodes, by_product
from veridraft.theory.rows.distributions import Row

POLICIES = (
    TopK(10, 5, 60),
    OptTree(60, 0, 5),
    CaDDTree(4, {0: 1.0, 32: 1.2, 64: 2.0}, 5),
    DySpec(threshold=0.02, depth=5),
    DySpec(60, depth=5),
)


class RowByRow(LivePair):
    """A pair that makes a pass for every row."""

    def draft_rows(self, contexts: Sequence[Context]) -> list[Row]:
        return [super(RowByRow, self).draft_rows([context])[0] for context in contexts]


class NodeByNode(LevelSearch):
    """A search that asks for a row when it comes to its node."""

    def find(self, choose: Callable[[Nodes], Any], depth: int) -> Any:
        return choose(by_product(self._pair, self._context, depth))


class Passes:
    """A network fed a tree behind its context, whose passes and tokens are counted."""

    def __init__(self, cached: BatchModel) -> None:
        self.row, self.passes, self.rows = RowFeed(cached, 0), 0, 0

    def feed(self, tokens: Sequence[int], parents: Sequence[int]) -> torch.Tensor:
        self.passes, self.rows = self.passes + 1, self.rows + len(tokens)
        return self.row.feed(tokens, parents)


@dataclass
class Found:
    """What drafting one policy's trees one way took, a number for each tree."""

    milliseconds: list[float] = field(default_factory=list)
    passes: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)

    @property
    def cells(self) -> str:
        """The medians, as they stand in the table."""
        return f"{median(self.passes):7.0f} {median(self.rows):7.0f} {median(self.milliseconds):7.1f}"


def draft(
    cached: BatchModel, root_row: torch.Tensor, policy: Policy, seed: int, found: Found, kind: type[LivePair] = LivePair
) -> TensorTree:
    """One tree at the committed context, which is left as it was."""
    counted = Passes(cached)
    begin = process_time()
    live = kind(counted, root_row, Sampling().rows)
    tree, _ = live.on_device(policy.sample(live, np.random.default_rng(seed)))
    found.milliseconds.append(1000 * (process_time() - begin))
    found.passes.append(counted.passes)
    found.rows.append(counted.rows)
    found.nodes.append(tree.size - 1)
    return tree


def draft_one_by_one(*arguments: Any) -> TensorTree:
    """The same with a pass for each row."""
    with patch.object(best_first, "LevelSearch", NodeByNode):
        return draft(*arguments, RowByRow)


@torch.inference_mode()
def compare(model: Any, prompts: Sequence[Sequence[int]], policy: Policy, rounds: int) -> tuple[Found, Found]:
    """One by one, and by level."""
    ways, found = (draft_one_by_one, draft), (Found(), Found())
    for seed, prompt in enumerate(prompts):
        cached = BatchModel(model, 1, len(prompt) + 128)
        root_row = Sampling().rows(cached.append(1, [prompt]))[0]
        for number in range(rounds):
            trees = {}
            for way in (0, 1) if (seed + number) % 2 else (1, 0):
                trees[way] = ways[way](cached, root_row, policy, seed, found[way])
            if trees[0].tokens != trees[1].tokens:
                print(f"  {policy.name}: rounding parted the trees at prompt {seed}")
    return found


def small_model() -> Any:
    config = transformers.LlamaConfig(
        vocab_size=4096,
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        initializer_range=0.12,
        attn_implementation="sdpa",
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.lm_head.weight *= 2.5
    return model


def table(name: str, model: Any, prompts: Sequence[Sequence[int]], rounds: int) -> None:
    parameters = sum(weights.numel() for weights in model.parameters()) / 1e6
    print(f"\n{name}, {parameters:.0f} M parameters, {len(prompts)} roots, {rounds} rounds")
    print(f"{'':49} {'one by one':^23} {'by level':^23}")
    columns = ("passes", "rows", "ms") * 2
    print(f"{'policy':43} {'nodes':>5} " + " ".join(f"{column:>7}" for column in columns) + f" {'ratio':>6}")
    for policy in POLICIES:
        before, after = compare(model, prompts, policy, rounds)
        cells = " ".join(way.cells for way in (before, after))
        ratio = median(before.milliseconds) / median(after.milliseconds)
        print(f"{policy.name:43} {median(after.nodes):5.0f} {cells} {ratio:6.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=3)
    parser.add_argument("--embedded", action="store_true", help="the embedded pair's draft too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    prompts = np.random.default_rng(0).integers(4096, size=(options.prompts, 64)).tolist()
    table("random Llama", small_model(), prompts, options.rounds)
    if options.embedded:
        pair = load_pair(draft=LAYERS_LEFT_OUT)
        texts = [pair.encode(prompt) for prompt in PROMPTS[: options.prompts]]
        table(f"{pair.target_name}, draft {pair.draft_name}", pair.draft, texts, options.rounds)


if __name__ == "__main__":
    main()
