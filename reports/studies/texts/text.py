"""The study's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from math import inf
from statistics import median
from typing import Any

import scipy

from ...writing.markdown import Section
from .decoders import DRAFTS, LOOP_VOCABULARY, TOKENS, VOCABULARY
from .figures import tokens_figure
from .measuring import ALARM_LEVEL, LEVEL, MISMATCH, MOST, SHORT, WAYS

Cells = list[Mapping[str, Any]]


def sections(cells: Iterable[Mapping[str, Any]]) -> tuple[Section, ...]:
    """What was found, and what was condemned wrongly."""
    parts: dict[str, Cells] = {"power": [], "alarms": []}
    for cell in cells:
        parts[cell["part"]].append(cell)
    made = (_power, parts["power"]), (_alarms, parts["alarms"])
    return tuple(section(found) for section, found in made if found)


def _power(cells: Cells) -> Section:
    names = dict.fromkeys(cell["name"] for cell in cells)
    found = {name: _medians([cell for cell in cells if cell["name"] == name]) for name in names}
    return Section(
        "Tokens until a departure is found",
        (
            f"Medians over seeds; the level is {LEVEL:g}, texts have {TOKENS} tokens of {VOCABULARY} kinds "
            f"({LOOP_VOCABULARY} for loops, which draft for themselves), steps {DRAFTS} drafts. A dash stands where "
            f"most audits found nothing within {MOST:,} tokens.",
            "rows: the target's rows alone; draft rows: the draft's too; steps: which tokens were drafted, too; "
            "control: a run without speculation in place of the steps, and nothing believed of the rows.",
        ),
        ("departure", *WAYS),
        tuple((name, *map(_count, of.values())) for name, of in found.items()),
        partial(tokens_figure, found, tuple(WAYS), MOST),
        "Median tokens until each departure is found, by what the auditor is told; further left is better.",
    )


def _medians(cells: Cells) -> dict[str, float]:
    """By way the median of its tokens; audits that found nothing count as later than all."""
    needed = {way: [cell["needed"][way] for cell in cells] for way in WAYS}
    return {way: median(inf if one is None else one for one in tokens) for way, tokens in needed.items()}


def _count(tokens: float) -> str:
    return "-" if tokens == inf else f"{tokens:,.0f}"


def _alarms(cells: Cells) -> Section:
    rows = []
    for name in dict.fromkeys(cell["name"] for cell in cells):
        mine = [cell for cell in cells if cell["name"] == name]
        for way in mine[0]["alarms"]:
            rows.append(_alarm_row(name, way, mine))
    return Section(
        "False alarms",
        (
            f"Audits of {SHORT} texts of decoders that are right, at level {ALARM_LEVEL:g}. With a control, both runs "
            f"are held against rows of another engine, at temperature {MISMATCH:g} of the true ones: 0.0046 nats and "
            "total variation 0.039 a row, about what a quantised engine and its float32 weights differ by.",
        ),
        ("decoder", "told", "audits", "alarms", "rate, 95 % interval"),
        tuple(rows),
    )


def _alarm_row(name: str, way: str, cells: Cells) -> tuple[str, ...]:
    audits, found = sum(cell["audits"] for cell in cells), sum(cell["alarms"][way] for cell in cells)
    low, high = scipy.stats.binomtest(found, audits).proportion_ci(0.95, "exact")
    return name, way, f"{audits:,}", f"{found:,}", f"{low:.4f} to {high:.4f}"
