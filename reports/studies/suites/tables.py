"""The tables of a suite, cell by cell and setting by setting: scores, throughput, steps by term, memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from veridraft.theory.speed.rates import Term

from ...running.options import CLOCK_NAMES
from ...writing.tables import ABSENT, Table, number, signed
from .rows import WITHIN, Setting, Suite, SuiteRow, fastest, setting_text

RANDOM_WEIGHTS = "random weights: acceptance means nothing"

PLACE = ("T", "top-p")
"""Columns that say where a cell belongs."""

SECOND = {"cpu": "wall", "wall": "cpu"}
"""The clock beside the one by which speeds are told."""


MOST = 100
"""A ratio beyond this is not printed."""


def said(suite: Suite, table: Table) -> Table:
    """The table; its caption says so where weights are random."""
    return replace(table, caption=f"{table.caption} ({RANDOM_WEIGHTS})") if suite.timing_only else table


def place(setting: Setting) -> tuple[str, str]:
    """The cells of the two columns of ``PLACE``."""
    return f"{setting[0]:g}", f"{setting[1]:g}"


def cell_table(suite: Suite, rows: Sequence[SuiteRow], caption: str = "") -> Table:
    """Measured against predicted block efficiency, cell by cell, with all scores."""
    columns = ("verifier", "policy", *PLACE, "trees", "measured", "predicted", "difference", "interval",
               "z", "z draft", "z text", "verdict")  # fmt: skip
    caption = caption or "Block efficiency, cell by cell: measured and predicted before drafting"
    return said(suite, Table(caption, columns, tuple(map(_cell, rows)), names=2))


def _cell(row: SuiteRow) -> tuple[str, ...]:
    cell, scores = row.cell, row.scores
    interval = " to ".join(signed(end + 0.0) for end in cell["interval"])
    return (
        row.verifier, row.policy, *place(row.setting), f"{cell['trees']:,}", number(cell["measured"], 3),
        number(cell["predicted"], 3), signed(cell["difference"]), interval,
        *(number(scores.get(name), 2) for name in ("z", "z_draft", "z_text")), cell["verdict"],
    )  # fmt: skip


def setting_table(suite: Suite) -> Table:
    """How many cells agree at each setting, and the score farthest from 0."""
    columns = (*PLACE, "cells", "agree", "disagree", "largest |z|", "of")
    cells = []
    for setting in suite.settings:
        rows = suite.at(setting)
        worst, agree = max(rows, key=lambda row: row.worst_score), sum(row.agrees for row in rows)
        cells.append((*place(setting), str(len(rows)), str(agree), str(len(rows) - agree),
                      number(worst.worst_score, 2), worst.name))  # fmt: skip
    return said(suite, Table("Block efficiency by setting: measured against predicted", columns, tuple(cells)))


def speed_table(suite: Suite, rows: Sequence[SuiteRow], caption: str = "") -> Table:
    """Throughput, measured and predicted, cell by cell, and the term that parts them."""
    other = CLOCK_NAMES[SECOND[suite.clock]]
    columns = ("verifier", "policy", *PLACE, "tokens/s", "predicted", "ratio", "interval", "step's time",
               "within 10 %", f"tokens/s, {other}", "parted by")  # fmt: skip
    caption = caption or f"Throughput of all requests together, {CLOCK_NAMES[suite.clock]}: measured and predicted"
    timed = [row for row in rows if row.speed is not None]
    return said(suite, Table(caption, columns, tuple(map(_speed, timed)), names=2))


def _speed(row: SuiteRow) -> tuple[str, ...]:
    speed, found, beside = row.speed, row.ratio, row.speed_by(SECOND[row.clock])
    assert speed and found and beside, "only timed rows stand in the table"
    return (
        row.verifier, row.policy, *place(row.setting), f"{speed.measured:.4g}", f"{speed.predicted:.4g}",
        f"{found.value:.3f}", f"{found.low:.3f} to {_high(found.high)}", f"{speed.time_ratio.value:.3f}",
        "yes" if row.near else "NO", f"{beside.measured:.4g}", row.parting[0] if row.parting else ABSENT,
    )  # fmt: skip


def _high(value: float) -> str:
    """The upper end of a ratio's interval; very few rounds say next to nothing."""
    return f"{value:.3f}" if value < MOST else f"over {MOST:g}"


