"""Requests that run in a server beside the one that is judged, so that its batch is never the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from .base import Server

FAR = 1_000_000
"""Seeds of the requests beside begin so far behind those that are judged."""

WARMER = 1.5
"""The temperature of the requests beside, as a multiple of the judged one's: the same for all, so that settings which a
batch mixes up depart in one way and do not cancel out."""


@dataclass(frozen=True)
class Beside:
    """Requests of other prompts, seeds and lengths, at another temperature; what they answer is thrown away.

    count : at once; 0 for none
    prompts : by turns, another one than that of the judged request where there are two
    """

    count: int
    prompts: Sequence[tuple[int, ...]]

    @contextmanager
    def running(self, server: Server, number: int, tokens: int, settings: Mapping[str, float]) -> Iterator[None]:
        """They have been asked when the block begins; it ends when they are answered, by an error if one is not."""
        if not self.count:
            yield
            return
        with ThreadPoolExecutor(self.count) as pool:
            asked = [pool.submit(self._ask, server, number, place, tokens, settings) for place in range(self.count)]
            yield
            for one in asked:
                one.result()

    def _ask(self, server: Server, number: int, place: int, tokens: int, settings: Mapping[str, float]) -> None:
        prompt = self.prompts[(number + 1 + place) % len(self.prompts)]
        other = dict(settings) | {"temperature": WARMER * (settings.get("temperature") or 1.0)}
        server.write(prompt, tokens + 1 + place, other, FAR * (1 + place) + number)


ALONE = Beside(0, ())
"""None."""
