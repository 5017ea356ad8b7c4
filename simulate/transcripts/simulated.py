"""Transcripts of a decoder of one's own: a verifier in the form ``chain`` or ``generate``, in rounds, along a pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ..batches.rows import Floats, Ints, draw
from ..defects.kinds import Batched
from .transcript import KnownRow, Transcript


class Rows(Protocol):
    """Where rows come from: a pair of the theory, or what has these two methods."""

    def target_row(self, context: tuple[int, ...]) -> Floats:
        """The target's law (V,) behind a context."""

    def draft_row(self, context: tuple[int, ...]) -> Floats:
        """The draft's law (V,) behind a context."""


def chain_transcript(
    verifier: Batched, rows: Rows, prompt: tuple[int, ...], tokens: int, drafts: int, rng: np.random.Generator
) -> Transcript:
    """One request of ``tokens`` tokens, verified in rounds of ``drafts`` drafts by a batched verifier of chains."""

    def answer(context: tuple[int, ...]) -> object:
        target, draft, block = _round(rows, context, drafts, rng)
        return verifier(target[None], draft[None], block[None], rng)

    return _in_rounds(answer, rows, prompt, tokens, drafts)


def loop_transcript(
    build: Batched, rows: Rows, prompt: tuple[int, ...], tokens: int, drafts: int, rng: np.random.Generator
) -> Transcript:
    """One request of a loop that drafts for itself: ``build(rows, drafts, context)`` gives a round behind a context."""
    return _in_rounds(lambda context: build(rows, drafts, context)(rng, 1), rows, prompt, tokens, drafts)


def _in_rounds(
    answer: Callable[[tuple[int, ...]], object], rows: Rows, prompt: tuple[int, ...], tokens: int, drafts: int
) -> Transcript:
    """One request of ``tokens`` tokens, round by round; ``answer(context)`` is a batched answer for one trial."""
    text: list[int] = []
    accepted: list[int] = []
    while len(text) < tokens:
        emitted = _block(answer((*prompt, *text)))
        text += emitted
        accepted.append(len(emitted) - 1)
    return with_rows(rows, prompt, text[:tokens], accepted, drafts)


def plain_transcript(rows: Rows, prompt: tuple[int, ...], tokens: int, rng: np.random.Generator) -> Transcript:
    """One request drawn token by token from the target's rows."""
    text: list[int] = []
    for _ in range(tokens):
        text.append(int(draw(rows.target_row((*prompt, *text))[None], rng)[0]))
    return with_rows(rows, prompt, text, None, 0)


def with_rows(
    rows: Rows, prompt: tuple[int, ...], text: list[int], accepted: list[int] | None, drafts: int
) -> Transcript:
    """The transcript with all rows along it; a last step that was cut tells its whole length."""
    contexts = [(*prompt, *text[:place]) for place in range(len(text))]
    return Transcript(
        prompt, tuple(text), {}, None,
        None if accepted is None else tuple(accepted),
        None if accepted is None else (drafts,) * len(accepted),
        tuple(KnownRow.of_row(np.asarray(rows.target_row(context))) for context in contexts),
        tuple(KnownRow.of_row(np.asarray(rows.draft_row(context))) for context in contexts),
    )  # fmt: skip


def _round(
    rows: Rows, context: tuple[int, ...], drafts: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Ints]:
    """Target (L + 1, V) and draft (L, V) along drafted tokens (L,)."""
    block: list[int] = []
    draft: list[Floats] = []
    for _ in range(drafts):
        draft.append(np.asarray(rows.draft_row((*context, *block))))
        block.append(int(draw(draft[-1][None], rng)[0]))
    target = [np.asarray(rows.target_row((*context, *block[:depth]))) for depth in range(drafts + 1)]
    return np.stack(target), np.stack(draft), np.array(block, dtype=np.int64)


def _block(answer: object) -> list[int]:
    """The emitted tokens of a batched verifier's answer for one trial."""
    emitted = np.asarray(getattr(answer, "tokens", answer))[0]
    return [int(token) for token in emitted if token >= 0]
