"""Where the rows along a text come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .transcript import KnownRow, Transcript

RowsAlong = Callable[[Transcript], Sequence[KnownRow]]
"""From a transcript to the law of each of its tokens, behind its sampling settings (the model's own if greedy)."""


def own_rows(transcript: Transcript) -> Sequence[KnownRow]:
    """The rows that stand in the transcript itself."""
    if transcript.rows is None:
        raise ValueError("rows are missing: they stand in the transcript, or come from a model or a server")
    return transcript.rows
