"""Every verifier with its policies on a real pair: block efficiency and throughput, predicted and measured."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from veridraft.gpu.decoding.drafting.n_gram import any_policy
from veridraft.gpu.files.cell_file import check_folder
from veridraft.gpu.files.kinds import SuiteFile

from ...running.models import MODEL_OPTIONS, check_models, load_models
from ...running.options import COUNT, check_verifiers, decimals, policy_names, words_of
from ...running.study import Study, StudyStep
from ...running.verifiers import HELP, VERIFIER_NAMES
from ..table import STUDIES
from .rows import Suite
from .text import suite_text

PART: dict[str, dict[str, Any]] = {
    "--verifiers": {"type": VERIFIER_NAMES, "metavar": "NAMES", "help": f"these alone, {HELP} (default: all)"},
    "--policies": {"type": words_of(policy_names), "metavar": "POLICIES", "help": "these alone, with semicolons "
                   "between them, such as 'Chain(3); Iid(4, 3); NGram(3)' (default: the suite's)"},
    "--temperatures": {"type": words_of(decimals), "metavar": "T,T", "help": "(default: the suite's)"},
    "--top-ps": {"type": words_of(decimals), "metavar": "P,P", "help": "(default: the suite's)"},
    "--seed": {"type": COUNT, "default": 0, "help": "of drafts and coins (default: %(default)s)"},
}  # fmt: skip
"""Options that choose a part of a suite."""

OPTIONS: dict[str, dict[str, Any]] = {
    "--suite": {"choices": ("small", "full"), "default": "small", "help": "small: one policy for each verifier, at "
                "temperature 1; full: all policies, at four temperatures and two top-p (default: %(default)s)"},
    **MODEL_OPTIONS,
    **PART,
    "--steps": {"type": COUNT, "help": "verified trees of each cell, at least (default: 1000)"},
    "--rows": {"type": COUNT, "default": 8, "help": "requests at once (default: %(default)s)"},
}  # fmt: skip


def start(options: argparse.Namespace, folder: Path, command: str) -> Iterator[StudyStep]:
    """The suite's cells as they finish; all that can be checked before a network is loaded is checked first."""
    check_models(options)
    part = part_of(options)
    from veridraft.gpu.crosschecks.cells import cells_of
    from veridraft.gpu.crosschecks.suite import STEPS, SuitePlan, run_suite

    numbers = {"steps": STEPS if options.steps is None else options.steps, "rows": options.rows, "seed": options.seed}
    SuitePlan(options.suite, cells_of(options.suite, **part), ((0,),), **numbers)
    check_folder(folder)
    pair = load_models(options)
    return run_suite(pair, SuitePlan.of(options.suite, pair, **numbers, **part), folder, command)


def part_of(options: argparse.Namespace) -> dict[str, Any]:
    """Which part of a suite was asked for; ``ValueError`` for a name that is none."""
    if options.verifiers is not None:
        check_verifiers(options.verifiers)
    for policy in options.policies or ():
        any_policy(policy)
    return {name: getattr(options, name) for name in ("verifiers", "policies", "temperatures", "top_ps")}


def agrees(file: SuiteFile) -> bool:
    """True if every cell agrees; ``ValueError`` if none was compared."""
    suite = Suite.of(file)
    if not suite.rows:
        raise ValueError("no cell has been compared")
    return suite.agrees


def page(file: SuiteFile) -> str:
    """The page of what is finished."""
    from .page import render

    return render(Suite.of(file))


STUDY = Study(
    "suites",
    STUDIES["suites"],
    OPTIONS,
    SuiteFile,
    start,
    text=lambda file: suite_text(Suite.of(file)),
    pages={"html": page},
    agrees=agrees,
)
