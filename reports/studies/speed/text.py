"""Throughput predicted and measured, in tables by each clock."""

from __future__ import annotations

from typing import Any

from veridraft.gpu.latency.file import CLOCKS
from veridraft.theory.speed.rates import Term

from ...running.options import CLOCK_NAMES
from ...writing.tables import Table, signed

DIGITS = "{:.3g}"


def speed_text(file: Any) -> str:
    """The tables of a run, by each clock: throughput, steps by term, and what parts prediction and measurement."""
    settings, machine = file.settings, file.machine
    head = (f"{machine['name']} ({settings['device']}, {settings['dtype']}, {machine['threads']} threads, torch "
            f"{machine['torch']}): target {settings['target']}, draft {settings['draft']}, temperature "
            f"{settings['temperature']:g}\nMade by: {file.command}")  # fmt: skip
    parts = [head]
    for clock in CLOCKS if settings["device"] == "cpu" else CLOCKS[:1]:
        rows = [file.row(verifier, policy, clock) for verifier, policy in settings["rows"]]
        parts += [_throughput_table(rows, clock).text(), _time_table(rows).text(), _parts_table(rows).text()]
        parts.append("\n".join(_verdict(row) for row in rows))
    return "\n\n".join(parts)


def _throughput_table(rows: list[Any], clock: str) -> Table:
    columns = ("verifier", "policy", "rounds", "steps", "tokens/s", "predicted", "ratio", "95 % interval",
               "step's time", "95 % interval", "")
    cells = []
    for row in rows:
        ratio, time = row.ratio, row.time_ratio
        cells.append((row.verifier, row.policy, str(len(row.rounds)), str(row.steps), DIGITS.format(row.measured),
                      DIGITS.format(row.predicted), f"{ratio.value:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}",
                      f"{time.value:.3f}", f"{time.low:.3f} to {time.high:.3f}",
                      "agrees" if row.agrees else "disagrees"))  # fmt: skip
    caption = f"Throughput, {CLOCK_NAMES[clock]}: measured, predicted, their ratio; the ratio of a step's time alone"
    return Table(caption, columns, tuple(cells), names=2)


def _time_table(rows: list[Any]) -> Table:
    columns = ("verifier", "policy", "tokens a step", *(term.value for term in Term), "step")
    cells = []
    for row in rows:
        measured, predicted = row.step(), row.step("predicted_seconds")
        pairs = [(row.tokens(), row.tokens("predicted_tokens"), "{:.2f}")]
        pairs += [(1e3 * measured.terms[term], 1e3 * predicted.terms[term], DIGITS) for term in Term]
        pairs.append((1e3 * measured.total, 1e3 * predicted.total, DIGITS))
        shown = (f"{form.format(one)} / {form.format(other)}" for one, other, form in pairs)
        cells.append((row.verifier, row.policy, *shown))
    return Table("The step, ms: measured / predicted", columns, tuple(cells), names=2)


def _parts_table(rows: list[Any]) -> Table:
    names = tuple(rows[0].parts)
    cells = []
    for row in rows:
        cells.append((row.verifier, row.policy, *map(_share, row.parts.values())))
    caption = "What makes measured throughput greater (+) or smaller, % of the prediction (95 % for all five together)"
    return Table(caption, ("verifier", "policy", *names), tuple(cells), names=2)


def _share(part: Any) -> str:
    return f"{_percent(part.value)} ({_percent(part.low)}, {_percent(part.high)})"


def _percent(value: float) -> str:
    return signed(100 * value)[:-2]


def _verdict(row: Any) -> str:
    if row.parting is None:
        return f"{row.verifier}, {row.policy}: no term of 1 % or more parts them beyond chance."
    part = row.parts[row.parting]
    return f"{row.verifier}, {row.policy}: they part by {row.parting}, {_share(part)} % of the prediction."
