"""Texts and rows from servers, kept request by request in a file that a later run goes on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from veridraft.gpu.files.cell_file import CellFile
from veridraft.simulate.transcripts import KnownRow, RowsAlong, Transcript

from .clients.base import Server
from .clients.http import ServerError


@dataclass
class TextsFile(CellFile):
    """The finished requests of an audit: each its number, the audited text, and the control's if there is one."""

    kind: ClassVar[str] = "veridraft texts"
    name: ClassVar[str] = "texts.jsonl"
    what: ClassVar[str] = "run of texts"
    fields: ClassVar[tuple[str, ...]] = ("request",)
    grows: ClassVar[str] = "requests"


@dataclass(frozen=True)
class Collector:
    """Asks for the texts of an audit.

    audited, control : the servers; no control if None
    rows : along a transcript
    prompts : by turns
    tokens : of a text, at most
    settings : temperature, top_k, top_p, min_p
    seed : of the first request; every text of a run has another
    """

    audited: Server
    control: Server | None
    rows: RowsAlong
    prompts: Sequence[tuple[int, ...]]
    tokens: int
    settings: Mapping[str, float]
    seed: int

    def cell(self, request: int) -> dict[str, Any]:
        """What the file keeps of a request."""
        audited = self._text(self.audited, request, 2 * request)
        control = self.control and self._text(self.control, request, 2 * request + 1)
        return {"audited": audited.to_json(), "control": control and control.to_json()}

    def _text(self, server: Server, request: int, number: int) -> Transcript:
        prompt = self.prompts[request % len(self.prompts)]
        seed = self.seed + number
        answer = server.write(prompt, self.tokens, self.settings, seed)
        if not answer.ended and len(answer.tokens) < self.tokens:
            raise ServerError(
                f"{server.http.address} emitted {len(answer.tokens)} tokens of {self.tokens} and did not end the text"
            )
        told = Transcript(prompt, answer.tokens, dict(self.settings), seed, answer.accepted, answer.drafted)
        return replace(told, rows=tuple(self.rows(told)))


@dataclass(frozen=True)
class ServerRows:
    """Rows along a transcript from a server, the ``known`` likeliest tokens of each."""

    server: Server
    known: int

    def __call__(self, transcript: Transcript) -> Sequence[KnownRow]:
        """One row for each token."""
        return self.server.rows(transcript.prompt, transcript.tokens, transcript.sampling, self.known)


def texts_of(cell: Mapping[str, Any]) -> tuple[Transcript, Transcript | None]:
    """A finished request and its control."""
    control = cell["control"]
    return Transcript.of_json(cell["audited"]), None if control is None else Transcript.of_json(control)
