"""UniVer, Traversal, greedy draft sampling and RRSw: the gains that 2605.04543 and 2505.12398 claim."""

from __future__ import annotations

from veridraft.gpu.files.cell_file import CellFile

from ...running.options import COUNT
from ...running.study import Study, noted
from ...writing.markdown import Note
from ..table import STUDIES
from .plan import TreeRulePlan
from .text import note_of


class TreeRuleFile(CellFile):
    """The finished block efficiencies."""

    kind, name, what = "veridraft tree rules", "tree_rules.jsonl", "study"
    fields = ("family", "temperature", "shape", "seed")
    grows = "pairs"


def note(file: TreeRuleFile) -> Note:
    """The page of what is finished."""
    return note_of(file.cells, file.command)


STUDY = Study.of_cells(
    "tree-rules",
    STUDIES["tree-rules"],
    {
        "--pairs": {"type": COUNT, "default": 40, "help": "random pairs of each family (default: %(default)s)"},
    },
    TreeRuleFile,
    lambda options: TreeRulePlan(options.pairs),
    **noted(note),
)
