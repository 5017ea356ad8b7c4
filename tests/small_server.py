"""A small server in the shapes of llama.cpp and vLLM, around a decoder of our own: right, or with a planted defect."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from veridraft.simulate.transcripts import sampled_rows
from veridraft.simulate.transcripts.simulated import chain_transcript, plain_transcript


class HashedRows:
    """A target and a draft whose rows are drawn from the last two tokens of the context."""

    def __init__(self, vocabulary_size=24, nearness=1.0, settings=None):
        self.size, self.nearness, self.settings = vocabulary_size, nearness, settings or {}

    def target_row(self, context):
        return self._at(context)[0]

    def draft_row(self, context):
        return self._at(context)[1]

    def _at(self, context):
        return _hashed_rows(tuple(context[-2:]), self.size, self.nearness, tuple(sorted(self.settings.items())))


@cache
def _hashed_rows(key, size, nearness, settings):
    """Rows (2, V) of target and draft behind two tokens; a server is asked for the same ones again and again."""
    rng = np.random.default_rng([*key, 11])
    target = rng.normal(size=size) * 1.5
    draft = 0.6 * target + nearness * rng.normal(size=size)
    rows = [np.exp(logits) / np.exp(logits).sum() for logits in (target, draft)]
    return sampled_rows(np.stack(rows), dict(settings))


@dataclass
class Behaviour:
    """How the server draws a text: ``verifier`` of chains, or plainly; and what goes wrong.

    sampled : settings that replace those that were asked for
    fail_at : the number of the text request that is not answered
    short : emit one token less than asked for
    left_out : the place of the token that streams lack, as llama.cpp's do inside a letter
    words : what ``/tokenize`` multiplies letters by: another tokenizer; None if it cannot read text
    rows : whose rows are told, ``target`` or ``draft``
    together : texts are written once so many are asked for at the same time, or a second has passed
    mixed : every text of such a batch is drawn under the settings of the first that was asked for
    """

    verifier: object = None
    nearness: float = 1.0
    drafts: int = 3
    model: str = "small"
    sampled: dict | None = None
    fail_at: int | None = None
    short: bool = False
    left_out: int | None = None
    constant_seed: bool = False
    words: int | None = 1
    rows: str = "target"
    together: int = 1
    mixed: bool = False
    asked: list = field(default_factory=list)
    batch: list = field(default_factory=list)
    arrival: threading.Condition = field(default_factory=threading.Condition)

    def row(self, context):
        """The row that is told behind a context."""
        rows = HashedRows()
        return (rows.target_row if self.rows == "target" else rows.draft_row)(context)

    def text(self, prompt, tokens, settings, seed):
        batch = self.gathered(settings)
        return self.written(prompt, tokens, batch[0] if self.mixed else settings, seed)

    def gathered(self, settings):
        """The settings of all texts that are written together with this one."""
        with self.arrival:
            batch = self.batch
            batch.append(settings)
            if len(batch) < self.together:
                self.arrival.wait_for(lambda: self.batch is not batch, timeout=1.0)
            if self.batch is batch:
                self.batch = []
                self.arrival.notify_all()
        return batch

    def written(self, prompt, tokens, settings, seed):
        rows = HashedRows(nearness=self.nearness, settings=settings if self.sampled is None else self.sampled)
        rng = np.random.default_rng(0 if self.constant_seed else seed)
        tokens -= self.short
        if self.verifier is None:
            return plain_transcript(rows, tuple(prompt), tokens, rng)
        return chain_transcript(self.verifier, rows, tuple(prompt), tokens, self.drafts, rng)


@contextmanager
def serving(shape: str, behaviour: Behaviour, port: int = 0) -> Iterator[str]:
    """The address of a server on 127.0.0.1 that lives as long as the context."""
    handler = type("Handler", (SHAPES[shape],), {"behaviour": behaviour})
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(self.get())

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(self.post(asked))

    def answer(self, values):
        if values is None:
            self.send_error(404)
            return
        body = values if isinstance(values, bytes) else json.dumps(values).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def tokens(self, text):
        """What ``/tokenize`` makes of a text."""
        words = self.behaviour.words
        return words and {"tokens": [ord(letter) * words % 24 for letter in text]}

    def counted(self, asked):
        """Note a request for a text; False if it is the one that fails."""
        self.behaviour.asked.append(asked)
        return len(self.behaviour.asked) - 1 != self.behaviour.fail_at


def _settings(asked):
    names = ("temperature", "top_k", "top_p", "min_p")
    return {name: max(0, asked[name]) for name in names if name in asked}


class LlamaHandler(_Handler):
    """``/props``, ``/tokenize``, and ``/completion`` as a stream or for one token's probabilities."""

    def get(self):
        told = {"model_path": self.behaviour.model, "build_info": "b1", "eos_token": "</s>"}
        return told if self.path == "/props" else None

    def post(self, asked):
        if self.path == "/tokenize":
            return self.tokens(asked["content"])
        if "n_probs" in asked:
            row = self.behaviour.row(asked["prompt"])
            best = np.argsort(-row)[: asked["n_probs"]]
            told = [{"id": int(token), "logprob": float(np.log(row[token]))} for token in best]
            return {"completion_probabilities": [{"top_logprobs": told}]}
        if not self.counted(asked):
            return None
        text = self.behaviour.text(asked["prompt"], asked["n_predict"], _settings(asked), asked["seed"])
        if not asked["stream"]:
            return _whole(text)
        events = [event for place, event in enumerate(_events(text)) if place != self.behaviour.left_out]
        return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def _whole(text):
    timings = {"draft_n": sum(text.drafted), "draft_n_accepted": sum(text.accepted)} if text.accepted else {}
    return {"tokens": list(text.tokens), "stop_type": "limit", "timings": timings}


