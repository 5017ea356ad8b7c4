"""The decoders whose texts are audited: known defects of chains and of loops, other settings, and what is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from veridraft.simulate.defects.correct.token_wise import TokenWise
from veridraft.simulate.defects.table import DEFECTS
from veridraft.simulate.forms.form import Form
from veridraft.simulate.procedures.block_verification import block
from veridraft.simulate.transcripts import Transcript
from veridraft.simulate.transcripts.simulated import chain_transcript, loop_transcript, plain_transcript, with_rows
from veridraft.theory.pairs.base import MarkovPair

VOCABULARY, DRAFTS, TOKENS = 32, 3, 32
"""Tokens, drafts in a step, tokens of a text."""

LOOP_VOCABULARY = 8
"""Tokens of loops, which tabulate all strings of a step."""


@dataclass(frozen=True)
class Decoder:
    """Texts along a pair, drawn by ``write(prompt, rng)``."""

    pair: MarkovPair
    write: Callable[[tuple[int, ...], np.random.Generator], Transcript]


@cache
def pair(vocabulary_size: int = VOCABULARY) -> MarkovPair:
    """A target of entropy about 1.9 nats, and a draft that is flatter and off by as much again."""
    rng = np.random.default_rng(2024)
    target = 1.8 * rng.normal(size=(vocabulary_size, vocabulary_size))
    draft = 0.7 * target + rng.normal(size=target.shape)
    return MarkovPair.from_logits(target, draft)


def chains(verifier: Callable[..., object]) -> Decoder:
    """Texts of a batched verifier of chains."""
    rows = pair()
    return Decoder(rows, lambda prompt, rng: chain_transcript(verifier, rows, prompt, TOKENS, DRAFTS, rng))


def loops(build: Callable[..., Any]) -> Decoder:
    """Texts of a loop that drafts for itself, built once behind every token: the pair looks no further back."""
    rows = pair(LOOP_VOCABULARY)
    built = cache(lambda last: build(rows, DRAFTS, (last,)))
    return Decoder(
        rows,
        lambda prompt, rng: loop_transcript(lambda _, __, text: built(text[-1]), rows, prompt, TOKENS, DRAFTS, rng),
    )


def set_otherwise(temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0) -> Decoder:
    """Texts drawn under other settings than the rows'."""
    rows = pair()
    otherwise = rows.transformed(temperature, top_k, top_p)

    def write(prompt: tuple[int, ...], rng: np.random.Generator) -> Transcript:
        return with_rows(rows, prompt, list(plain_transcript(otherwise, prompt, TOKENS, rng).tokens), None, 0)

    return Decoder(rows, write)


def plain(rows: MarkovPair) -> Decoder:
    """Texts drawn token by token."""
    return Decoder(rows, lambda prompt, rng: plain_transcript(rows, prompt, TOKENS, rng))


SETTINGS: Mapping[str, Decoder] = MappingProxyType(
    {
        "temperature 0.9 scored as 1": set_otherwise(temperature=0.9),
        "temperature 0.98 scored as 1": set_otherwise(temperature=0.98),
        "temperature 1.1 scored as 1": set_otherwise(temperature=1.1),
        "top-p 0.95 scored as 1": set_otherwise(top_p=0.95),
        "top-p 0.99 scored as 1": set_otherwise(top_p=0.99),
        "top-k 8 scored as all": set_otherwise(top_k=8),
    }
)

BROKEN: Mapping[str, Decoder] = MappingProxyType(
    dict(SETTINGS)
    | {name: chains(defect.broken) for name, defect in DEFECTS.items() if defect.form is Form.CHAIN}
    | {name: loops(defect.broken) for name, defect in DEFECTS.items() if defect.form is Form.GENERATE}
)
"""Decoders at fault: settings, chains, loops.  Defects of several paths and of trees are for audits of functions."""

RIGHT: Mapping[str, Decoder] = MappingProxyType(
    {
        "token-wise": chains(TokenWise()),
        "block": chains(lambda target, draft, tokens, rng: block(
            target[:, None], draft[:, None], tokens[:, None], rng)),
        "no speculation": plain(pair()),
    }
)  # fmt: skip
"""Decoders that are right."""
