"""DySpec against Sequoia's, SpecInfer's and EAGLE-2's trees at the roots of a real pair: 2410.11744's claims."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from veridraft.gpu.files.cell_file import CellFile, check_folder

from ...running.models import MODEL_OPTIONS, check_models, load_models
from ...running.options import COUNT
from ...running.study import Study, StudyStep, noted
from ...writing.markdown import Note
from ..table import STUDIES
from .plan import RATES, RealShapePlan
from .text import note_of

PLAN = RealShapePlan()


class RealShapeFile(CellFile):
    """The finished texts, and the rates of acceptance by rank."""

    kind, name, what = "veridraft real shapes", "real_shapes.jsonl", "study"
    fields = ("target", "draft", "text")


OPTIONS: dict[str, dict[str, Any]] = {
    **MODEL_OPTIONS,
    "--texts": {"type": COUNT, "default": PLAN.texts, "help": "of each sampling (default: %(default)s)"},
    "--roots": {"type": COUNT, "default": PLAN.roots, "help": "of each text at most (default: %(default)s)"},
    "--spacing": {"type": COUNT, "default": PLAN.spacing, "help": "tokens from root to root (default: %(default)s)"},
    "--budget": {"type": COUNT, "default": PLAN.budget, "help": "nodes below the root (default: %(default)s)"},
    "--seed": {"type": COUNT, "default": PLAN.seed, "help": "of texts and trees (default: %(default)s)"},
}


def start(options: argparse.Namespace, folder: Path, command: str) -> Iterator[StudyStep]:
    """The texts as they finish; all that can be checked before a network is loaded is checked first."""
    check_models(options, timing=False)
    plan = RealShapePlan(options.texts, options.roots, options.spacing, options.budget, options.seed)
    check_folder(folder)
    pair = load_models(options)
    from veridraft.gpu.decoding.passes.packing import is_packed
    from veridraft.gpu.models.machine import machine_of

    from .walk import rates_of, values_of

    settings = {**pair.traits, "packed": is_packed(pair), **plan.settings()}
    file = RealShapeFile.open(folder, command, settings, machine_of(pair.device))

    def measure(target: float, draft: float, text: int) -> dict[str, Any]:
        if text == RATES:
            return {"rates": rates_of(pair, plan, target, draft)}
        rates = np.array(file.finished[target, draft, RATES]["rates"])
        return values_of(pair, plan, rates, target, draft, text)

    return file.finish(measure)


def note(file: RealShapeFile) -> Note:
    """The page of what is finished."""
    return note_of(file.cells, file.settings, file.command)


STUDY = Study("real-shapes", STUDIES["real-shapes"], OPTIONS, RealShapeFile, start, **noted(note))
