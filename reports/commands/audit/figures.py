"""Figures of an audit: frequencies beside the target's law, and the evidence by case."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np
import scipy

from veridraft.simulate.auditing.case_result import CaseResult, departures

from ...writing.figures import BLUE, FAINT, INK, VERMILION, drawn

MOST_PLACES, MOST_TOKENS = 5, 8
"""Places of a string, and tokens at a place, that a figure shows."""

Rows = Sequence[tuple[str, float, float]]
"""(what, expected, observed)."""


def strings_figure(case: CaseResult, level: float) -> str:
    """The strings that depart most: a diamond for the frequency, a bar for where a lossless one lies."""
    rows = [(" ".join(map(str, string)), law, seen) for string, law, seen in departures(case)]

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        _bars_and_diamonds(axes, rows, case.trials, level)
        axes.set_xlabel("frequency of the string")
        _legend(figure)

    return drawn("strings", 9.6, 0.27 * len(rows) + 1.0, paint)


def tokens_figure(case: CaseResult, level: float) -> str:
    """A panel for each place of the string: the tokens there, all or those that depart most."""
    places = min(case.length, MOST_PLACES)
    rows = [token_rows(case, place) for place in range(places)]

    def paint(figure: Any) -> None:
        for place, axes in enumerate(figure.subplots(1, places, squeeze=False)[0]):
            _bars_and_diamonds(axes, rows[place], case.trials, level)
            axes.set_title(f"token {place + 1}", loc="left")
            axes.set_xlabel("frequency")
            axes.locator_params(axis="x", nbins=4)

    return drawn("tokens", 9.6, 0.27 * max(map(len, rows)) + 0.9, paint)


def token_rows(case: CaseResult, place: int) -> list[tuple[str, float, float]]:
    """(token, expected, observed) at a place of the string, in the tokens' order; at most ``MOST_TOKENS``."""
    shape = (case.vocabulary_size,) * case.length
    others = tuple(axis for axis in range(case.length) if axis != place)
    law, seen = case.law.reshape(shape).sum(axis=others), case.counts.reshape(shape).sum(axis=others) / case.trials
    spread = np.sqrt(np.maximum(law * (1 - law), 1e-12))
    kept = np.sort(np.argsort(-np.abs(seen - law) / spread, kind="stable")[:MOST_TOKENS])
    return [(str(token), float(law[token]), float(seen[token])) for token in kept]


def _bars_and_diamonds(axes: Any, rows: Rows, trials: int, level: float) -> None:
    expected = np.minimum(np.array([row[1] for row in rows]), 1.0)
    low, high = (
        np.asarray(ends(level / 2, trials, expected)) / trials
        for ends in (scipy.stats.binom.ppf, scipy.stats.binom.isf)
    )
    for line, (_, law, seen) in enumerate(rows):
        axes.plot([low[line], high[line]], [line, line], color=BLUE, linewidth=5, alpha=0.35, solid_capstyle="butt")
        axes.plot(law, line, marker="|", color=BLUE, markersize=11, markeredgewidth=2, linestyle="")
        axes.plot(seen, line, marker="D", color=VERMILION, markersize=5, linestyle="", clip_on=False, zorder=3)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=-0.02 * axes.get_xlim()[1])
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def _legend(figure: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=VERMILION, marker="D", linestyle="", label="observed"),
        Line2D([], [], color=BLUE, marker="|", markersize=13, markeredgewidth=2, linestyle="", label="expected"),
        Patch(color=BLUE, alpha=0.35, label="where a lossless verifier's frequency lies"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)


def evidence_figure(cases: Sequence[CaseResult]) -> str:
    """A row for each case and request: the logarithm (base 10) of its evidence, and a line where it suffices."""
    names = [case.case + (f", request {case.request}" if case.request else "") for case in cases]
    needed = max(case.sufficient for case in cases) / log(10)
    finite = [case.log_e / log(10) for case in cases if np.isfinite(case.log_e)]
    end = 1.08 * max([needed, *finite])

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for line, case in enumerate(cases):
            value = min(case.log_e / log(10), end)
            colour = VERMILION if case.log_e >= case.sufficient else BLUE
            axes.plot([0, value], [line, line], color=colour if value else FAINT, linewidth=6, solid_capstyle="butt")
            if not np.isfinite(case.log_e):
                axes.text(end, line, "impossible ", ha="right", va="center", color="white", fontsize=7)
        axes.axvline(needed, color=INK, linewidth=1.4)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, end)
        axes.set_xlabel("evidence against a lossless verifier (logarithm, base 10)")
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.tick_params(length=0)

    return drawn("evidence", 9.6, 0.27 * len(cases) + 0.7, paint)
