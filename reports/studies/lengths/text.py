"""The study of what accepted lengths show, in words and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from veridraft.gpu.engines.agreement.agreement import LengthOutcome
from veridraft.theory.display.charts import FAINT, GREEN, VERMILION

from ...writing.bars import counts_figure
from ...writing.markdown import Note, Section
from .readings import OTHER, SAME, SHAPES

LengthRow = Mapping[str, Any]

RIGHT_ROWS = "right engine's rows"
"""Lengths held against the rows that the right engine came to, with other prompts."""

COLUMNS = (SAME, OTHER, *SHAPES, RIGHT_ROWS)

HEADERS = ("row", "defect", "in place of", "TV", "largest change", "impossible", "steps", *COLUMNS, "p", "right one")

FOUND = {
    LengthOutcome.DISAGREES.value: "FOUND",
    LengthOutcome.AGREES.value: "agrees",
    LengthOutcome.UNDECIDED.value: "undecided",
}

COLOURS = {"FOUND": GREEN, "undecided": FAINT, "agrees": VERMILION}
"""A defect that agrees was missed."""

CAPTION = "Of the defects that lengths must show, how many each shape of a report shows, leaves open, or misses."

LEAD = (
    "Small random networks, decoded by the batch decoder, with a defect in the place of its verifier. What it accepted "
    "is exported in every shape that engines report, read back, and held against what the right verifier would have "
    "accepted: on the trees of the same steps, and on those of another run of the same engine with other prompts."
)

READING = (
    "TV: total variation between the laws of accepted lengths, defective and right, on the same trees. Largest change: "
    "the position whose probability of being reached changes most, right to defective. Impossible: the share of steps "
    "that accept what has probability 0 given the tree, or refuse what has probability 1. p: of the whole distribution "
    "given the trees. Right engine's rows: the prediction is made of a run of the right procedure, with other prompts. "
    "Right one: readings of the right procedure, out of all shapes, that do not disagree. Undecided: nothing differs, "
    "but the shape does not say enough to agree."
)


def is_expected(row: LengthRow) -> bool:
    """True if the theory says that the comparison given the trees must find the defect at these steps."""
    return row["planned"] is not None


def outcome(row: Mapping[str, Any], column: str) -> str:
    """What a shape said of a defect."""
    return str(row["found"][column][0])


def note(rows: Sequence[LengthRow], settings: Mapping[str, Any], command: str) -> Note:
    """The study as a page: finished defects, and the settings of their file."""
    expected = [row for row in rows if is_expected(row)]
    small = [row for row in rows if not is_expected(row) and not row["same_coins"]]
    alone = [row for row in rows if row["same_coins"]]
    words = _found_words(expected, settings["level"], settings["miss"])
    return Note(
        "What accepted lengths show of defects", LEAD,
        (
            Section("Found by lengths", (words, READING), HEADERS, _cells(expected),
                    partial(counts_figure, "found", by_shape(expected), COLOURS, "defects"), CAPTION),
            Section("Too small for these steps", (SMALL,), HEADERS, _cells(small)),
            Section("Lengths are left alone", (_alone_words(alone),), HEADERS, _cells(alone)),
            Section("Not put in place", tuple(f"{name}: {why}." for name, why in settings["left_out"].items())),
        ),
        command,
    )  # fmt: skip


def by_shape(rows: Sequence[LengthRow]) -> dict[str, Counter[str]]:
    """How many defects each shape of a report shows."""
    return {column: Counter(FOUND[outcome(row, column)] for row in rows) for column in COLUMNS}


SMALL = (
    "They change the law of lengths, by so little on these rows that the comparison given the trees would need more "
    "steps than were run, or that the decisions on the pilot's trees do not tell the change from chance; what is found "
    "all the same is said."
)


def _found_words(rows: Sequence[LengthRow], level: float, miss: float) -> str:
    """How many were found, by which shape."""
    counts = {name: sum(outcome(row, name) == LengthOutcome.DISAGREES.value for row in rows) for name in COLUMNS}
    others = ", ".join(f"{count} by {name}" for name, count in counts.items() if name != SAME)
    return (
        f"{counts[SAME]} of {len(rows)} are found given the trees of the same steps, at an error of {1 - level:.0e} "
        f"and after steps planned so that each is missed with probability {miss:g} at most; {others}."
    )


def _alone_words(rows: Sequence[LengthRow]) -> str:
    agree = sum(outcome(row, name) != LengthOutcome.DISAGREES.value for row in rows for name in COLUMNS[:-1])
    moved = sum(outcome(row, RIGHT_ROWS) == LengthOutcome.DISAGREES.value for row in rows)
    return (
        "They emit other tokens, and accept the same lengths as the right procedure on the same trees, coin by coin: "
        "no shape can show them. "
        f"{agree} of {len(rows) * len(COLUMNS[:-1])} readings do not disagree. Texts that have gone astray can "
        "still show against the right engine's rows, because other contexts have other rates: "
        f"{moved} of {len(rows)} did."
    )


def _cells(rows: Sequence[LengthRow]) -> tuple[tuple[str, ...], ...]:
    return tuple(_row(row) for row in rows)


def _row(row: LengthRow) -> tuple[str, ...]:
    most = max(range(len(row["right"])), key=lambda place: abs(row["right"][place] - row["broken"][place]))
    p_value, beside = row["found"][SAME][1], row["beside"]["found"].values()
    calm = sum(found[0] != LengthOutcome.DISAGREES.value for found in beside)
    return (
        str(row["number"] or "-"), row["name"], f"{row['verifier']}, {row['policy']}", f"{row['total_variation']:.4f}",
        f"{most + 1}: {row['right'][most]:.4f} to {row['broken'][most]:.4f}", f"{row['impossible']:.1e}",
        f"{row['steps']:,}", *(FOUND[outcome(row, name)] for name in COLUMNS),
        "none" if p_value is None else f"{p_value:.1e}", f"{calm} of {len(beside)}",
    )  # fmt: skip
