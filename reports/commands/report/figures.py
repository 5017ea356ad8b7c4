"""The figures of the report's page; every one tells its groups apart by marker or by place, not by colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from veridraft.theory.display.charts import BLUE, FAINT, GREEN, INK, VERMILION, name_rows, paint_reach
from veridraft.theory.verifiers.lifts import Lift, bottom_up, top_down
from veridraft.theory.verifiers.table import VERIFIERS

from ...writing.figures import drawn
from .data import League, Profile, RealRun

STYLES: tuple[tuple[Lift | None, str, tuple[str, str]], ...] = (
    (top_down, "top-down lift", (BLUE, "o")),
    (bottom_up, "bottom-up lift", (VERMILION, "^")),
    (None, "rule of its own", (GREEN, "s")),
)
"""Lift, its words, and (colour, marker)."""

def league_figure(league: League) -> str:
    """A panel per family: each verifier's exact block efficiency as a dot, one row per verifier."""
    names = [row.verifier for row in league.rows]
    columns = min(3, len(league.families))
    lines = -(-len(league.families) // columns)

    def paint(figure: Any) -> None:
        grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
        figure.get_layout_engine().set(h_pad=0.12)
        for axes in grid.flat[len(league.families) :]:
            axes.set_axis_off()
        for index, (axes, (family, _)) in enumerate(zip(grid.flat, league.families, strict=False)):
            _dots(axes, names, [row.values[index] for row in league.rows])
            axes.set_title(family, loc="left")
        _legend(figure, names)

    return drawn("league", 9.6, (0.24 * len(names) + 0.75) * lines + 0.4, paint)


def _dots(axes: Any, names: Sequence[str], values: Sequence[float | None]) -> None:
    """One dot per verifier, its colour and shape those of its lift."""
    for line, (name, value) in enumerate(zip(names, values, strict=True)):
        if value is not None:
            colour, marker = _mark(name)
            axes.plot([1, value], [line, line], color=FAINT, linewidth=1, zorder=1)
            axes.plot(value, line, marker=marker, color=colour, markersize=7, zorder=2)
    name_rows(axes, names)
    known = [value for value in values if value is not None]
    axes.set_xlim(1, max(known, default=2.0) + 0.12)


def _mark(verifier: str) -> tuple[str, str]:
    """(colour, marker) of the verifier's lift, or of a rule without one."""
    return next((style for lift, _, style in STYLES if VERIFIERS[verifier].lift is lift), STYLES[-1][2])


def _legend(figure: Any, names: Sequence[str]) -> None:
    """What the marks of these verifiers mean."""
    from matplotlib.lines import Line2D

    lifts = {VERIFIERS[name].lift for name in names}
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=label)
        for lift, label, (colour, marker) in STYLES
        if lift in lifts
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)


def profile_figure(profiles: Sequence[Profile]) -> str:
    """A small panel per verifier: the probability that at least d draft tokens are accepted, by d."""
    columns = 3
    lines = -(-len(profiles) // columns)
    depth = max(len(profile.stopping) for profile in profiles)
    best = [max(p.reach[d] for p in profiles if len(p.reach) > d) for d in range(1, depth)]

    def paint(figure: Any) -> None:
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(profiles) :]:
            axes.set_axis_off()
        for axes, profile in zip(grid.flat, profiles, strict=False):
            _bars(axes, profile, best)
        for axes in grid[-1]:
            axes.set_xlabel("draft tokens d")

    return drawn("profile", 9.6, 1.6 * lines + 0.25, paint)


def _bars(axes: Any, profile: Profile, best: Sequence[float]) -> None:
    """Bars of one verifier's reach, each under a tick at the greatest reach of all."""
    colour, _ = _mark(profile.verifier)
    paint_reach(axes, profile.reach[1:], colour)
    for depth, value in zip(range(1, len(best) + 1), best, strict=True):
        axes.plot([depth - 0.42, depth + 0.42], [value, value], color=INK, linewidth=1.4)
    lift = VERIFIERS[profile.verifier].lift
    words = f", {lift.name.replace('_', '-')}" if lift else ""
    axes.set_title(f"{profile.verifier}, {profile.policy}{words}", loc="left")
    axes.set_xticks(range(1, len(best) + 1))


def real_figure(real: RealRun) -> str:
    """Measured block efficiency and, at the prediction, the interval in which it should lie; a row per verifier."""

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for line, row in enumerate(real.rows):
            low, high = (row.predicted + bound for bound in row.interval)
            axes.plot([low, high], [line, line], color=BLUE, linewidth=5, alpha=0.35, solid_capstyle="butt")
            axes.plot(row.predicted, line, marker="|", color=BLUE, markersize=13, markeredgewidth=2, linestyle="")
            axes.plot(row.measured, line, marker="D", color=VERMILION, markersize=6, linestyle="")
        _label_real(axes, [row.verifier for row in real.rows])
        _real_legend(figure)

    return drawn("real", 9.6, 0.33 * len(real.rows) + 1.0, paint)


def _label_real(axes: Any, names: Sequence[str]) -> None:
    name_rows(axes, names)
    axes.set_xlabel("block efficiency (tokens per target pass)")


def _real_legend(figure: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=VERMILION, marker="D", linestyle="", label="measured"),
        Line2D([], [], color=BLUE, marker="|", markersize=13, markeredgewidth=2, linestyle="", label="predicted"),
        Patch(color=BLUE, alpha=0.35, label="interval for the measured mean"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
