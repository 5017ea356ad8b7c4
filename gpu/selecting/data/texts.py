"""Texts of a target along which roots stand: written by plain decoding, those for evaluation begun by other prompts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from ...decoding.batch import BatchDecoder
from ...decoding.requests import Request
from ...distilling.heads.openings import Openings
from ...files.whole import write_json
from ...models.pairs import ModelPair
from ..plan import HELD_OUT, RootPlan

RANDOM_TOKENS = 8
"""The length of the prompts of a pair without a tokenizer."""


@dataclass(frozen=True)
class Text:
    """Tokens, of which the first ``prompt`` were put, and the number of the sampling that drew the others."""

    tokens: tuple[int, ...]
    prompt: int
    sampling: int

    def roots(self, plan: RootPlan) -> list[int]:
        """The places of the roots: the prompt's last token, and others at even distances."""
        return list(range(self.prompt - 1, len(self.tokens), plan.spacing))[: plan.roots]


def draw_texts(
    pair: ModelPair, plan: RootPlan, folder: Path, told: Callable[[str, int, int, str], None]
) -> dict[str, tuple[Text, ...]]:
    """Texts to learn from and held-out ones, each kind with every sampling in turn; those that a folder has are read.

    A file holds the texts of one kind and sampling, written whole.
    """
    found: dict[str, list[list[Text]]] = {}
    parts = [(kind, number) for kind in plan.kinds for number in range(len(plan.samplings))]
    for done, (kind, number) in enumerate(parts, start=1):
        place = folder / f"texts-{kind}-{number}.json"
        if not place.exists():
            _write(place, _drawn(pair, plan, kind, number))
        held = json.loads(place.read_text(encoding="utf-8"))
        found.setdefault(kind, []).append([Text(tuple(one["tokens"]), one["prompt"], number) for one in held])
        told("texts", done, len(parts), f"{kind}, {plan.samplings[number]}")
    return {kind: tuple(_in_turn(groups)) for kind, groups in found.items()}


def _in_turn(groups: list[list[Text]]) -> list[Text]:
    """The texts of all samplings, one of each in turn."""
    return [group[place] for place in range(max(map(len, groups))) for group in groups if place < len(group)]


def _write(place: Path, texts: list[Text]) -> None:
    records: list[dict[str, Any]] = [{"prompt": text.prompt, "tokens": list(text.tokens)} for text in texts]
    write_json(place, records)


def _drawn(pair: ModelPair, plan: RootPlan, kind: str, number: int) -> list[Text]:
    """The texts of one kind and sampling, decoded together."""
    rng = np.random.default_rng([plan.seed, crc32(kind.encode()), number])
    count = len(range(number, plan.counts[kind], len(plan.samplings)))
    prompts = [prompt_of(pair, kind == HELD_OUT, rng) for _ in range(count)]
    decoder = BatchDecoder(pair, "nss", "Chain(0)", plan.samplings[number], rows=plan.together)
    length = plan.spacing * (plan.roots - 1) + 1
    seeds = rng.integers(2**31, size=count).tolist()
    written = decoder.decode([Request(*one) for one in zip(prompts, [length] * count, seeds, strict=True)])
    return [Text((*prompt, *text.tokens), len(prompt), number) for prompt, text in zip(prompts, written, strict=True)]


def prompt_of(pair: ModelPair, held_out: bool, rng: np.random.Generator) -> tuple[int, ...]:
    """What a text begins with; random tokens for a pair without a tokenizer."""
    if pair.tokenizer is not None:
        return Openings(pair, held_out).first(rng)
    return tuple(rng.integers(pair.vocabulary_size, size=RANDOM_TOKENS).tolist())
