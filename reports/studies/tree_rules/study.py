"""UniVer, Traversal, greedy draft sampling and RRSw: the gains that 2605.04543 and 2505.12398 claim."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from veridraft.gpu.files.cell_file import CellFile

from ...running.options import COUNT
from ...running.parallel import PARALLEL, Workers
from ...running.study import Study, StudyStep, cell_by_cell, noted
from ...writing.markdown import Note
from ..table import STUDIES
from .plan import TreeRulePlan
from .text import note_of


class TreeRuleFile(CellFile):
    """The finished block efficiencies."""

    kind, name, what = "veridraft tree rules", "tree_rules.jsonl", "study"
    fields = ("family", "temperature", "shape", "seed")
    grows = "pairs"


def start(options: argparse.Namespace, folder: Path, command: str) -> Iterator[StudyStep]:
    """The steps of the study that was asked for."""
    return cell_by_cell(TreeRuleFile, TreeRulePlan(options.pairs), folder, command, Workers.of(options))


def note(file: TreeRuleFile) -> Note:
    """The page of what is finished."""
    return note_of(file.cells, file.command)


STUDY = Study(
    "tree-rules",
    STUDIES["tree-rules"],
    {
        "--pairs": {"type": COUNT, "default": 40, "help": "random pairs of each family (default: %(default)s)"},
        **PARALLEL,
    },
    TreeRuleFile,
    start,
    **noted(note),
)
