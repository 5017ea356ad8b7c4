"""What a server is asked, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from veridraft.simulate.transcripts import KnownRow

from .http import Http, ServerError

Steps = tuple[tuple[int, ...] | None, tuple[int, ...] | None]
"""How many drafts each step accepted, and how many it had; None, None where that is not known."""


Drafts = tuple[int, int]
"""How many tokens were drafted for a text, and how many of them were accepted."""


@dataclass(frozen=True)
class Answer:
    """A text: its tokens, one that ended it among them; whether it ended by itself; its steps and drafts, if told."""

    tokens: tuple[int, ...]
    ended: bool
    steps: Steps = (None, None)
    drafts: Drafts | None = None


class Server(ABC):
    """A server at an address.  Every method raises :class:`~.http.ServerError` for what cannot be used."""

    kind: str

    def __init__(self, http: Http) -> None:
        self.http = http

    @abstractmethod
    def identity(self) -> str:
        """The model and version that answer, in words that change when these do."""

    @abstractmethod
    def tokens_of(self, text: str) -> tuple[int, ...]:
        """The tokens of a prompt."""

    @abstractmethod
    def write(self, prompt: Sequence[int], tokens: int, settings: Mapping[str, float], seed: int,
              steps: bool = False) -> Answer:  # fmt: skip
        """A text of at most so many tokens, drawn under the settings; with its steps if they are wanted and told."""

    @abstractmethod
    def rows(self, prompt: Sequence[int], tokens: Sequence[int], settings: Mapping[str, float],
             known: int) -> list[KnownRow]:  # fmt: skip
        """The law of each token behind the settings (of the model itself at temperature 0), its ``known`` likeliest."""


def asked_of(settings: Mapping[str, float], no_top_k: int) -> dict[str, Any]:
    """The four settings, all of them: what is left out would have the server's own default."""
    return {
        "temperature": settings.get("temperature", 1.0), "top_k": int(settings.get("top_k", 0)) or no_top_k,
        "top_p": settings.get("top_p", 1.0), "min_p": settings.get("min_p", 0.0),
    }  # fmt: skip


def of_rows(settings: Mapping[str, float]) -> Mapping[str, float]:
    """The settings that the rows of a text stand behind: none of a greedy one's, which are the model's own."""
    return {} if settings.get("temperature") == 0 else settings


def field(answer: Any, name: str, where: str) -> Any:
    """A field of an answer; a :class:`ServerError` that says what was there instead."""
    if isinstance(answer, Mapping) and name in answer and answer[name] is not None:
        return answer[name]
    found = ", ".join(sorted(answer)) if isinstance(answer, Mapping) else type(answer).__name__
    raise ServerError(f"{where} answers without {name!r}; it has {found}")


def whole(values: Any, where: str) -> tuple[int, ...]:
    """A list of token ids."""
    if not isinstance(values, list) or not all(isinstance(value, int) and value >= 0 for value in values):
        raise ServerError(f"{where} answers tokens that are no ids: {str(values)[:100]}")
    return tuple(values)


def known_row(logs: Mapping[int, float], asked: int) -> KnownRow:
    """The row of likeliest tokens with the logarithms of their probabilities; it is whole if fewer than asked came."""
    masses = np.exp(list(logs.values()))
    return KnownRow(np.array(list(logs), dtype=np.int64), masses / masses.sum() if len(logs) < asked else masses)


def fitting(accepted: Sequence[int], drafted: Sequence[int], tokens: int) -> Steps:
    """The steps that make up so many tokens: these, or these behind a first token that no step drafted for.

    A last step may have been cut; steps that do not add up are not known.
    """
    for first in ((), (0,)):
        kept, drawn = (*first, *accepted), (*first, *drafted)
        whole_steps = sum(kept) + len(kept)
        if kept and whole_steps - kept[-1] <= tokens <= whole_steps and len(kept) == len(drawn):
            return kept, drawn
    return None, None
