"""The gap study: what share of E[tau] each verifier misses of the most that any lossless verifier can have."""

from __future__ import annotations

from veridraft.gpu.files.cell_file import CellFile
from veridraft.theory.verifiers.table import VERIFIERS

from ...running.options import COUNT
from ...running.study import Study, noted
from ...running.verifiers import HELP, VERIFIER_NAMES
from ...writing.markdown import Note
from ..table import STUDIES
from .cases import GapPlan, gaps_of
from .tables import gap_note


class GapsFile(CellFile):
    """The finished values."""

    kind, name, what = "veridraft gaps", "gaps.jsonl", "study"
    fields = ("policy", "family", "verifier")


def note(file: GapsFile) -> Note:
    """The page of what is finished."""
    return gap_note(gaps_of(file.cells), file.command)


STUDY = Study.of_cells(
    "gaps",
    STUDIES["gaps"],
    {
        "--pairs": {"type": COUNT, "default": 6, "help": "random pairs of each family (default: %(default)s)"},
        "--verifiers": {"type": VERIFIER_NAMES, "default": tuple(VERIFIERS), "help": f"names with commas, {HELP} "
                        "(default: all of the table)"},
    },
    GapsFile,
    lambda options: GapPlan(options.pairs, options.verifiers),
    **noted(note),
)
