"""Throughput of a few verifiers on a real pair, predicted and measured in one run.

Each step is predicted before it is made: its tokens from the law on other trees at its root, its time from passes,
verification and overhead that are measured in between.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from veridraft.gpu.files.cell_file import check_folder
from veridraft.gpu.latency.speed_rows import LEAST_ROUNDS, SpeedFile
from veridraft.theory.policies.arguments import get_policy
from veridraft.theory.policies.base import Policy
from veridraft.theory.verifiers.table import get_verifier

from ...running.models import MODEL_OPTIONS, check_models, load_models
from ...running.options import COUNT, policy_names, words_of
from ...running.study import Study, StudyStep
from ...running.verifiers import load_verifier
from ..table import STUDIES
from .text import speed_text

ROWS = ("block:Chain(3)", "traversal:Iid(4, 3)", "lifted_k_seq:Iid(4, 3)")


def rows_of(texts: Sequence[str]) -> tuple[tuple[str, Policy], ...]:
    """Verifiers and policies of texts such as ``block:Chain(3)``.

    Raises ``ValueError`` for one that is not of that form, an unknown verifier, or one that does not fit.
    """
    rows = []
    for text in texts:
        name, colon, policy = (part.strip() for part in text.rpartition(":"))
        if not colon:
            raise ValueError(f"rows: {text!r} is not of the form VERIFIER:POLICY")
        (load_verifier if ":" in name else get_verifier)(name).require(policy)
        rows.append((name, get_policy(policy)))
    return tuple(rows)


OPTIONS: dict[str, dict[str, Any]] = {
    **MODEL_OPTIONS,
    "--rows": {"type": words_of(policy_names), "default": ROWS, "metavar": "ROWS",
               "help": f"VERIFIER:POLICY with semicolons between them (default: {'; '.join(ROWS)})"},
    "--temperature": {"type": float, "default": 1.0, "help": "at least 0 (default: %(default)s)"},
    "--rounds": {"type": COUNT, "default": 20, "help": "the units of all intervals; a longer run may continue a "
                 "shorter one (default: %(default)s)"},
    "--steps": {"type": COUNT, "default": 2, "help": "measured steps a round and verifier (default: %(default)s)"},
    "--seed": {"type": COUNT, "default": 0, "help": "of drafts and coins (default: %(default)s)"},
}  # fmt: skip


def start(options: argparse.Namespace, folder: Path, command: str) -> Iterator[StudyStep]:
    """The run's rounds as they finish; all that can be checked before a network is loaded is checked first."""
    check_models(options, timing=False)
    rows = rows_of(options.rows)
    from veridraft.gpu.latency.speed_check import SpeedPlan, check_speed

    if options.rounds < LEAST_ROUNDS:
        raise ValueError(f"rounds must be at least {LEAST_ROUNDS} for an interval, but is {options.rounds}")
    plan = SpeedPlan(rows, options.rounds, options.steps, options.seed, options.temperature)
    check_folder(folder)
    return check_speed(load_models(options), plan, folder, command)


STUDY = Study("speed", STUDIES["speed"], OPTIONS, SpeedFile, start, text=speed_text)
