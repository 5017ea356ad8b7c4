"""Trials of defects and traps, and an exact test of what they emit: split samples, one binomial tail."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from veridraft.simulate.forms.calls import Caller
from veridraft.simulate.forms.cases import Case, default_cases
from veridraft.simulate.forms.drawing import Drawing, string_law
from veridraft.simulate.forms.form import Form
from veridraft.simulate.forms.trials import emitted


def ready(verifier: Callable, form: Form, case: Case) -> Callable:
    """The batched verifier; a builder's generator for the case."""
    if form is Form.GENERATE:
        return verifier(case.pair, case.policy.depth, case.contexts[0])
    return verifier


def named_case(form: Form, name: str) -> Case:
    """The default case of that name."""
    return next(case for case in default_cases(form, batched=True) if case.name == name)


def law(case: Case, form: Form) -> np.ndarray:
    """The law of (request, string), flattened, and behind it 0 for strings with a token outside the vocabulary."""
    drawing = Drawing(case, form)
    parts = [string_law(tables) / drawing.requests for tables in drawing.tables]
    return np.append(np.concatenate(parts), 0.0)


def counts(verifier: Callable, form: Form, case: Case, trials: int, rng: np.random.Generator) -> np.ndarray:
    """How often each (request, string) of :func:`law` came out, of about so many trials."""
    drawing = Drawing(case, form)
    caller = Caller(ready(verifier, form, case), form, batched=True)
    total = np.zeros(len(law(case, form)), dtype=np.int64)
    size = min(drawing.chunk, trials // drawing.requests * drawing.requests)
    for _ in range(-(-trials // size)):
        tokens = emitted(caller, drawing, size, rng)
        outside = (tokens >= drawing.vocabulary_size).any(axis=1)
        numbers = drawing.complete(np.where(outside[:, None], -1, tokens), rng)
        numbers += np.arange(size) % drawing.requests * drawing.vocabulary_size**drawing.length
        total += np.bincount(np.where(outside, len(total) - 1, numbers), minlength=len(total))
    return total


def error_bound(verifier: Callable, form: Form, case: Case, trials: int, seed: int) -> float:
    """The p-value of "it has the target's law": the strings that one sample had too often, counted in another.

    0 if a string came out that the target cannot emit.  The second sample is independent of the choice, so that the
    binomial tail is exact at any number of trials.
    """
    rng = np.random.default_rng(seed)
    expected = law(case, form)
    chosen = counts(verifier, form, case, trials // 2, rng)
    often = chosen > chosen.sum() * expected + np.sqrt(chosen.sum() * expected)
    fresh = counts(verifier, form, case, trials, rng)
    if fresh[expected == 0].any():
        return 0.0
    probability = min(1.0, float(expected[often].sum()))
    return float(stats.binom.sf(fresh[often].sum() - 1, fresh.sum(), probability))
