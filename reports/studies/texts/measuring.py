"""One cell: the tokens that an audit needed in each of four ways, or how often it was wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import log
from types import MappingProxyType
from typing import Any

import numpy as np

from veridraft.simulate.auditing.verdict import Verdict
from veridraft.simulate.transcripts import KnownRow, Transcript
from veridraft.simulate.transcripts.course import TextCourse
from veridraft.simulate.transcripts.rows_along import own_rows
from veridraft.theory.rows.distributions import apply_temperature

from .decoders import BROKEN, RIGHT, TOKENS, Decoder, plain

LEVEL, MOST = 1e-6, 10_000
"""Of an audit of a defect; the tokens that it may have."""

ALARM_LEVEL, PIECE, SHORT = 0.01, 100, 4
"""Of the audits of what is right; audits in a cell, texts in an audit."""

MISMATCH = 1.075
"""The temperature of the rows that a mismatched audit is given: 0.0046 nats and total variation 0.039 a row."""


def rows_alone(text: Transcript) -> Transcript:
    """A text with the target's rows and nothing else."""
    return replace(text, accepted=None, drafted=None, draft_rows=None)


def with_drafts(text: Transcript) -> Transcript:
    """A text with the draft's rows too."""
    return replace(text, accepted=None, drafted=None)


def with_steps(text: Transcript) -> Transcript:
    """A text with steps and the draft's rows."""
    return text


WAYS: Mapping[str, Callable[[Transcript], Transcript]] = MappingProxyType(
    {"rows": rows_alone, "draft rows": with_drafts, "steps": with_steps, "control": with_drafts}
)
"""What an audit is told: the target's rows, the draft's too, the steps too, and a control run in place of the steps."""


def power(name: str, seed: int) -> dict[str, Any]:
    """Tokens until each way convicts; None where it did not within :data:`MOST`."""
    return {"needed": {way: needed(BROKEN[name], way, seed) for way in WAYS}}


def needed(decoder: Decoder, way: str, seed: int) -> int | None:
    """The tokens of the audited run when the verdict stood."""
    course = course_of(way, LEVEL, seed)
    for one, other in requests(decoder, way, seed, MOST // TOKENS):
        course.add(one, other)
        if course.verdict is Verdict.LOSSY:
            return course.own.tokens
    return None


def course_of(way: str, level: float, seed: int) -> TextCourse:
    """An audit that is told so much."""
    return TextCourse(own_rows, level, way == "steps", 0.1, seed)


def requests(decoder: Decoder, way: str, seed: int, count: int) -> Iterator[tuple[Transcript, Transcript | None]]:
    """Texts by turns behind every token, each with a control where the way has one."""
    rng, other = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])
    for number in range(count):
        prompt = (number % decoder.pair.vocabulary_size,)
        control = with_drafts(plain(decoder.pair).write(prompt, other)) if way == "control" else None
        yield WAYS[way](decoder.write(prompt, rng)), control


def alarms(name: str, first: int) -> dict[str, Any]:
    """How many audits of what is right were wrong; with a mismatch of rows beside a control too."""
    ways = ("steps", "control") if name == "token-wise" else ("draft rows",)
    return {"audits": PIECE, "alarms": {way: _alarms(name, way, first) for way in ways}}


def _alarms(name: str, way: str, first: int) -> int:
    return sum(_is_alarmed(name, way, number) for number in range(first, first + PIECE))


def _is_alarmed(name: str, way: str, number: int) -> bool:
    course = course_of(way, ALARM_LEVEL, number)
    for one, other in requests(RIGHT[name], way, number, SHORT):
        course.add(*((one, other) if other is None else (mismatched(one), mismatched(other))))
    if way != "control":
        return course.own.most >= -log(ALARM_LEVEL)
    return course.verdict is Verdict.LOSSY


def mismatched(text: Transcript) -> Transcript:
    """A text whose target's rows are those of an engine that is somewhat flatter."""
    assert text.rows is not None
    return replace(text, rows=tuple(_flatter(row) for row in text.rows))


def _flatter(row: KnownRow) -> KnownRow:
    return KnownRow(row.ids, apply_temperature(row.masses, MISMATCH))
