"""A text made ready for bets: at each token the laws of target and draft over the same few columns.

Rows of real vocabularies are wide and their tails bear little: each place keeps the target's likeliest tokens and the
draft's as columns, and one more for all others together.  Which tokens these are is settled by the rows, before the
token is looked at; a law of many tokens stays a law when some of them are counted as one, so every test that is valid
for rows is valid for these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...batches.rows import Bools, Floats, Ints
from ..transcript import KnownRow, Transcript, same_tokens

OF_TARGET, OF_DRAFT = 768, 256
"""How many of the likeliest tokens of a row have a column of their own, at most."""

FLOOR = 1e-6
"""The share of a row that is spread over all its columns.

A token outside the row then is strong evidence, not an infinite one: kernels round, and the edge of a top-p set may
fall differently.  What is paid for it is :data:`FLOOR` of a nat for each token, which every bet subtracts, so that it
is valid against the row itself."""


@dataclass(frozen=True, eq=False)
class Text:
    """Tokens with their laws over columns, of which the last stands for all tokens without one.

    Fields
    ------
    target : (n, A), the law each token must have, all above 0
    draft : (n, A), the draft's law; the target's where ``drafted`` is False
    before : (n, A), the target's row of the place before, at the first place its own
    emitted : (n,), the token's column
    drafted : (n,), whether the draft's law is known there
    first, bonus : (n,), whether the token is its step's first, and whether it stands behind all its drafts; None
        where the steps are not told
    """

    target: Floats
    draft: Floats
    before: Floats
    emitted: Ints
    drafted: Bools
    first: Bools | None = None
    bonus: Bools | None = None

    def __len__(self) -> int:
        return len(self.emitted)

    def of_emitted(self, laws: Floats) -> Floats:
        """(n,) the probabilities that laws (n, A) give to the emitted tokens."""
        return laws[np.arange(len(self)), self.emitted]


def text_of(transcript: Transcript, rows: Sequence[KnownRow]) -> Text:
    """The text of a transcript with the rows along it."""
    drafts = transcript.draft_rows or (None,) * len(rows)
    columns = [_columns(row, draft) for row, draft in zip(rows, drafts, strict=True)]
    width = max((len(ids) for ids in columns), default=0)
    before = (*rows[:1], *rows[:-1])
    target = floored(_laws(rows, columns, width))
    known = np.array([draft is not None for draft in drafts], dtype=bool)
    told = [row if draft is None else draft for row, draft in zip(rows, drafts, strict=True)]
    emitted = [_column(ids, token, width) for ids, token in zip(columns, transcript.tokens, strict=True)]
    return Text(
        target,
        _laws(told, columns, width),
        _laws(before, columns, width),
        np.array(emitted, dtype=np.int64),
        known,
        None if transcript.places is None else transcript.places == 0,
        transcript.bonus,
    )


def floored(rows: Floats) -> Floats:
    """Rows (n, A) with :data:`FLOOR` of their mass spread over all columns."""
    return (1 - FLOOR) * rows + FLOOR / rows.shape[-1]


def _columns(row: KnownRow, draft: KnownRow | None) -> Ints:
    """The tokens that have a column at a place, in order."""
    likeliest = row.likeliest(OF_TARGET)
    if draft is None or same_tokens(drafted := draft.likeliest(OF_DRAFT), likeliest):
        return likeliest
    return np.unique(np.concatenate([likeliest, drafted]))


def _laws(rows: Sequence[KnownRow], columns: Sequence[Ints], width: int) -> Floats:
    """(n, width + 1), each row over its columns, zeros behind them, the rest last."""
    laws = np.zeros((len(rows), width + 1))
    for place, (row, ids) in enumerate(zip(rows, columns, strict=True)):
        masses = row.at(ids)
        laws[place, : len(ids)], laws[place, -1] = masses[:-1], masses[-1]
    return laws


def _column(ids: Ints, token: int, width: int) -> int:
    place = int(ids.searchsorted(token))
    return place if place < len(ids) and ids[place] == token else width
