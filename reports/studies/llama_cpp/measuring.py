"""One audit: servers started, texts judged as ``veridraft audit-server`` judges them, and what belongs beside it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from veridraft.gpu.models.prompts import PROMPTS
from veridraft.simulate.transcripts import TextCourse, TokenAudit, Transcript
from veridraft.simulate.transcripts.audit import LEVEL
from veridraft.simulate.transcripts.betting.greedy import MARGIN
from veridraft.simulate.transcripts.rows_along import own_rows

from ...servers.base import Answer
from ...servers.collecting import Collector, ServerRows, TextsFile, judged, texts_of
from ...servers.llama_cpp import LlamaCpp
from ...servers.model_rows import ModelRows
from .audits import AUDITS, ServerAudit
from .floors import mismatch, of_forced, of_settings
from .models import SEED, WORDS, Files, files_of
from .running import Starter

if TYPE_CHECKING:
    from veridraft.gpu.models.pairs import ModelPair

KNOWN, MANY, FIRST_SEED = 512, 4096, 1000
"""Likeliest tokens of a row that are asked for; those of a row that is compared; the seed of the first request."""

RANDOM_PROMPTS, RANDOM_LENGTH = 32, 8
"""Prompts of the random networks, behind the token that begins a text."""

COMPARED = 8
"""Texts along which rows are compared."""


class OtherSettings(LlamaCpp):
    """A server that applies other settings than it is asked for."""

    def __init__(self, server: LlamaCpp, settings: Mapping[str, float]) -> None:
        super().__init__(server.http)
        self._settings = settings

    def write(self, prompt: Sequence[int], tokens: int, settings: Mapping[str, float], seed: int,
              steps: bool = False) -> Answer:  # fmt: skip
        """A text under its own settings."""
        return super().write(prompt, tokens, self._settings, seed, steps)


@dataclass(frozen=True)
class Measuring:
    """Measures audits with the servers of a starter; the models lie in a folder."""

    starter: Starter
    folder: Path

    def measure(self, name: str) -> dict[str, Any]:
        """One cell."""
        audit, began = AUDITS[name], time.monotonic()
        files = files_of(audit.pair, self.folder)
        flags = [flag.format(draft=files.draft) for flag in audit.flags]
        with ExitStack() as servers:
            plain = servers.enter_context(self.starter.running(0, files.target))
            audited = servers.enter_context(self.starter.running(1, files.target, flags))
            file, result = self._audited(audit, audited, plain)
            seconds = time.monotonic() - began
            return _record(result, file) | {"seconds": round(seconds, 1)} | self._beside(audit, file, plain, files)

    def _audited(self, audit: ServerAudit, audited: LlamaCpp, plain: LlamaCpp) -> tuple[TextsFile, TokenAudit]:
        """The audit itself, its texts kept in memory."""
        collector = Collector(
            OtherSettings(audited, audit.sampled) if audit.sampled else audited,
            plain if audit.target else None,
            ModelRows(self._transformers, KNOWN) if audit.target else ServerRows(plain, KNOWN),
            prompts_of(audit.pair, plain), audit.tokens, audit.settings, FIRST_SEED, audit.steps,
        )  # fmt: skip
        planned = {"requests": audit.requests, "cells": [[number] for number in range(audit.requests)]}
        file = TextsFile.open(None, "", planned, {})
        course = TextCourse(own_rows, LEVEL, audit.steps, MARGIN, 0)
        for _ in judged(collector, file, course):
            pass
        return file, course.result(audit.name)

    @cached_property
    def _transformers(self) -> ModelPair:
        """The embedded model in float32."""
        from veridraft.gpu.models.pairs import load_alone

        return load_alone()

    def _beside(self, audit: ServerAudit, file: TextsFile, plain: LlamaCpp, files: Files) -> dict[str, Any]:
        """The nats a token that the best test gains, where the true law is known; how rows of two engines differ."""
        texts = [texts_of(cell)[0] for cell in file.cells]
        wide = ServerRows(plain, MANY)
        nats = differ = None
        if audit.sampled:
            nats = of_settings(texts[:COMPARED], wide, audit.sampled)
        if audit.forced is not None and audit.steps:
            nats = self._of_forced(texts, files, audit.forced)
        if audit.target:
            differ = mismatch(texts[:COMPARED], wide, ModelRows(self._transformers, MANY))
        return {"nats": nats, "mismatch": differ}

    def _of_forced(self, texts: Sequence[Transcript], files: Files, rate: float) -> float | None:
        """With the draft's likeliest tokens from a server of its own."""
        with self.starter.running(2, files.draft) as draft:
            return of_forced(texts, ServerRows(draft, 1), rate)


def prompts_of(pair: str, server: LlamaCpp) -> list[tuple[int, ...]]:
    """Everyday requests for the embedded model, random words for a random one."""
    if pair == "SmolLM2":
        return [server.tokens_of(prompt) for prompt in PROMPTS]
    words = np.random.default_rng(SEED).integers(3, WORDS, size=(RANDOM_PROMPTS, RANDOM_LENGTH))
    return [(1, *row) for row in words.tolist()]


def _record(result: TokenAudit, file: TextsFile) -> dict[str, Any]:
    """What is kept of an audit."""
    told = result.to_json()
    kept = ("verdict", "level", "requests", "tokens", "log_e", "found_after", "likely", "departure", "control",
            "greedy", "notes")  # fmt: skip
    strongest = result.strongest and list(result.strongest)
    return {name: told[name] for name in kept} | {"strongest": strongest, "drafts": file.drafts}
