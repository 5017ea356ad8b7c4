"""Pictures of an audit, painted on matplotlib's axes: frequencies beside the target's law, the evidence by case."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np
import scipy

from veridraft.theory.display.charts import BLUE, FAINT, INK, VERMILION, name_rows

from .case_result import CaseResult

Rows = Sequence[tuple[str, float, float]]
"""(what, expected, observed)."""


def paint_frequencies(axes: Any, rows: Rows, trials: int, level: float) -> None:
    """A diamond for each frequency, and a bar for where that of a lossless verifier lies but with chance ``level``."""
    expected = np.minimum(np.array([row[1] for row in rows]), 1.0)
    low, high = (
        np.asarray(ends(level / 2, trials, expected)) / trials
        for ends in (scipy.stats.binom.ppf, scipy.stats.binom.isf)
    )
    for line, (_, law, seen) in enumerate(rows):
        axes.plot([low[line], high[line]], [line, line], color=BLUE, linewidth=5, alpha=0.35, solid_capstyle="butt")
        axes.plot(law, line, marker="|", color=BLUE, markersize=11, markeredgewidth=2, linestyle="")
        axes.plot(seen, line, marker="D", color=VERMILION, markersize=5, linestyle="", clip_on=False, zorder=3)
    name_rows(axes, [row[0] for row in rows])
    axes.set_xlim(left=-0.02 * axes.get_xlim()[1])


def paint_legend(figure: Any) -> None:
    """What the marks of :func:`paint_frequencies` are."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=VERMILION, marker="D", linestyle="", label="observed"),
        Line2D([], [], color=BLUE, marker="|", markersize=13, markeredgewidth=2, linestyle="", label="expected"),
        Patch(color=BLUE, alpha=0.35, label="where a lossless verifier's frequency lies"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)


def paint_evidence(axes: Any, cases: Sequence[CaseResult]) -> None:
    """A row for each case and request: the logarithm (base 10) of its evidence, and a line where it suffices."""
    needed = max(case.sufficient for case in cases) / log(10)
    finite = [case.log_e / log(10) for case in cases if np.isfinite(case.log_e)]
    end = 1.08 * max([needed, *finite])
    for line, case in enumerate(cases):
        value = min(case.log_e / log(10), end)
        colour = VERMILION if case.log_e >= case.sufficient else BLUE
        axes.plot([0, value], [line, line], color=colour if value else FAINT, linewidth=6, solid_capstyle="butt")
        if not np.isfinite(case.log_e):
            axes.text(end, line, "impossible ", ha="right", va="center", color="white", fontsize=7)
    axes.axvline(needed, color=INK, linewidth=1.4)
    name_rows(axes, [case.name for case in cases])
    axes.set_xlim(0, end)
    axes.set_xlabel("evidence against a lossless verifier (logarithm, base 10)")
