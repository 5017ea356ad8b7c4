"""What the best test could do: the nats a token by which the law that is true departs from the row that is scored.

A test that knows the true law gains its divergence from the row on average at each token, and none gains more; so none
needs fewer tokens, in the mean, than ``log(1/level)`` over the mean divergence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log
from statistics import fmean

import numpy as np

from veridraft.simulate.batches.rows import Floats
from veridraft.simulate.transcripts import KnownRow, RowsAlong, Transcript, sampled_rows
from veridraft.theory.rows.distributions import total_variation


def of_settings(texts: Iterable[Transcript], rows: RowsAlong, settings: Mapping[str, float]) -> float:
    """The mean over tokens that are drawn behind settings and scored at temperature 1; the known tokens are the row."""
    known = [row.masses / row.masses.sum() for text in texts for row in rows(text)]
    return fmean(divergence(sampled_rows(row[None], settings)[0], row) for row in known)


def of_forced(texts: Iterable[Transcript], best: RowsAlong, rate: float) -> float | None:
    """The mean over the tokens, if drafts are accepted at a rate and otherwise drawn from the target's row.

    texts : with rows; those whose steps are not told, as where nothing was drafted, are passed over; None if all are
    best : rows along a text whose likeliest token is what is drafted
    """
    told = [text for text in texts if text.bonus is not None]
    return fmean(value for text in told for value in _of_forced(text, best(text), rate)) if told else None


def _of_forced(text: Transcript, best: Sequence[KnownRow], rate: float) -> list[float]:
    """Token by token; none behind all drafts of a step."""
    assert text.rows is not None and text.bonus is not None
    found = []
    for row, drafted, bonus in zip(text.rows, best, text.bonus, strict=True):
        likely = float(row.at(drafted.likeliest(1))[0])
        law = np.array([rate + (1 - rate) * likely, (1 - rate) * (1 - likely)])
        found.append(0.0 if bonus else divergence(law, np.array([likely, 1 - likely])))
    return found


def divergence(law: Floats, row: Floats) -> float:
    """Kullback and Leibler's divergence of a law from a row, in nats."""
    there = law > 0
    return float((law[there] * np.log(law[there] / row[there])).sum())


def tokens_at_least(level: float, nats: float) -> float:
    """The fewest tokens that any test needs, in the mean."""
    return log(1 / level) / nats


def mismatch(texts: Iterable[Transcript], one: RowsAlong, other: RowsAlong) -> tuple[float, float]:
    """The mean divergence and total variation of one engine's rows from another's.

    All tokens that not both rows know count as one: a known mass against a token that is not listed would be infinite.
    """
    rows = [pair for text in texts for pair in zip(one(text), other(text), strict=True)]
    known = [(np.intersect1d(mine.ids, theirs.ids), mine, theirs) for mine, theirs in rows]
    pairs = [(mine.at(ids), theirs.at(ids)) for ids, mine, theirs in known]
    return fmean(divergence(*pair) for pair in pairs), fmean(float(total_variation(*pair)) for pair in pairs)
