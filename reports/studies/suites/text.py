"""What a suite's study prints: the run, what agrees, what parts.

A suite of many cells is printed setting by setting, with the cells that are farthest off; its page has them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import erfc, inf, sqrt
from textwrap import fill
from typing import Any

from ...running.options import CLOCK_NAMES
from ...writing.tables import Table, signed
from .rows import SCORES, Suite, SuiteRow, setting_text
from .tables import (
    cell_table,
    fastest_step_table,
    memory_line,
    near_line,
    off,
    percent,
    ratio,
    setting_table,
    share_line,
    speed_setting_table,
    speed_table,
    step_table,
    worst_rows,
)

MOST_ROWS = 40
"""A printed table with more is replaced by one row for each setting, and the worst rows."""

WORST = 10
"""So many rows are the worst."""

WIDTH = 120
"""Characters of a printed line that is no table's."""

TAIL = 3.0
"""Scores beyond it are counted, and compared with chance."""

TIMING_ONLY = (
    "TIMING ONLY: the weights are random. Times and memory mean something, and so do the scores: decoding kept the "
    "law of these networks. Acceptance, block efficiency and tokens per second mean nothing, and no table here says "
    "which verifier or policy is better."
)


def suite_text(suite: Suite) -> str:
    """The whole answer as text."""
    parts = [_wrapped(summary(suite))]
    if suite.rows:
        parts += [table.text() for table in tables(suite)]
        parts.append(_wrapped(line for line in closing(suite) if line))
    findings = sentences(suite)
    if findings:
        more = [f"... and {len(findings) - MOST_ROWS} more on the page"] if len(findings) > MOST_ROWS else []
        parts.append(_wrapped([f"Where measured and predicted part. {chance(suite)}", *findings[:MOST_ROWS], *more]))
    return "\n\n".join(parts)


def _wrapped(lines: Iterable[str]) -> str:
    """The lines, long ones broken and indented."""
    return "\n".join(fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False) for line in lines)


def tables(suite: Suite) -> list[Table]:
    """The tables that are printed."""
    return [*_agreement(suite), *_speeds(suite)]


def _agreement(suite: Suite) -> list[Table]:
    if len(suite.rows) <= MOST_ROWS:
        return [cell_table(suite, suite.rows)]
    worst = worst_rows(suite.rows, lambda row: row.worst_score if row.agrees else inf, WORST)
    return [setting_table(suite), cell_table(suite, worst, f"The {WORST} cells that are farthest off")]


def _speeds(suite: Suite) -> list[Table]:
    if not suite.timed:
        return []
    if len(suite.rows) <= MOST_ROWS:
        return [speed_table(suite, suite.timed), step_table(suite, suite.timed)]
    caption = f"The {WORST} throughputs that are farthest off, {CLOCK_NAMES[suite.clock]}"
    worst = speed_table(suite, worst_rows(suite.timed, off, WORST), caption)
    return [speed_setting_table(suite), worst, fastest_step_table(suite)]


def summary(suite: Suite) -> list[str]:
    """The run, the cells that are done, the scores and what chance gives, in lines."""
    lines = [_where(suite), f"Made by: {suite.file.command}"]
    if suite.timing_only:
        lines.append(TIMING_ONLY)
    lines.append(_count(suite))
    lines += _left_out(suite.left_out)
    if suite.scores:
        lines += [_scores(suite), _errors(suite)]
    if suite.timed:
        lines.append(near_line(suite))
    return lines


def _where(suite: Suite) -> str:
    held, machine = suite.file.settings, suite.file.machine
    packed = ", packed layers" if held["packed"] else ""
    processor = f"{machine['processor']}, " if machine["processor"] != machine["name"] else ""
    return (
        f"Suite {held['suite']} on {machine['name']} ({processor}{machine['cores']} cores, "
        f"{_plural(machine['threads'], 'thread')}; {held['device']}, {held['dtype']}{packed}; torch "
        f"{machine['torch']}, transformers {machine['transformers']}): target {held['target']}, draft "
        f"{held['draft']}, |V| = {held['vocabulary_size']:,}; {_plural(held['steps'], 'verified tree')} a cell, "
        f"{_plural(held['rows'], 'request')} at once, seed {held['seed']}"
    )


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + "s" * (count != 1)


