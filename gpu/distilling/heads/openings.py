"""How texts begin, and what is asked next when a target has ended one: drawn from public text and everyday requests.

Training and held-out texts have no file of public text, no subject, and no prompt in common; the built-in prompts of
the cross-checks are held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...models.pairs import ModelPair
from ...models.prompts import PROMPTS
from ..samples import beginnings
from .everyday import ABOUT_TEXT, ASKED, subjects
from .public_text import pieces

MOST_WORDS = 40
"""Of a piece of public text."""

QUESTION, ANSWER = "VERIDRAFT-QUESTION", "VERIDRAFT-ANSWER"

Tokens = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Openings:
    """Draws beginnings of texts for a target with a tokenizer, and next requests.

    A text begins, one time in four each, with nothing but the template before a user's words (the target writes the
    question too), with public text to be gone on with, with a request about a piece of it, or with an everyday
    request.  A target without a chat template gets requests as plain text.
    """

    target: ModelPair
    held_out: bool

    def first(self, rng: np.random.Generator) -> Tokens:
        """The tokens that a text begins with."""
        kind = int(rng.integers(4))
        if kind == 0:
            return beginnings(self.target, None)[0]
        if kind == 1:
            return tuple(self.target.tokenizer(self._piece(rng))["input_ids"])
        return self.target.encode(self._about_text(rng) if kind == 2 else self._everyday(rng))

    def after_end(self, rng: np.random.Generator) -> Tokens:
        """What follows behind a token that ended a text: another request, in the template of a further turn."""
        request = self._everyday(rng) if rng.integers(2) else self._about_text(rng)
        return further_turn(self.target, request)

    def _everyday(self, rng: np.random.Generator) -> str:
        if self.held_out and not rng.integers(2):
            return _one_of(PROMPTS, rng)
        return _one_of(ASKED, rng).format(_one_of(subjects(self.held_out), rng))

    def _about_text(self, rng: np.random.Generator) -> str:
        return _one_of(ABOUT_TEXT, rng).format(self._piece(rng))

    def _piece(self, rng: np.random.Generator) -> str:
        """The beginning of a piece of public text, of 12 to ``MOST_WORDS`` words."""
        words = _one_of(pieces(self.held_out), rng).split(" ")
        return " ".join(words[: int(rng.integers(12, MOST_WORDS + 1))])


def _one_of(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def further_turn(target: ModelPair, request: str) -> Tokens:
    """The tokens between the one that ends an answer and the next answer.

    Without a chat template they are those of the request alone.
    """
    tokenizer = target.tokenizer
    if not getattr(tokenizer, "chat_template", None):
        return target.encode(request)
    turns = [("user", QUESTION), ("assistant", ANSWER), ("user", request)]
    messages = [{"role": role, "content": content} for role, content in turns]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    behind = tokenizer(text.split(ANSWER)[1], add_special_tokens=False)["input_ids"]
    return tuple(behind[1:] if behind[0] in target.end_tokens else behind)