def _events(text):
    told = zip(text.drafted or (), text.accepted or (), strict=True)
    steps = [(count, kept) for count, kept in told for _ in range(kept + 1)]
    drawn = accepted = 0
    for place, token in enumerate(text.tokens):
        if text.places is not None and text.places[place] == 0:
            drawn, accepted = drawn + steps[place][0], accepted + steps[place][1]
        timings = {"draft_n": drawn, "draft_n_accepted": accepted} if drawn else {}
        yield {"tokens": [token], "stop": False, "timings": timings}
    yield {"tokens": [], "stop": True, "stop_type": "limit", "tokens_predicted": len(text.tokens), "timings": {}}


class VllmHandler(_Handler):
    """``/v1/models``, ``/tokenize``, and ``/v1/completions`` with token ids, metrics and prompt_logprobs."""

    def get(self):
        return {"data": [{"id": self.behaviour.model, "root": "/models"}]} if self.path == "/v1/models" else None

    def post(self, asked):
        if self.path == "/tokenize":
            return self.tokens(asked["prompt"])
        if "prompt_logprobs" in asked:
            return {"choices": [{"token_ids": [0], "prompt_logprobs": self.rows(asked)}]}
        if not self.counted(asked):
            return None
        text = self.behaviour.text(asked["prompt"], asked["max_tokens"], _settings(asked), asked["seed"])
        choice = {"token_ids": list(text.tokens), "finish_reason": "length"}
        return {"choices": [choice], "metrics": {"speculative_decoding": text.accepted and _metrics(text)}}

    def rows(self, asked):
        told = [None]
        for place in range(1, len(asked["prompt"])):
            row = self.behaviour.row(asked["prompt"][:place])
            best = np.argsort(-row)[: asked["prompt_logprobs"]]
            told.append({str(token): {"logprob": float(np.log(row[token]))} for token in best})
        return told


def _metrics(text):
    """vLLM's detailed object."""
    return {
        "acceptance_histogram": np.bincount(text.accepted, minlength=max(text.drafted) + 1).tolist(),
        "num_spec_steps": len(text.accepted),
        "num_accepted_draft_tokens": sum(text.accepted),
        "num_draft_tokens": sum(text.drafted),
        "num_spec_tokens": max(text.drafted),
        "per_step_accepted": list(text.accepted),
        "per_step_drafted": list(text.drafted),
    }


SHAPES = {"llama.cpp": LlamaHandler, "openai": VllmHandler}
