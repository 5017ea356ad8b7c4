"""Was the callable meant to be called in another way?  The other ways are tried, once each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec

import numpy as np

from ...forms.calls import Caller, CallError, check_vocabulary
from ...forms.drawing import Drawing
from ...forms.form import Form, check_form
from ...forms.pace import Pace
from ...forms.trials import emitted

ROUNDS = 3
"""Trials of each request that a way must answer."""


def other_way(caller: Caller, drawing: Drawing, rng: np.random.Generator) -> str:
    """The options under which the callable answers a few trials as its form says, in words; empty if there are none."""
    for words, other in _ways(caller):
        try:
            check_form(other.form, drawing.case.policy)
            tokens = emitted(other, Drawing(drawing.case, other.form), ROUNDS * drawing.requests, rng)
            check_vocabulary(tokens, drawing.vocabulary_size)
            return words
        except (CallError, TypeError):
            continue
    return ""


def _ways(caller: Caller) -> Iterator[tuple[str, Caller]]:
    """Every other way in which it can be called, the nearest first."""
    toggled = "--batched" if not caller.batched else "no --batched"
    torch = "torch" in sys.modules or (caller.arrays == "torch" and find_spec("torch") is not None)
    library = "numpy" if caller.arrays == "torch" else "torch"
    dtype = "float64" if caller.arrays == "torch" else caller.dtype.replace("longdouble", "float64")
    pace = Pace(caller.batched)
    yield toggled, replace(caller, batched=not caller.batched, pace=pace)
    if torch:
        other = replace(caller, arrays=library, dtype=dtype, device="cpu", pace=pace)
        yield f"--arrays {library}", other
        yield f"{toggled} --arrays {library}", replace(other, batched=not caller.batched)
    for form in Form:
        if Form.GENERATE not in (form, caller.form) and form is not caller.form:
            yield f"--form {form.value}", replace(caller, form=form, pace=pace)
