"""Delayed expansion against branching at the root, exactly, at equal numbers of drafted tokens.

The block efficiency of every delayed tree of equal size, on families of pairs whose divergence does or does not grow
with depth.
"""

from __future__ import annotations

from dataclasses import fields

from veridraft.gpu.files.cell_file import CellFile

from ...running.study import Study
from ..table import STUDIES
from .cases import DelayedPlan, Setting, values_by_setting
from .tables import drawn, tables


class DelayedFile(CellFile):
    """The finished block efficiencies."""

    kind, name, what = "veridraft delayed", "delayed.jsonl", "study"
    fields = ("kind", "verifier", *(field.name for field in fields(Setting)))


def text(file: DelayedFile) -> str:
    """The command and the tables."""
    large, small = (values_by_setting(file.cells, kind) for kind in ("all shapes", "small pairs"))
    return "\n\n".join([f"$ {file.command}", *(table.text() for table in tables(large, small))])


STUDY = Study.of_cells(
    "delayed",
    STUDIES["delayed"],
    {"--quick": {"action": "store_true", "help": "two settings of each kind, to see that it runs"}},
    DelayedFile,
    lambda options: DelayedPlan(options.quick),
    text=text,
    pages={"svg": lambda file: drawn(values_by_setting(file.cells, "all shapes"))},
)