def _count(suite: Suite) -> str:
    """How many cells agree, disagree, are left out, are missing."""
    agree, missing = sum(row.agrees for row in suite.rows), suite.file.missing
    line = (f"Cells: {agree} agree, {len(suite.rows) - agree} disagree, {len(suite.left_out)} cannot be run, "
            f"{len(missing)} not finished")  # fmt: skip
    if not missing:
        return line
    verifier, policy, temperature, top_p = missing[0]
    first = f"{verifier}, {policy} at {setting_text((temperature, top_p))}"
    return f"{line} (the first: {first}): the command goes on there"


def _left_out(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each reason once, with the cells that it keeps from being run."""
    reasons: dict[str, list[str]] = {}
    for cell in cells:
        reasons.setdefault(str(cell["left_out"]), []).append(f"{cell['verifier']}, {cell['policy']}")
    lines = []
    for reason, names in reasons.items():
        distinct = list(dict.fromkeys(names))
        shown = "; ".join(distinct[:6]) + (f" and {len(distinct) - 6} more" if len(distinct) > 6 else "")
        lines.append(f"Cannot be run ({_plural(len(names), 'cell')}): {shown}: {reason}")
    return lines


def _beyond(limit: float) -> float:
    """The probability that a standard normal score is farther from 0."""
    return erfc(limit / sqrt(2))


def _scores(suite: Suite) -> str:
    """How many scores were looked at, the largest, and how many chance would put beyond 3."""
    worst = max(suite.rows, key=lambda row: row.worst_score)
    name = max(worst.scores, key=lambda score: abs(worst.scores[score]))
    seen = sum(abs(score) > TAIL for score in suite.scores)
    return (f"Scores: {len(suite.scores):,} looked at, the largest |z| is {worst.worst_score:.2f} ({name} of "
            f"{worst.name} at {setting_text(worst.setting)}); beyond {TAIL:g} lie {seen}, where chance gives "
            f"{len(suite.scores) * _beyond(TAIL):.2g}")  # fmt: skip


def _errors(suite: Suite) -> str:
    """What a false alarm would cost, over the whole run."""
    error = len(suite.scores) * _beyond(suite.threshold)
    return (f"Errors: a score fails beyond {suite.threshold:.3g}, which happens by chance to any of them with "
            f"probability at most {error:.2g}; the intervals of the differences hold together at level "
            f"{suite.level:g}")  # fmt: skip


def closing(suite: Suite) -> list[str]:
    """Verification's share, memory, and what speeds rest on."""
    if not suite.timed:
        return [memory_line(suite), "No cell has rounds enough to say how much speeds differ."]
    return [share_line(suite), memory_line(suite), *([] if suite.timing_only else [COMPARISONS])]


COMPARISONS = (
    "Cells ran one after another: a drift of the machine lies between them. Which verifier or policy is faster is told "
    "by the study of wins (veridraft study run wins), which holds them against each other at the same roots."
)


def chance(suite: Suite) -> str:
    """How many cells would have a parting term by chance, in a sentence."""
    return (f"A term is named at level {suite.level:g} for the terms of a cell together: by chance in at most "
            f"{len(suite.timed) * (1 - suite.level):.1f} of {_plural(len(suite.timed), 'cell')}.")  # fmt: skip


def sentences(suite: Suite) -> list[str]:
    """For each cell that disagrees, or whose throughput parts from its prediction, which term did it."""
    return [said for row in suite.rows for said in (_disagreement(row), _parting(row)) if said]


def _disagreement(row: SuiteRow) -> str | None:
    if row.agrees:
        return None
    low, high = row.cell["interval"]
    found = [f"{name} is {score:+.2f} ({SCORES[name]})" for name, score in row.scores.items()
             if abs(score) > row.threshold]  # fmt: skip
    if not low <= row.cell["difference"] <= high:
        found.append(f"the difference {signed(row.cell['difference'])} lies outside {signed(low)} to {signed(high)}")
    return f"{_cell(row)}: DISAGREES: {'; '.join(found) or 'the run says so'}."


def _parting(row: SuiteRow) -> str | None:
    """What parts measured and predicted throughput; ``None`` where they are near and nothing parts them."""
    if row.speed is None or (row.near and row.parting is None):
        return None
    share = ratio(row) - 1
    way = "above" if share > 0 else "below"
    start = f"{_cell(row)}: throughput is {abs(100 * share):.1f} % {way} its prediction"
    if row.parting is None:
        return f"{start}; no term of 1 % or more is beyond chance."
    name, part = row.parting
    return f"{start}; the most is {name}: {percent(part.value)} % ({percent(part.low)} to {percent(part.high)})."


def _cell(row: SuiteRow) -> str:
    return f"{row.name} at {setting_text(row.setting)}"
