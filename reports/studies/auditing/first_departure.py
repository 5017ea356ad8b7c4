"""At which token the law of a defect departs first: by its exact law, or by a large sample where it has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from veridraft.simulate.auditing.evidence import Evidence
from veridraft.simulate.auditing.explaining.places import PLACE_LEVEL, departure
from veridraft.simulate.batches.row_tables import RowTables
from veridraft.simulate.batches.rows import Floats
from veridraft.simulate.defects.kinds import Defect
from veridraft.simulate.forms.calls import Caller, CallError
from veridraft.simulate.forms.cases import Case
from veridraft.simulate.forms.drawing import Drawing, string_law
from veridraft.simulate.forms.form import Form
from veridraft.simulate.forms.pace import Pace
from veridraft.simulate.forms.trials import string_counts
from veridraft.simulate.white_box.certificates import enumerate_law
from veridraft.simulate.white_box.injection import NotEnumerableError, NotRepeatableError
from veridraft.theory.rows.trees import Context

MOST_RUNS = 5_000
"""A law of more runs than this is sampled."""

PLACE_TRIALS = 1_000_000
"""Trials of such a sample."""

ROUNDING = 1e-9
"""A total variation above this is above zero."""


@cache
def first_departure(defect: Defect, case: Case, request: int) -> tuple[int | None, bool]:
    """The first token, from 1, by which the law of a broken verifier departs, and whether that is by its exact law."""
    drawing = Drawing(case, defect.form)
    verifier = defect.broken
    if defect.form is Form.GENERATE:
        verifier = defect.broken(case.pair, case.policy.depth, case.contexts[0])
    if case.requests == 1 and case.lengths is None:
        try:
            return exact_departure(verifier, drawing), True
        except (CallError, NotEnumerableError, NotRepeatableError):
            pass
    return sampled_departure(verifier, drawing, request), False


def exact_departure(verifier: Callable[..., Any], drawing: Drawing, batched: bool = True) -> int | None:
    """By the exact law of a verifier, in float arithmetic; errors are those of :func:`.enumerate_law`."""
    case = drawing.case
    found = enumerate_law(
        verifier, case.policy, case.pair, drawing.form, "float", case.contexts[0], batched=batched,
        most_runs=MOST_RUNS,
    )  # fmt: skip
    target = string_law(drawing.tables[0]).reshape(drawing.shape)
    for place, law in enumerate(beginnings(found.strings, drawing.tables[0]), 1):
        expected = target.sum(axis=tuple(range(place, drawing.length))).ravel()
        if np.abs(law - expected).sum() / 2.0 > ROUNDING:
            return place
    return None


def beginnings(strings: Mapping[Context, float], tables: RowTables) -> list[Floats]:
    """(V,), (V ** 2,), ... the laws of the first tokens of emitted strings that the target completes."""
    size, length = tables.vocabulary_size, len(tables.target)
    ended, completed, laws = np.zeros(1), np.zeros(1), []
    for place in range(1, length + 1):
        completed = ((completed + ended)[:, None] * tables.target[place - 1]).ravel()
        ended, emitted = np.zeros(size**place), np.zeros(size**place)
        for string, mass in strings.items():
            if len(string) >= place:
                number = int(np.ravel_multi_index(string[:place], (size,) * place))
                emitted[number] += mass
                ended[number] += mass if len(string) == place else 0.0
        laws.append(emitted + completed)
    return laws


def sampled_departure(verifier: Callable[..., Any], drawing: Drawing, request: int) -> int | None:
    """By so many trials, in which a place is named too early with probability ``PLACE_LEVEL`` at most."""
    caller = Caller(verifier, drawing.form, batched=True, pace=Pace(batched=True))
    counts = string_counts(caller, drawing, PLACE_TRIALS, np.random.default_rng(0))
    evidence = Evidence(string_law(drawing.tables[request]).reshape(drawing.shape), PLACE_LEVEL)
    evidence.counts += counts[request]
    first = departure(evidence)
    return None if first is None else first + 1
