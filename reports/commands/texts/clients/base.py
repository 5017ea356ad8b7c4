"""What a server is asked, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from veridraft.simulate.transcripts import KnownRow

from .http import Http, ServerError

Steps = tuple[tuple[int, ...] | None, tuple[int, ...] | None]
"""How many drafts each step accepted, and how many it had; None, None where that is not known."""


@dataclass(frozen=True)
class Answer:
    """A text: its tokens, one that ended it among them; its steps, if told; whether it ended by itself."""

    tokens: tuple[int, ...]
    accepted: tuple[int, ...] | None
    drafted: tuple[int, ...] | None
    ended: bool


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
    def write(self, prompt: Sequence[int], tokens: int, settings: Mapping[str, float], seed: int) -> Answer:
        """A text of at most so many tokens, drawn under the settings."""

    @abstractmethod
    def rows(self, prompt: Sequence[int], tokens: Sequence[int], settings: Mapping[str, float],
             known: int) -> list[KnownRow]:  # fmt: skip
        """The law of each token behind the settings (of the model itself at temperature 0), its ``known`` likeliest."""


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
