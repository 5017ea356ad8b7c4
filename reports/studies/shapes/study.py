"""DySpec, greedy and by threshold, against other shapes at equal budgets: the gains that 2410.11744 claims."""

from __future__ import annotations

from veridraft.gpu.files.cell_file import CellFile

from ...running.options import COUNT
from ...running.study import Study, noted
from ...writing.markdown import Note
from ..table import STUDIES
from .plan import ShapePlan
from .text import note_of


class ShapeFile(CellFile):
    """The finished block efficiencies and acceptance rates."""

    kind, name, what = "veridraft shapes", "shapes.jsonl", "study"
    fields = ("family", "target", "draft", "budget", "seed")
    grows = "pairs"


def note(file: ShapeFile) -> Note:
    """The page of what is finished."""
    return note_of(file.cells, file.command)


STUDY = Study.of_cells(
    "shapes",
    STUDIES["shapes"],
    {
        "--pairs": {"type": COUNT, "default": 32, "help": "random pairs of each family (default: %(default)s)"},
    },
    ShapeFile,
    lambda options: ShapePlan(options.pairs),
    **noted(note),
)
