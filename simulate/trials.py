"""Trials of a verifier on a case: what it emits, and how often each completed string comes out."""

from __future__ import annotations

import numpy as np

from veridraft.theory.distributions import NO_TOKEN

from .calls import Caller, check_vocabulary
from .drawing import Drawing
from .forms import Form
from .rows import Ints


def emitted(caller: Caller, drawing: Drawing, trials: int, rng: np.random.Generator) -> Ints:
    """The emitted tokens (trials, L + 1), -1 behind them; errors are those of ``Caller.decide``.

    ``trials`` is a multiple of the drawing's requests.
    """
    if caller.form is Form.GENERATE:
        return caller.generate(trials, rng, drawing.length)
    tokens = np.full((trials, drawing.length), NO_TOKEN, dtype=np.int64)
    for one in drawing.draw(trials, rng)[0]:
        tokens[one.trials] = caller.decide(one, rng, drawing.length)[0]
    return tokens


def string_counts(caller: Caller, drawing: Drawing, trials: int, rng: np.random.Generator) -> Ints:
    """(V ** (L + 1),) how often each string came out of so many trials, rounded up to whole rounds of requests."""
    counts = np.zeros(drawing.vocabulary_size**drawing.length, dtype=np.int64)
    for first in range(0, trials, drawing.chunk):
        size = -(-min(drawing.chunk, trials - first) // drawing.requests) * drawing.requests
        tokens = emitted(caller, drawing, size, rng)
        check_vocabulary(tokens, drawing.vocabulary_size)
        counts += np.bincount(drawing.complete(tokens, rng)[0], minlength=len(counts))
    return counts
