"""Trees of every shape at the roots of a real pair's texts, and how long a block each verifier emits of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any
from zlib import crc32

import numpy as np
import torch

from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.drafting.known import TextStates
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.models.pairs import ModelPair
from veridraft.gpu.selecting.data.roots import RootWalk
from veridraft.gpu.selecting.data.texts import Text, prompt_of
from veridraft.gpu.trees.sampling import Sampling
from veridraft.theory.policies.base import Policy
from veridraft.theory.rows.distributions import Row
from veridraft.theory.rows.trees import DraftTree
from veridraft.theory.search.shapes import rank_rates
from veridraft.theory.search.sources import TreeSource
from veridraft.theory.verifiers.table import get_verifier

from ..shapes.trees import LAYERS, VERIFIERS, WIDTH, shapes_at
from .plan import RealShapePlan


@dataclass(frozen=True, eq=False)
class TextTrees(TreeSource):
    """Trees at the roots of one text after the other; texts to measure rates on have no subject of the others."""

    pair: ModelPair
    plan: RealShapePlan
    sampling: Sampling
    held_out: bool

    def trees(self, policy: Policy, count: int, seed: int, first: int = 0) -> list[DraftTree]:
        """Tree i stands at root i, and has a generator of its own."""
        places = islice(self._roots(), first, first + count)
        return [walk.tree(policy, np.random.default_rng([seed, place])) for place, walk in enumerate(places, first)]

    def _roots(self) -> Iterator[RootWalk]:
        for number in count():
            yield from self.roots_of(number)

    def roots_of(self, number: int) -> Iterator[RootWalk]:
        """Both networks at each root of a text; the same walk comes back, gone on to the next."""
        text = self.text(number)
        room = 4 * (self.plan.budget + WIDTH * LAYERS)
        walk = RootWalk(self.pair, text.tokens, TextStates.of(self.pair, text.tokens), self.sampling, room)
        for root in range(text.prompt - 1, len(text.tokens), self.plan.spacing):
            walk.go_to(root)
            yield walk

    def text(self, number: int) -> Text:
        """A text of the target alone; it may end before its last root."""
        words = repr((self.sampling.temperature, self.sampling.draft_temperature, self.held_out, number))
        rng = np.random.default_rng([self.plan.seed, crc32(words.encode())])
        prompt = prompt_of(self.pair, self.held_out, rng)
        decoder = BatchDecoder(self.pair, "nss", "Chain(0)", self.sampling, rows=1)
        written = decoder.decode([Request(prompt, self.plan.tokens, int(rng.integers(2**31)))])[0]
        return Text((*prompt, *written.tokens), len(prompt), 0)


@torch.inference_mode()
def rates_of(pair: ModelPair, plan: RealShapePlan, target: float, draft: float) -> list[float]:
    """How often the first, second, ... of siblings is accepted by RRSw at roots of texts that nothing else looks at."""
    source = TextTrees(pair, plan, Sampling(target, draft_temperature=draft), held_out=False)
    found: list[float] = rank_rates(source, WIDTH, plan.seed, "rrsw").tolist()
    return found


@torch.inference_mode()
def values_of(
    pair: ModelPair, plan: RealShapePlan, rates: Row, target: float, draft: float, text: int
) -> dict[str, Any]:
    """Sums over a text's roots: by shape and verifier E[tau + 1] given a tree, by shape nodes below the root."""
    source = TextTrees(pair, plan, Sampling(target, draft_temperature=draft), held_out=True)
    shapes = shapes_at(rates, plan.budget)
    values, nodes, roots = {name: dict.fromkeys(VERIFIERS[name], 0.0) for name in shapes}, dict.fromkeys(shapes, 0), 0
    for roots, walk in enumerate(source.roots_of(text), start=1):
        for number, (name, policy) in enumerate(shapes.items()):
            tree = walk.tree(policy, np.random.default_rng([plan.seed, text, roots, number]))
            nodes[name] += tree.size - 1
            for verifier in values[name]:
                values[name][verifier] += float(get_verifier(verifier).law(tree).block_efficiency)
    return {"roots": roots, "values": values, "nodes": nodes}
