"""Trials of a verifier on a case: what it emits, and how often each completed string comes out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from veridraft.theory.rows.distributions import NO_TOKEN

from ..batches.rows import Ints
from .calls import Caller, changed, check_vocabulary
from .drawing import Drawing
from .form import Form, Inputs


def emitted(caller: Caller, drawing: Drawing, trials: int, rng: np.random.Generator) -> Ints:
    """The emitted tokens (trials, L + 1), -1 behind them; errors are those of ``Caller.decide``.

    ``trials`` is a multiple of the drawing's requests.
    """
    if caller.form is Form.GENERATE:
        return caller.generate(trials, rng, drawing.length)
    return decided(caller, drawing.draw(trials, rng)[0], rng, drawing.length)


def decided(
    caller: Caller, inputs: Sequence[Inputs], rng: np.random.Generator, length: int, written: set[int] | None = None
) -> Ints:
    """The emitted tokens (T, length), -1 behind them, for inputs that hold T trials together.

    ``written``, if given, takes up which of the arrays the verifier wrote to, by their places.
    """
    tokens = np.full((sum(len(one.trials) for one in inputs), length), NO_TOKEN, dtype=np.int64)
    for one in inputs:
        before = caller.handed(one.arrays) if written is not None else ()
        tokens[one.trials], after = caller.decide(one, rng, length)
        if written is not None:
            written.update(changed(before, after))
    return tokens


def string_counts(caller: Caller, drawing: Drawing, trials: int, rng: np.random.Generator) -> Ints:
    """(R, V ** (L + 1)) how often each string came out by request, of so many trials, rounded up to whole rounds."""
    counts = np.zeros((drawing.requests, drawing.vocabulary_size**drawing.length), dtype=np.int64)
    for size in caller.pace.chunks(trials, drawing.requests, drawing.chunk):
        tokens = emitted(caller, drawing, size, rng)
        check_vocabulary(tokens, drawing.vocabulary_size)
        strings = drawing.complete(tokens, rng)
        for request, row in enumerate(counts):
            row += np.bincount(strings[request :: drawing.requests], minlength=len(row))
    return counts
