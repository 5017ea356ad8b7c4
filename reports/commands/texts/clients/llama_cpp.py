"""llama.cpp's server: texts by ``/completion``, steps by the counters in its stream, rows by asking for one token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from veridraft.simulate.transcripts import KnownRow, behind_settings

from .base import Answer, Server, Steps, field, fitting, whole
from .http import ServerError

NEUTRAL: dict[str, Any] = {
    "typical_p": 1.0, "repeat_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "dry_multiplier": 0.0,
    "xtc_probability": 0.0, "dynatemp_range": 0.0, "mirostat": 0, "top_n_sigma": -1.0,
    "samplers": ["temperature", "top_k", "top_p", "min_p"],
}  # fmt: skip
"""Everything that would change a row beside the four settings, switched off, and the order of these four."""


class LlamaCpp(Server):
    """``llama-server`` of llama.cpp."""

    kind = "llama.cpp"

    def identity(self) -> str:
        """The model's file and the build."""
        found = self.http.get("/props")
        return f"{found.get('model_path', '?')}, {found.get('build_info', '?')}"

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """The tokens of a prompt, the one that begins a text among them."""
        answer = self.http.post("/tokenize", {"content": text, "add_special": True, "parse_special": True})
        return whole(field(answer, "tokens", "/tokenize"), "/tokenize")

    def write(self, prompt: Sequence[int], tokens: int, settings: Mapping[str, float], seed: int) -> Answer:
        """A text, streamed."""
        asked = NEUTRAL | _asked(settings) | {
            "prompt": list(prompt), "n_predict": tokens, "seed": seed, "stream": True, "return_tokens": True,
            "timings_per_token": True, "cache_prompt": False,
        }  # fmt: skip
        events = list(self.http.stream("/completion", asked))
        if not events:
            raise ServerError("/completion answers an empty stream")
        for event in events:
            if "error" in event:
                raise ServerError(f"/completion answers an error: {str(event['error'])[:200]}")
        counted = [(whole(event.get("tokens", []), "/completion"), event.get("timings", {})) for event in events]
        text = [token for found, _ in counted for token in found]
        last = events[-1]
        ended = last.get("stop_type") == "eos"
        if ended and last.get("tokens_predicted") == len(text) + 1:
            text.append(self._end())
        return Answer(tuple(text), *steps_of(counted, len(text)), ended)

    def _end(self) -> int:
        """The token that ends a text, which the stream does not hold."""
        word = field(self.http.get("/props"), "eos_token", "/props")
        answer = self.http.post("/tokenize", {"content": word, "add_special": False, "parse_special": True})
        found = whole(field(answer, "tokens", "/tokenize"), "/tokenize")
        if len(found) != 1:
            raise ServerError(f"/tokenize makes {len(found)} tokens of the word {word!r} that ends a text")
        return found[0]

    def rows(self, prompt: Sequence[int], tokens: Sequence[int], settings: Mapping[str, float],
             known: int) -> list[KnownRow]:  # fmt: skip
        """One request for each token."""
        plain = self._plain_token()
        told = {name: value for name, value in settings.items() if settings.get("temperature") != 0}
        return [
            behind_settings(self._row((*prompt, *tokens[:place]), known, plain), told) for place in range(len(tokens))
        ]

    def _plain_token(self) -> int:
        """A token of one whole letter: a text that ends inside a letter has no probabilities told."""
        answer = self.http.post("/tokenize", {"content": "a", "add_special": False})
        return whole(field(answer, "tokens", "/tokenize"), "/tokenize")[-1]

    def _row(self, context: Sequence[int], known: int, forced: int) -> KnownRow:
        """The model's row behind a context; the token that is drawn from it is forced, and told nothing of."""
        asked = NEUTRAL | {
            "prompt": list(context), "n_predict": 1, "n_probs": known, "cache_prompt": True, "temperature": 1.0,
            "top_k": 0, "top_p": 1.0, "min_p": 0.0, "logit_bias": [[forced, 1000.0]],
        }  # fmt: skip
        answer = self.http.post("/completion", asked)
        told = field(answer, "completion_probabilities", "/completion")
        if not told:
            raise ServerError("/completion answers no probabilities: is n_probs switched off?")
        likeliest = field(told[0], "top_logprobs", "/completion")
        return KnownRow(
            np.array([one["id"] for one in likeliest]), np.exp([float(one["logprob"]) for one in likeliest])
        )


def _asked(settings: Mapping[str, float]) -> dict[str, Any]:
    """The four settings, all of them: what is left out would have the server's own default."""
    return {
        "temperature": settings.get("temperature", 1.0), "top_k": int(settings.get("top_k", 0)),
        "top_p": settings.get("top_p", 1.0), "min_p": settings.get("min_p", 0.0),
    }  # fmt: skip


def steps_of(events: Sequence[tuple[Sequence[int], Mapping[str, Any]]], tokens: int) -> Steps:
    """The steps of a stream: its counters rise at the first token of each."""
    accepted: list[int] = []
    drafted: list[int] = []
    kept = drawn = left = 0
    for timings in (timings for emitted, timings in events for _ in emitted):
        if left:
            left -= 1
            continue
        now, taken = int(timings.get("draft_n", drawn)), int(timings.get("draft_n_accepted", kept))
        accepted.append(taken - kept)
        drafted.append(now - drawn)
        kept, drawn, left = taken, now, taken - kept
    if not drawn or min(accepted) < 0 or any(few > many for few, many in zip(accepted, drafted, strict=True)):
        return None, None
    return fitting(accepted, drafted, tokens)
