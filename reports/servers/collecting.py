"""Texts and rows from servers, kept request by request in a file that a later run goes on with."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from veridraft.gpu.files.cell_file import CellFile
from veridraft.simulate.auditing.verdict import Verdict
from veridraft.simulate.transcripts import KnownRow, RowsAlong, TextCourse, Transcript

from .base import Drafts, Server
from .beside import ALONE, Beside
from .http import ServerError


@dataclass
class TextsFile(CellFile):
    """The finished requests of an audit: each its number, the audited text, and the control's if there is one."""

    kind: ClassVar[str] = "veridraft texts"
    name: ClassVar[str] = "texts.jsonl"
    what: ClassVar[str] = "run of texts"
    fields: ClassVar[tuple[str, ...]] = ("request",)
    grows: ClassVar[str] = "requests"

    @property
    def drafts(self) -> Drafts | None:
        """How many tokens the audited server drafted for all texts, and accepted; None if it did not say."""
        told = [cell["drafts"] for cell in self.cells if cell["drafts"]]
        return (sum(drawn for drawn, _ in told), sum(kept for _, kept in told)) if told else None


@dataclass(frozen=True)
class Collector:
    """Asks for the texts of an audit.

    audited, control : the servers; no control if None
    rows : along a transcript
    prompts : by turns
    tokens : of a text, at most
    settings : temperature, top_k, top_p, min_p
    seed : of the first request; every text of a run has another
    steps : whether to ask for the steps of the texts too
    beside : the requests that the audited server answers at the same time
    draft_rows : the draft's rows along a transcript; None if they are not known
    """

    audited: Server
    control: Server | None
    rows: RowsAlong
    prompts: Sequence[tuple[int, ...]]
    tokens: int
    settings: Mapping[str, float]
    seed: int
    steps: bool = False
    beside: Beside = ALONE
    draft_rows: RowsAlong | None = None

    def cell(self, request: int) -> dict[str, Any]:
        """What the file keeps of a request."""
        with self.beside.running(self.audited, request, self.tokens, self.settings):
            audited, drafts = self._text(self.audited, request, 2 * request)
        control = self._text(self.control, request, 2 * request + 1)[0].to_json() if self.control else None
        return {"request": request, "audited": audited.to_json(), "control": control, "drafts": drafts}

    def _text(self, server: Server, request: int, number: int) -> tuple[Transcript, Drafts | None]:
        prompt = self.prompts[request % len(self.prompts)]
        seed = self.seed + number
        answer = server.write(prompt, self.tokens, self.settings, seed, self.steps)
        if not answer.ended and len(answer.tokens) < self.tokens:
            raise ServerError(
                f"{server.http.address} emitted {len(answer.tokens)} tokens of {self.tokens} and did not end the text"
            )
        told = Transcript(prompt, answer.tokens, dict(self.settings), seed, *answer.steps)
        drafted = self.draft_rows and tuple(self.draft_rows(told))
        return replace(told, rows=tuple(self.rows(told)), draft_rows=drafted), answer.drafts


@dataclass(frozen=True)
class ServerRows:
    """Rows along a transcript from a server, the ``known`` likeliest tokens of each."""

    server: Server
    known: int

    def __call__(self, transcript: Transcript) -> Sequence[KnownRow]:
        """One row for each token."""
        return self.server.rows(transcript.prompt, transcript.tokens, transcript.sampling, self.known)


def judged(
    collector: Collector, file: TextsFile, course: TextCourse, seconds: float | None = None
) -> Iterator[int]:
    """Judge what is kept, then each request as it is answered, until the verdict is lossy or about so many seconds.

    The numbers of the requests that are answered, as each is judged; :class:`~.http.ServerError` leaves all kept.
    """
    for cell in file.cells:
        course.add(*texts_of(cell))
    started = time.monotonic()
    for (number,) in file.missing:
        out_of_time = seconds is not None and time.monotonic() - started > seconds
        if course.verdict is Verdict.LOSSY or out_of_time:
            return
        cell = collector.cell(number)
        file.add(cell)
        course.add(*texts_of(cell))
        yield number


def texts_of(cell: Mapping[str, Any]) -> tuple[Transcript, Transcript | None]:
    """A finished request and its control."""
    control = cell["control"]
    return Transcript.of_json(cell["audited"]), None if control is None else Transcript.of_json(control)
