"""Transcripts in a file: one request in each line, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from .transcript import Transcript


def read_transcripts(path: str | Path) -> Iterator[Transcript]:
    """The requests of a file, one by one; ``ValueError`` names file and line.  Empty lines are passed over.

    A last line that is cut, as when a writer was killed, is told from a wrong one: its error says so.
    """
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _parsed(path, number, line)


def _parsed(path: str | Path, number: int, line: str) -> Transcript:
    try:
        return Transcript.of_json(json.loads(line))
    except json.JSONDecodeError as error:
        cut = "" if line.endswith("\n") else "; the line has no end: its writer was stopped, drop it"
        raise ValueError(f"{path}, line {number}: no JSON ({error.msg}, column {error.colno}){cut}") from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}, line {number}: {error}") from None


class TranscriptWriter:
    """Adds requests to the end of a file as they come; each is there when :meth:`write` returns, whatever happens then.

    path : the file; it is made if it is not there
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def write(self, transcript: Transcript) -> None:
        """Add one request."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(transcript.to_json()) + "\n")