def speed_setting_table(suite: Suite) -> Table:
    """How near predicted throughput came at each setting, and the cell that is farthest off."""
    columns = (*PLACE, "cells", "within 10 %", "interval holds 1", "median ratio", "farthest", "of")
    cells = []
    for setting in suite.settings:
        rows = [row for row in suite.at(setting) if row.speed is not None]
        if rows:
            worst = max(rows, key=off)
            near, inside = sum(row.near for row in rows), sum(row.inside for row in rows)
            middle, farthest = median(map(ratio, rows)), ratio(worst)
            cells.append((*place(setting), str(len(rows)), str(near), str(inside), f"{middle:.3f}",
                          f"{farthest:.3f}", worst.name))  # fmt: skip
    caption = f"Throughput by setting, {CLOCK_NAMES[suite.clock]}: measured over predicted"
    return said(suite, Table(caption, columns, tuple(cells)))


def ratio(row: SuiteRow) -> float:
    """Measured over predicted throughput, 1 where it is not known."""
    return row.ratio.value if row.ratio else 1.0


def off(row: SuiteRow) -> float:
    """How far the ratio is from 1, as a factor above it."""
    return max(ratio(row), 1 / ratio(row))


def percent(share: float) -> str:
    """A share as per cent, with its sign."""
    return f"{round(100 * share, 1) + 0.0:+.1f}".replace("-", "\N{MINUS SIGN}")


def step_table(suite: Suite, rows: Sequence[SuiteRow], caption: str = "") -> Table:
    """The mean step by term, in milliseconds, and verification's share of it."""
    terms = (term.value for term in Term)
    columns = ("verifier", "policy", *PLACE, "tokens a step", *terms, "step", "verification's share")
    timed = [row for row in rows if row.speed is not None]
    caption = caption or f"The step of all requests together, ms, {CLOCK_NAMES[suite.clock]}: measured / predicted"
    return said(suite, Table(caption, columns, tuple(map(_step, timed)), names=2))


def _step(row: SuiteRow) -> tuple[str, ...]:
    speed = row.speed
    assert speed is not None, "only timed rows stand in the table"
    measured, predicted = speed.step(), speed.step("predicted_seconds")
    terms = (_two(1e3 * measured.terms[term], 1e3 * predicted.terms[term]) for term in Term)
    tokens = f"{speed.tokens():.2f} / {speed.tokens('predicted_tokens'):.2f}"
    total = _two(1e3 * measured.total, 1e3 * predicted.total)
    return (row.verifier, row.policy, *place(row.setting), tokens, *terms, total, f"{100 * share(row):.1f} %")


def _two(measured: Any, predicted: Any) -> str:
    return f"{measured:.3g} / {predicted:.3g}"


def share(row: SuiteRow) -> float:
    """The share of a measured step that verification takes."""
    step = row.speed.step() if row.speed else None
    return float(step.verification / step.total) if step else 0.0


def fastest_step_table(suite: Suite) -> Table:
    """The step of the fastest cell of each setting."""
    rows = [row for row in (fastest(suite.at(setting)) for setting in suite.settings) if row is not None]
    caption = f"The step of each setting's fastest cell, ms, {CLOCK_NAMES[suite.clock]}: measured / predicted"
    return step_table(suite, rows, caption)


