"""An audit of texts: every emitted token against the law that it must have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest

from .betting.greedy import MARGIN
from .course import TextCourse
from .rows_along import RowsAlong, own_rows
from .transcript import Transcript
from .verdict import TokenAudit

LEVEL = 1e-6


def audit_transcripts(
    transcripts: Iterable[Transcript],
    rows: RowsAlong | None = None,
    control: Iterable[Transcript] | None = None,
    *,
    name: str = "transcripts",
    level: float = LEVEL,
    by_place: bool = False,
    margin: float = MARGIN,
    seed: int = 0,
) -> TokenAudit:
    """Hold each token of the texts against its row; with a control run, only the difference of the two convicts.

    Parameters
    ----------
    transcripts, control : requests, read one by one; the n-th of both have one prompt
    rows : where rows come from, for both; by default they stand in the transcripts
    level : in (0, 1); a lossless decoder is called LOSSY with probability at most this (without a control: if the rows
        are the laws of its tokens)
    by_place : bet by places in the step too: valid for token-wise verifiers, not for block verification
    margin : of greedy texts, in nats

    Raises ``ValueError`` for requests without rows, for seeds that repeat, for prompts of the control that differ, and
    for greedy and sampled requests in one audit.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), but is {level}")
    course = TextCourse(rows or own_rows, level, by_place, margin, seed)
    for one, other in pairs_of(transcripts, control):
        course.add(one, other)
    return course.result(name)


def pairs_of(
    transcripts: Iterable[Transcript], control: Iterable[Transcript] | None
) -> Iterator[tuple[Transcript, Transcript | None]]:
    """Each request with its control; requests that only one run has are not judged."""
    if control is None:
        yield from ((one, None) for one in transcripts)
        return
    for number, (one, other) in enumerate(zip_longest(transcripts, control)):
        if one is None or other is None:
            return
        if one.prompt != other.prompt:
            raise ValueError(f"request {number} and its control have different prompts, but belong together")
        yield one, other
