"""Rows that are no law, handed over on purpose: what does a verifier make of them?"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from ..batches.rows import Floats
from ..forms.calls import Caller, CallError
from ..forms.drawing import Drawing
from ..forms.form import Form, Inputs
from .findings import Observation, Trait


def _first(value: float) -> Callable[[Floats], Floats]:
    """The rows with the first entry of each become a value."""

    def change(rows: Floats) -> Floats:
        changed = rows.copy()
        changed[..., 0] = value
        return changed

    return change


FAULTS: dict[str, tuple[int, Callable[[Floats], Floats]]] = {
    "target rows nan": (0, lambda rows: np.full_like(rows, np.nan)),
    "target rows with one nan": (0, _first(np.nan)),
    "target rows with one infinity": (0, _first(np.inf)),
    "target rows zeros": (0, np.zeros_like),
    "target rows of sum 2": (0, lambda rows: 2 * rows),
    "draft rows nan": (1, lambda rows: np.full_like(rows, np.nan)),
    "draft rows zeros": (1, np.zeros_like),
}
"""Which rows of a trial, the target's (0) or the draft's (1), become what."""


def faulty_rows(caller: Caller, drawing: Drawing, rng: np.random.Generator) -> list[Observation]:
    """What comes out of one trial with faulty rows, for each fault; nothing for a form that is handed none."""
    if caller.form is Form.GENERATE:
        return []
    inputs = drawing.draw(drawing.requests, rng)[0][0]
    return [Observation(Trait.FAULTY_ROWS, f"{name}: {_answer(caller, drawing, _faulty(inputs, *fault), rng)}")
            for name, fault in FAULTS.items()]  # fmt: skip


def _faulty(inputs: Inputs, which: int, change: Callable[[Floats], Floats]) -> Inputs:
    """The inputs with the target's or the draft's rows changed."""
    arrays = tuple(change(array) if place == which else array for place, array in enumerate(inputs.arrays))
    return Inputs(arrays, inputs.trunk, inputs.trials)


def _answer(caller: Caller, drawing: Drawing, inputs: Inputs, rng: np.random.Generator) -> str:
    """What comes out, in words."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tokens = caller.decide(inputs, rng, drawing.length)[0][0]
    except CallError as failure:
        return f"{failure.fault.value}, {str(failure).split(' (')[0].split(';')[0]}"
    emitted = tokens[tokens >= 0].tolist()
    outside = [token for token in emitted if token >= drawing.columns]
    said = f", {outside[0]} being outside the vocabulary" if outside else ", and no error"
    return f"{emitted} was emitted{said}"
