"""The page of a suite: what agrees, what parts, what is fastest; every cell in a table that opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...running.options import CLOCK_NAMES
from ...writing.html import duration
from ...writing.tables import ABSENT, Table
from .figures import heat_figure, heat_width, score_figure, speed_figure
from .leads import Quantity, delays, wins
from .rows import Setting, Suite, SuiteRow, setting_text
from .tables import (
    cell_table,
    depth_table,
    fastest_step_table,
    memory_line,
    memory_table,
    setting_table,
    share_line,
    speed_setting_table,
    speed_table,
    step_table,
)
from .text import TIMING_ONLY, chance, comparisons, sentences, summary
from .win_tables import delay_line, delay_matrix, delay_table, shape_table, win_table

REM = 6.5
"""Of the page's units in an inch of a figure that is not as wide as the page."""


@dataclass(frozen=True)
class Winners:
    """What wins by one quantity: the best cells, the best of each shape, delayed trees in short and in full."""

    quantity: Quantity
    best: Table
    shapes: Table
    line: str
    short: Table | None
    full: Table | None


def write_suite_page(suite: Suite, path: Path) -> Path:
    """The path, after the page has been written there."""
    path.write_text(render(suite), encoding="utf-8")
    return path


def render(suite: Suite) -> str:
    """The page as HTML text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("veridraft.reports.writing", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("suite.html").render(_values(suite))


def _values(suite: Suite) -> dict[str, Any]:
    """Everything that the template shows."""
    return {
        "suite": suite, "held": suite.file.settings, "machine": suite.file.machine, "facts": headlines(suite),
        "timing_only": TIMING_ONLY, "lines": summary(suite)[2 + suite.timing_only :], "clock": CLOCK_NAMES[suite.clock],
        "sentences": sentences(suite), "chance": chance(suite), "notes": notes(suite),
        "by_setting": setting_table(suite) if suite.rows else None,
        "score_svg": score_figure(suite) if suite.scores else "",
        "cells": [(setting_text(one), *_tables(suite, one)) for one in suite.settings],
        "duration": duration(sum(row.cell["seconds"] for row in suite.rows)),
        **_speed_values(suite), **_winner_values(suite),
    }  # fmt: skip


def _speed_values(suite: Suite) -> dict[str, Any]:
    """What the template shows of throughput."""
    timed = bool(suite.timed)
    return {
        "speeds": speed_setting_table(suite) if timed else None,
        "steps": fastest_step_table(suite) if timed else None,
        "speed_svg": speed_figure(suite) if timed else "",
        "share": share_line(suite),
        "memory": memory_line(suite),
    }


def _winner_values(suite: Suite) -> dict[str, Any]:
    """What the template shows of comparisons between cells."""
    return {
        "winners": winners(suite),
        "comparisons": comparisons(suite),
        "heat_svg": heat_figure(suite) if _drafting(suite) else "",
        "heat_rem": round(REM * heat_width(suite), 1),
        "plain": all(win.plain for win in wins(suite, Quantity.SPEED)),
    }


def _drafting(suite: Suite) -> bool:
    """True if speeds can be told apart: something was drafted, by networks whose acceptance means something."""
    return not suite.timing_only and any(row.policy != "Chain(0)" for row in suite.timed)


def _tables(suite: Suite, setting: Setting) -> tuple[Table, ...]:
    """Every cell of a setting: scores, depths, throughput, steps, memory."""
    rows = suite.at(setting)
    return tuple(table(suite, rows) for table in (cell_table, depth_table, speed_table, step_table, memory_table))


def winners(suite: Suite) -> tuple[Winners, ...]:
    """What wins, by each quantity; nothing where acceptance means nothing."""
    if suite.timing_only or not suite.timed:
        return ()
    found = []
    for quantity in Quantity:
        compared = delays(suite, quantity)
        short = delay_matrix(suite, quantity) if compared else None
        full = delay_table(suite, quantity, compared) if compared else None
        best, shapes = win_table(suite, quantity), shape_table(suite, quantity)
        found.append(Winners(quantity, best, shapes, delay_line(suite, quantity), short, full))
    return tuple(found)


def notes(suite: Suite) -> list[str]:
    """Why a score is absent, each reason once with how many cells have it."""
    counts: dict[tuple[str, str], int] = {}
    for row in suite.rows:
        for name, note in row.cell["notes"].items():
            counts[name, note] = counts.get((name, note), 0) + 1
    return [f"{name} in {count} cell{'s' * (count != 1)}: {note}" for (name, note), count in counts.items()]


def headlines(suite: Suite) -> list[tuple[str, str, bool]]:
    """(figure, what it says, whether all is well) for the top of the page, each computed from the suite."""
    rows, timed = suite.rows, suite.timed
    agree, near = sum(row.agrees for row in rows), sum(row.near for row in timed)
    facts = [(f"{agree} of {len(rows)}", "cells whose block efficiency and scores agree with the prediction",
              agree == len(rows))]  # fmt: skip
    if suite.scores:
        worst = max(map(abs, suite.scores))
        text = f"largest |z| of {len(suite.scores):,}; up to {suite.threshold:.3g} is agreement"
        facts.append((f"{worst:.2f}", text, worst <= suite.threshold))
    if timed:
        facts.append((f"{near} of {len(timed)}", _near_text(timed), not any(row.far for row in timed)))
    if timed and not suite.timing_only:
        facts.append(_speed_up(suite))
    return facts


def _near_text(timed: Sequence[SuiteRow]) -> str:
    """What stands below how many predictions came near."""
    by_chance = sum(not row.near and not row.far for row in timed)
    return "throughputs predicted within 10 %" + (f"; {by_chance} more within their intervals" if by_chance else "")


def _speed_up(suite: Suite) -> tuple[str, str, bool]:
    """The greatest lead over plain decoding, by the clock that counts."""
    leads = [(win.over(win.plain), win) for win in wins(suite, Quantity.SPEED)]
    known = [(found.ratio.value, win) for found, win in leads if found is not None]
    if not known:
        return ABSENT, "no cell was faster than plain decoding, or it was not run", True
    value, win = max(known, key=lambda one: one[0])
    return f"{value:.2f} times", f"plain decoding: {win.best.name} at {setting_text(win.setting)}", True
