"""Where each verifier and delayed expansion win in tokens per second, at the same roots of texts that the target wrote.

Every policy drafts a tree at each root, every verifier of the policy decides that tree: their tokens per second are
compared root by root, which tells far smaller differences apart than runs one after another.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from veridraft.gpu.files.cell_file import check_folder
from veridraft.gpu.files.kinds import WinsFile

from ...running.models import MODEL_OPTIONS, check_models, load_models
from ...running.options import COUNT
from ...running.study import Study, StudyStep
from ...writing.markdown import render_note
from ..suites.study import PART, part_of
from ..table import STUDIES
from .rows import Wins
from .text import wins_text

OPTIONS: dict[str, dict[str, Any]] = {
    **MODEL_OPTIONS,
    **PART,
    "--texts": {"type": COUNT, "default": 8, "help": "of each temperature and top-p (default: %(default)s)"},
    "--roots": {"type": COUNT, "default": 10, "help": "of each text (default: %(default)s)"},
    "--stride": {"type": COUNT, "default": 3, "help": "tokens from a root to the next (default: %(default)s)"},
}


def start(options: argparse.Namespace, folder: Path, command: str) -> Iterator[StudyStep]:
    """The run's texts as they finish; all that can be checked before a network is loaded is checked first."""
    check_models(options)
    part, numbers = part_of(options), numbers_of(options)
    from veridraft.gpu.crosschecks.cells import cells_of
    from veridraft.gpu.crosschecks.wins import RootPlan, walk_roots

    cells_of("full", **part)
    RootPlan((), (), {}, (), **numbers)
    check_folder(folder)
    pair = load_models(options)
    return walk_roots(pair, RootPlan.of("full", pair, **part, **numbers), folder, command)


def numbers_of(options: argparse.Namespace) -> dict[str, Any]:
    """The options that are whole numbers."""
    return {name: getattr(options, name) for name in ("texts", "roots", "stride", "seed")}


def has_settings(file: WinsFile) -> bool:
    """True if something was compared; ``ValueError`` if no setting has units enough."""
    if not Wins.of(file).settings:
        raise ValueError("no setting has units enough to compare")
    return True


def page(file: WinsFile) -> str:
    """The page of what is finished."""
    from .page import note

    return render_note(note(Wins.of(file)))


STUDY = Study(
    "wins",
    STUDIES["wins"],
    OPTIONS,
    WinsFile,
    start,
    text=lambda file: wins_text(Wins.of(file)),
    pages={"html": page},
    agrees=has_settings,
)
