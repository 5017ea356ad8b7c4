"""llama.cpp's server: texts by ``/completion``, steps by the counters in its stream, rows by asking for one token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from veridraft.simulate.transcripts import KnownRow, behind_settings, is_settled

from .base import Answer, Drafts, Server, Steps, asked_of, field, fitting, known_row, of_rows, whole
from .http import ServerError

WHERE = "/completion"

NEUTRAL: dict[str, Any] = {
    "typical_p": 1.0, "repeat_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "dry_multiplier": 0.0,
    "xtc_probability": 0.0, "dynatemp_range": 0.0, "mirostat": 0, "top_n_sigma": -1.0,
    "samplers": ["temperature", "top_k", "top_p", "min_p"],
}  # fmt: skip
"""Everything that would change a row beside the four settings, switched off, and the order of these four."""

GROWTH = 8
"""So many times as many tokens of a row are asked for if those that came do not settle it behind the settings."""


class LlamaCpp(Server):
    """``llama-server`` of llama.cpp."""

    kind = "llama.cpp"

    def identity(self) -> str:
        """The model's file and the build."""
        found = self.http.get("/props")
        return f"{field(found, 'model_path', '/props')}, {found.get('build_info', '?')}"

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """The tokens of a prompt, the one that begins a text among them."""
        answer = self.http.post("/tokenize", {"content": text, "add_special": True, "parse_special": True})
        return whole(field(answer, "tokens", "/tokenize"), "/tokenize")

    def write(self, prompt: Sequence[int], tokens: int, settings: Mapping[str, float], seed: int,
              steps: bool = False) -> Answer:  # fmt: skip
        """A text; it is streamed if its steps are wanted.

        A stream leaves out tokens that end inside a letter: a text that has one is then a :class:`ServerError`, since
        texts that are passed over for what is in them would spoil the evidence.
        """
        asked = NEUTRAL | asked_of(settings, 0) | {
            "prompt": list(prompt), "n_predict": tokens, "seed": seed, "stream": steps, "return_tokens": True,
            "timings_per_token": steps, "cache_prompt": False,
        }  # fmt: skip
        if steps:
            return _of_stream(list(self._events(asked)))
        answer = self.http.post(WHERE, asked)
        text = whole(field(answer, "tokens", WHERE), WHERE)
        return Answer(text, _ended(answer), drafts=_drafts(answer))

    def _events(self, asked: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
        for event in self.http.stream(WHERE, asked):
            if "error" in event:
                raise ServerError(f"{WHERE} answers an error: {str(event['error'])[:200]}")
            yield event

    def rows(self, prompt: Sequence[int], tokens: Sequence[int], settings: Mapping[str, float],
             known: int) -> list[KnownRow]:  # fmt: skip
        """One request for each token, and another where a row does not settle the settings yet."""
        forced = self._plain_token()
        return [
            self._row((*prompt, *tokens[:place]), of_rows(settings), known, forced) for place in range(len(tokens))
        ]

    def _plain_token(self) -> int | None:
        """A token of one whole letter, if the model has one: behind half a letter no probabilities are told."""
        if not hasattr(self, "_plain"):
            self._plain: int | None = None
            try:
                answer = self.http.post("/tokenize", {"content": "a", "add_special": False})
                self._plain = whole(field(answer, "tokens", "/tokenize"), "/tokenize")[-1]
            except (ServerError, IndexError):
                pass
        return self._plain

    def _row(self, context: Sequence[int], settings: Mapping[str, float], known: int, forced: int | None) -> KnownRow:
        """The row behind a context and the settings."""
        while True:
            row = self._own_row(context, known, forced)
            if is_settled(row, settings) or len(row.ids) < known:
                return behind_settings(row, settings)
            known *= GROWTH

    def _own_row(self, context: Sequence[int], known: int, forced: int | None) -> KnownRow:
        """The model's row behind a context; the token that is drawn from it is forced, and told nothing of."""
        asked = NEUTRAL | asked_of({}, 0) | {
            "prompt": list(context), "n_predict": 1, "n_probs": known, "cache_prompt": True,
        }  # fmt: skip
        answer = self.http.post(WHERE, asked if forced is None else asked | {"logit_bias": [[forced, 1000.0]]})
        told = field(answer, "completion_probabilities", WHERE)
        if not told:
            raise ServerError(f"{WHERE} answers no probabilities: is n_probs switched off?")
        likeliest = field(told[0], "top_logprobs", WHERE)
        return known_row({int(one["id"]): float(one["logprob"]) for one in likeliest}, known)


def _of_stream(events: Sequence[Mapping[str, Any]]) -> Answer:
    """The text of a stream's events."""
    if not events:
        raise ServerError(f"{WHERE} answers an empty stream")
    counted = [(whole(event.get("tokens", []), WHERE), event.get("timings", {})) for event in events]
    text = [token for found, _ in counted for token in found]
    written = int(events[-1].get("tokens_predicted", len(text)))
    if written != len(text):
        raise ServerError(
            f"{WHERE} streams {len(text)} of {written} tokens: those that end inside a letter are left out; such texts "
            "can be audited without their steps alone"
        )
    return Answer(tuple(text), _ended(events[-1]), steps_of(counted, len(text)), _drafts(events[-1]))


def _ended(last: Mapping[str, Any]) -> bool:
    return last.get("stop_type") in ("eos", "word")


def _drafts(last: Mapping[str, Any]) -> Drafts:
    """What the last counters of an answer say; a server without speculation has none."""
    timings = last.get("timings", {})
    return int(timings.get("draft_n", 0)), int(timings.get("draft_n_accepted", 0))


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
