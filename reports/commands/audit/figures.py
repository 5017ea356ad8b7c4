"""Figures of an audit: frequencies beside the target's law, and the evidence by case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from veridraft.simulate.auditing.case_result import CaseResult, departures
from veridraft.simulate.auditing.pictures import paint_evidence, paint_frequencies, paint_legend
from veridraft.theory.display.charts import AROUND, ROW

from ...writing.figures import drawn

MOST_PLACES, MOST_TOKENS = 5, 8
"""Places of a string, and tokens at a place, that a figure shows."""

def strings_figure(case: CaseResult, level: float) -> str:
    """The strings that depart most: a diamond for the frequency, a bar for where a lossless one lies."""
    rows = [(" ".join(map(str, string)), law, seen) for string, law, seen in departures(case)]

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        paint_frequencies(axes, rows, case.trials, level)
        axes.set_xlabel("frequency of the string")
        paint_legend(figure)

    return drawn("strings", 9.6, ROW * len(rows) + 1.0, paint)


def tokens_figure(case: CaseResult, level: float) -> str:
    """A panel for each place of the string: the tokens there, all or those that depart most."""
    places = min(case.length, MOST_PLACES)
    rows = [token_rows(case, place) for place in range(places)]

    def paint(figure: Any) -> None:
        for place, axes in enumerate(figure.subplots(1, places, squeeze=False)[0]):
            paint_frequencies(axes, rows[place], case.trials, level)
            axes.set_title(f"token {place + 1}", loc="left")
            axes.set_xlabel("frequency")
            axes.locator_params(axis="x", nbins=4)

    return drawn("tokens", 9.6, ROW * max(map(len, rows)) + 0.9, paint)


def token_rows(case: CaseResult, place: int) -> list[tuple[str, float, float]]:
    """(token, expected, observed) at a place of the string, in the tokens' order; at most ``MOST_TOKENS``."""
    shape = (case.vocabulary_size,) * case.length
    others = tuple(axis for axis in range(case.length) if axis != place)
    law, seen = case.law.reshape(shape).sum(axis=others), case.counts.reshape(shape).sum(axis=others) / case.trials
    spread = np.sqrt(np.maximum(law * (1 - law), 1e-12))
    kept = np.sort(np.argsort(-np.abs(seen - law) / spread, kind="stable")[:MOST_TOKENS])
    return [(str(token), float(law[token]), float(seen[token])) for token in kept]


def evidence_figure(cases: Sequence[CaseResult]) -> str:
    """A row for each case and request: the logarithm (base 10) of its evidence, and a line where it suffices."""
    return drawn("evidence", 9.6, ROW * len(cases) + AROUND, lambda figure: paint_evidence(figure.subplots(), cases))
