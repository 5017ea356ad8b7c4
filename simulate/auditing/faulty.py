"""Rows that are no law, handed over on purpose: what does a verifier make of them?"""

from __future__ import annotations

import warnings

import numpy as np

from ..forms.calls import Caller, CallError
from ..forms.drawing import Drawing
from ..forms.form import Form, Inputs
from .findings import Observation, Trait

FAULTS = {
    "nan": lambda row: np.full_like(row, np.nan),
    "zeros": np.zeros_like,
    "of sum 2": lambda row: 2 * row,
}
"""What the target's rows become, all of a trial."""


def faulty_rows(caller: Caller, drawing: Drawing, rng: np.random.Generator) -> list[Observation]:
    """What comes out of one trial with faulty rows of the target, for each fault; the form must be handed rows."""
    if caller.form is Form.GENERATE:
        return []
    inputs = drawing.draw(drawing.requests, rng)[0][0]
    return [Observation(Trait.FAULTY_ROWS, f"target rows {name}: {_answer(caller, drawing, inputs, change, rng)}")
            for name, change in FAULTS.items()]  # fmt: skip


def _answer(caller: Caller, drawing: Drawing, inputs: Inputs, change, rng: np.random.Generator) -> str:  # type: ignore[no-untyped-def]
    """What comes out, in words."""
    changed = Inputs((change(inputs.arrays[0]), *inputs.arrays[1:]), inputs.trunk, inputs.trials)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tokens = caller.decide(changed, rng, drawing.length)[0][0]
    except CallError as failure:
        return f"{failure.fault.value}, {str(failure).split(' (')[0].split(';')[0]}"
    emitted = tokens[tokens >= 0].tolist()
    outside = [token for token in emitted if token >= drawing.columns]
    said = f", {outside[0]} being outside the vocabulary" if outside else ", and no error"
    return f"{emitted} was emitted{said}"