def depth_table(suite: Suite, rows: Sequence[SuiteRow], caption: str = "") -> Table:
    """The share of trees of which at least d draft tokens were accepted, measured and by the trees' laws, by d."""
    drafting = [row for row in rows if row.policy != "Chain(0)"]
    reach = [[_reach(row, name) for name in ("measured", "expected")] for row in drafting]
    deepest = max((len(one) for pair in reach for one in pair), default=0)
    columns = ("verifier", "policy", *PLACE, *(f"at least {depth}" for depth in range(1, deepest + 1)))
    cells = tuple(
        (row.verifier, row.policy, *place(row.setting), *(_shares(*both) for both in _filled(pair, deepest)))
        for row, pair in zip(drafting, reach, strict=True)
    )
    return said(suite, Table(caption or "Accepted draft tokens: measured / by the laws", columns, cells, names=2))


def _reach(row: SuiteRow, name: str) -> list[float]:
    """The share of trees with at least 1, 2, ... accepted tokens."""
    counts = row.cell["by_depth"][name]
    return [sum(counts[depth:]) / sum(counts) for depth in range(1, len(counts))]


def _filled(pair: Sequence[Sequence[float]], length: int) -> Iterator[tuple[float, float]]:
    """Both numbers by place, 0 beyond the end."""
    return zip(*([*one, *[0.0] * (length - len(one))] for one in pair), strict=True)


def _shares(measured: float, expected: float) -> str:
    return f"{measured:.3f} / {expected:.3f}"


def memory_table(suite: Suite, rows: Sequence[SuiteRow], caption: str = "") -> Table:
    """Peak memory of cells, and the size of their trees."""
    columns = ("verifier", "policy", *PLACE, "peak memory, GiB", "mean nodes", "seconds")
    cells = tuple(
        (row.verifier, row.policy, *place(row.setting), _gib(row), f"{row.cell['mean_tree_size']:.1f}",
         f"{row.cell['seconds']:.0f}")
        for row in rows
    )  # fmt: skip
    return said(suite, Table(caption or "Peak memory, trees and time, cell by cell", columns, cells, names=2))


def _gib(row: SuiteRow) -> str:
    peak = row.cell.get("peak_bytes")
    return f"{peak / 2**30:.2f}" if peak else ABSENT


def memory_line(suite: Suite) -> str:
    """The largest peak memory and its cell, in a sentence."""
    known = [row for row in suite.rows if row.cell.get("peak_bytes")]
    if not known:
        return "Peak memory is not known."
    worst = max(known, key=lambda row: row.cell["peak_bytes"])
    return f"Peak memory: {_gib(worst)} GiB at most, in {worst.name} at {setting_text(worst.setting)}."


def worst_rows(rows: Sequence[SuiteRow], measure: Callable[[SuiteRow], float], most: int) -> list[SuiteRow]:
    """The rows with the greatest measure, the greatest first."""
    return sorted(rows, key=measure, reverse=True)[:most]


def share_line(suite: Suite) -> str:
    """Verification's share of a step over all cells that draft, in a sentence."""
    rows = [row for row in suite.timed if row.policy != "Chain(0)"]
    if not rows:
        return "Verification's share of a step is not known."
    worst = max(rows, key=share)
    middle = 100 * median(map(share, rows))
    return (f"Verification takes {middle:.1f} % of a step in the median cell, {100 * share(worst):.1f} % at most "
            f"({worst.name} at {setting_text(worst.setting)}).")  # fmt: skip


def near_line(suite: Suite) -> str:
    """How many predictions of throughput came near, in a sentence."""
    rows = suite.timed
    near, inside = sum(row.near for row in rows), sum(row.inside for row in rows)
    alone = sum(row.speed.agrees for row in rows if row.speed)
    return (f"Throughput: {near} of {len(rows)} predictions within {100 * WITHIN:.0f} % of what was measured; the "
            f"interval of the ratio holds 1 in {inside} of {len(rows)} (all together at level {suite.level:g}; at 95 % "
            f"each by itself in {alone}).")  # fmt: skip
