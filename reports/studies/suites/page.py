"""The page of a suite: what agrees and what parts; every cell in a table that opens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...running.options import CLOCK_NAMES
from ...writing.html import duration, rendered
from ...writing.tables import Table
from .figures import MOST_BARS, score_figure, speed_figure
from .rows import Setting, Suite, SuiteRow, setting_text
from .tables import (
    PLACE,
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
from .telling import plainly, said_one_by_one, said_together
from .text import COMPARISONS, TIMING_ONLY, chance, summary

WITH_BARS = "; bars are intervals, which hold together."
WITHOUT_BARS = ". The intervals, which hold together over all cells and are wide for it, stand in the tables."


def render(suite: Suite) -> str:
    """The page as HTML text."""
    return rendered("suite.html", **_values(suite))


def _values(suite: Suite) -> dict[str, Any]:
    """Everything that the template shows."""
    return {
        "suite": suite, "held": suite.file.settings, "machine": suite.file.machine, "facts": headlines(suite),
        "timing_only": TIMING_ONLY, "lines": summary(suite)[2 + suite.timing_only :], "clock": CLOCK_NAMES[suite.clock],
        "sentences": said_one_by_one(suite), "together": said_together(suite), "chance": chance(suite),
        "notes": notes(suite), "by_setting": setting_table(suite) if suite.rows else None,
        "score_svg": score_figure(suite) if suite.scores else "",
        "cells": [(setting_text(one), *_tables(suite, one)) for one in suite.settings],
        "duration": duration(sum(row.cell["seconds"] for row in suite.rows)),
        "comparisons": "" if suite.timing_only else COMPARISONS, **_speed_values(suite),
    }  # fmt: skip


def _speed_values(suite: Suite) -> dict[str, Any]:
    """What the template shows of throughput."""
    timed = bool(suite.timed)
    return {
        "speeds": plainly(speed_setting_table(suite)) if timed else None,
        "steps": plainly(fastest_step_table(suite)) if timed else None,
        "speed_svg": speed_figure(suite) if timed else "",
        "bars": WITH_BARS if len(suite.timed) <= MOST_BARS else WITHOUT_BARS,
        "share": share_line(suite),
        "memory": memory_line(suite),
    }


def _tables(suite: Suite, setting: Setting) -> tuple[Table, ...]:
    """Every cell of a setting, which the heading names: scores, depths, throughput, steps, memory."""
    rows = suite.at(setting)
    tables = cell_table, depth_table, speed_table, step_table, memory_table
    return tuple(plainly(table(suite, rows)).without(PLACE) for table in tables)


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
    return facts


def _near_text(timed: Sequence[SuiteRow]) -> str:
    """What stands below how many predictions came near."""
    by_chance = sum(not row.near and not row.far for row in timed)
    return "throughputs predicted within 10 %" + (f"; {by_chance} more within their intervals" if by_chance else "")
