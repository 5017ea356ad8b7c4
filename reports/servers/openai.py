"""Servers in OpenAI's shape that take and give token ids, as vLLM's: texts and rows by ``/v1/completions``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from veridraft.gpu.engines.objects import find_object
from veridraft.simulate.transcripts import KnownRow, behind_settings

from .base import Answer, Drafts, Server, Steps, asked_of, field, fitting, known_row, of_rows, whole
from .http import ServerError

WHERE = "/v1/completions"


class OpenAi(Server):
    """A server with ``return_token_ids`` and ``prompt_logprobs``; rows come from reading a text, in one request."""

    kind = "openai"

    def identity(self) -> str:
        """The first model that is served."""
        models = field(self.http.get("/v1/models"), "data", "/v1/models")
        if not models:
            raise ServerError("/v1/models names no model")
        self._model = str(field(models[0], "id", "/v1/models"))
        return ", ".join(str(models[0].get(name, "?")) for name in ("id", "root"))

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """The tokens of a prompt, as ``/tokenize`` makes them."""
        answer = self.http.post("/tokenize", {"model": self._named(), "prompt": text})
        return whole(field(answer, "tokens", "/tokenize"), "/tokenize")

    def write(self, prompt: Sequence[int], tokens: int, settings: Mapping[str, float], seed: int,
              steps: bool = False) -> Answer:  # fmt: skip
        """A text, in one answer; its steps are told whether they are wanted or not."""
        asked = {
            "model": self._named(), "prompt": list(prompt), "max_tokens": tokens, "seed": seed,
            "return_token_ids": True, **asked_of(settings, -1),
        }  # fmt: skip
        answer = self.http.post(WHERE, asked)
        choice = self._choice(answer)
        text = whole(field(choice, "token_ids", WHERE), WHERE)
        return Answer(text, choice.get("finish_reason") == "stop", *_speculated(answer, len(text)))

    def rows(self, prompt: Sequence[int], tokens: Sequence[int], settings: Mapping[str, float],
             known: int) -> list[KnownRow]:  # fmt: skip
        """One request that reads the whole text."""
        asked = {
            "model": self._named(), "prompt": [*prompt, *tokens], "max_tokens": 1, "temperature": 1.0,
            "prompt_logprobs": known, "return_token_ids": True,
        }  # fmt: skip
        answer = self.http.post(WHERE, asked)
        choice = self._choice(answer)
        told = choice.get("prompt_logprobs") or answer.get("prompt_logprobs")
        if not isinstance(told, list) or len(told) != len(prompt) + len(tokens):
            raise ServerError(f"{WHERE} answers no prompt_logprobs of {len(prompt) + len(tokens)} tokens")
        return [behind_settings(_row(row, known), of_rows(settings)) for row in told[len(prompt) :]]

    def _named(self) -> str:
        if not hasattr(self, "_model"):
            self.identity()
        return self._model

    @staticmethod
    def _choice(answer: Any) -> Mapping[str, Any]:
        choices = field(answer, "choices", WHERE)
        if not choices:
            raise ServerError(f"{WHERE} answers no choice")
        return choices[0]


def _speculated(answer: Any, tokens: int) -> tuple[Steps, Drafts | None]:
    """Steps and drafts of an answer with vLLM's metrics; the steps of detailed ones alone."""
    found = find_object(answer)
    told = found.values if found else {}
    counts = told.get("num_draft_tokens"), told.get("num_accepted_draft_tokens")
    drafts = None if None in counts else (int(counts[0] or 0), int(counts[1] or 0))
    if told.get("per_step_accepted") is None or told.get("per_step_drafted") is None:
        return (None, None), drafts
    return fitting(whole(told["per_step_accepted"], WHERE), whole(told["per_step_drafted"], WHERE), tokens), drafts


def _row(told: Any, asked: int) -> KnownRow:
    """A row of ``prompt_logprobs``: an object from token ids to ``{"logprob": ...}``."""
    if not isinstance(told, Mapping) or not told:
        raise ServerError(f"{WHERE} answers a row of prompt_logprobs that is {str(told)[:60]}")
    logs = {token: value["logprob"] if isinstance(value, Mapping) else value for token, value in told.items()}
    return known_row({int(token): -math.inf if log is None else float(log) for token, log in logs.items()}, asked)
