"""How good the auditor is: defects found, false alarms, sensitivity."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from veridraft.gpu.files.cell_file import CellFile

from ...running.options import COUNT
from ...running.study import Study, noted
from ...writing.markdown import Note, Section
from ..table import STUDIES
from . import defect_audits, false_alarms, sensitivity
from .figures import trials_figure
from .plan import AuditingPlan, found_in

LEAD = (
    "An auditor has to be audited itself: does it find the mechanisms by which decoders were lossy, does it let "
    "correct verifiers pass, how often is it wrong, and how many trials does it spend beside what any test must spend?"
)

CAPTION = (
    "How many trials until a defect is found: a bar to the median over seeds, a line from the least to the most; "
    "orange where not every seed found it. The numbers are in the table below."
)


class AuditingFile(CellFile):
    """The finished audits."""

    kind, name, what, fields = "veridraft auditing", "auditing.jsonl", "study", ("part", "name", "number")


def note(file: AuditingFile) -> Note:
    """The study as a page."""
    defects, planted, right = (found_in(file.cells, part) for part in ("defects", "sensitivity", "false alarms"))
    audited = defect_audits.read(defects)
    sections = (
        *pictured(defect_audits.sections(audited), audited["defects"]),
        *([false_alarms.section(false_alarms.read(right))] if right else []),
        sensitivity.section(sensitivity.read(planted)),
    )
    return Note("How good the auditor is", LEAD, sections, file.command)


def pictured(sections: tuple[Section, ...], defects: list[dict[str, Any]]) -> tuple[Section, ...]:
    """The sections, the first with a picture of the trials; as they are where no defect was audited."""
    if not defects:
        return sections
    first = replace(sections[0], drawing=partial(trials_figure, defects), caption=CAPTION)
    return first, *sections[1:]


STUDY = Study.of_cells(
    "auditing",
    STUDIES["auditing"],
    {
        "--audits": {"type": COUNT, "default": 10_000, "help": "audits of correct verifiers (default: %(default)s)"},
        "--seeds": {"type": COUNT, "default": 5,
                    "help": "audits of each defect; twice as many of each planted deviation "
                    "(default: %(default)s)"},
    },
    AuditingFile,
    lambda options: AuditingPlan(options.audits, options.seeds),
    **noted(note),
)  # fmt: skip
