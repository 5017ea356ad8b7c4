"""The actions of 2602.16994 on synthetic pairs: the best K, L1 and L2 of each verifier, and what delay is worth."""

from __future__ import annotations

from veridraft.gpu.files.cell_file import CellFile

from ...running.study import Study
from ..table import STUDIES
from .plan import ActionPlan
from .points import answers
from .tables import largest_error, rows, tables


class ActionFile(CellFile):
    """The finished block efficiencies."""

    kind, name, what = "veridraft actions", "actions.jsonl", "study"
    fields = ("family", "temperature", "top_p", "seed")


PAIRS_FAVOUR = (
    "These pairs favour lists of several tokens: a draft's row is a share of the target's own and a share of another, "
    "so that no token of the target is without draft probability, and a few draws cover it. The studies tree-rules and "
    "shapes use pairs whose drafts err in their logits."
)


def text(file: ActionFile) -> str:
    """The command, points of the paper answered, the tables, and how far sampled values may be off."""
    errors = ", ".join(f"{name} {error:.2f}" for name, error in largest_error(file.cells).items())
    parts = [f"$ {file.command}", answers(file.cells), *(table.text() for table in tables(file.cells))]
    caution = (f"Largest 95 % half widths of sampled E[tau + 1]: {errors}. A best action of a sampled verifier is the "
               "best of 324 values that may each be off by as much: it is too high rather than too low.")  # fmt: skip
    return "\n\n".join([*parts, caution, PAIRS_FAVOUR])


STUDY = Study.of_cells(
    "actions",
    STUDIES["actions"],
    {
        "--quick": {"action": "store_true", "help": "one sampling, one seed and two trees, to see that it runs"},
    },
    ActionFile,
    lambda options: ActionPlan(options.quick),
    text=text,
    rows=lambda file: list(rows(file.cells)),
)
