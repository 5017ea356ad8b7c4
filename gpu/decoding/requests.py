"""What is asked of a decoder, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Ending(Enum):
    """Why a text ended."""

    END_OF_SEQUENCE = "end of sequence"
    LENGTH = "maximum length"


@dataclass(frozen=True)
class Request:
    """A text to be written: a prompt (text or token ids), its greatest length, and the seed of its random numbers.

    What is written depends on these, the pair, the verifier, the policy and the sampling, and not on the other
    requests of a batch (but for the rounding of the networks' passes).
    """

    prompt: str | Sequence[int]
    max_new_tokens: int = 128
    seed: int = 0


@dataclass(frozen=True)
class Block:
    """What one step added to a text: its tokens, cut at its end, tau before any cut, and the ending if it has one."""

    request: int
    tokens: tuple[int, ...]
    tau: int
    ending: Ending | None


@dataclass(frozen=True)
class Written:
    """A finished text: its tokens (the prompt left out), tau of every target pass, and why it ended."""

    tokens: tuple[int, ...]
    taus: tuple[int, ...]
    ending: Ending

    @property
    def block_efficiency(self) -> float:
        """The mean of tau + 1 over the target passes, before any cut."""
        return sum(self.taus) / len(self.taus) + 1
