"""``veridraft distil --head``: a head taught to go on from a target's own states, on texts that the target wrote."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veridraft.gpu.distilling.heads.plan import DEEPEST, HeadPlan
from veridraft.gpu.distilling.plan import LossWeights
from veridraft.gpu.files.cell_file import check_folder
from veridraft.gpu.models.names import check_dtype, check_place, facts_of

from ...running.console import Parser
from ...running.models import missing_packages
from ...running.options import COUNT, command_of
from .telling import load_target, run_job

if TYPE_CHECKING:
    from veridraft.gpu.distilling.heads.evaluation import HeadEvaluation
    from veridraft.gpu.distilling.heads.job import HeadJob

DEFAULT = HeadPlan()

DESCRIPTION = (
    "Let the target write texts, begun by public text of installed packages and by everyday requests, and keep its "
    "hidden states along them; then teach a head, a few decoder layers on those states, to go on from them. "
    "--draft takes the folder that is printed. Shards of texts and checkpoints are kept: the same command goes on "
    "where a killed one was, to the same head."
)

FLAGS: dict[str, dict[str, Any]] = {
    "--target": {"metavar": "MODEL", "help": "folder, GGUF file or name (default: the embedded SmolLM2-135M-Instruct)"},
    "--device": {"default": "cpu", "help": "cpu, cuda, ... (default: %(default)s)"},
    "--dtype": {"default": "float32", "help": "of the target's weights; bfloat16 on a GPU (default: %(default)s)"},
    "--out": {"type": Path, "required": True, "metavar": "DIR", "help": "made if missing; the head is DIR/draft"},
    "--features": {"type": Path, "metavar": "DIR", "help": "where shards of texts are kept (default: OUT/features)"},
    "--start-from": {"type": Path, "metavar": "DIR", "help": "a head to go on from, in another folder"},
    "--layers": {"type": COUNT, "help": "decoder layers of the head (default: %(default)s)"},
    "--tokens": {"type": COUNT, "help": "the most frequent tokens, which alone it proposes (default: %(default)s)"},
    "--depth": {"type": COUNT, "help": "levels of its own predictions to learn from (default: %(default)s)"},
    "--fade": {"type": float, "help": "weight of a level over the one above it (default: %(default)s)"},
    "--noise": {"type": float, "help": "on the target's states, over their size (default: %(default)s)"},
    "--shards": {"type": COUNT, "help": "of texts to learn from (default: %(default)s)"},
    "--rows": {"type": COUNT, "help": "texts of a shard, drawn together (default: %(default)s)"},
    "--length": {"type": COUNT, "help": "tokens of a text (default: %(default)s)"},
    "--steps": {"type": COUNT, "help": "batches to learn from (default: %(default)s)"},
    "--batch": {"type": COUNT, "help": "texts of a batch (default: %(default)s)"},
    "--learning-rate": {"type": float, "help": "the highest (default: %(default)s)"},
    "--kl": {
        "type": float,
        "default": DEFAULT.weights.kl,
        "help": "weight of the KL divergence (default: %(default)s)",
    },
    "--tv": {
        "type": float,
        "default": DEFAULT.weights.tv,
        "help": "weight of the total variation, 1 - acceptance (default: %(default)s)",
    },
    "--adversarial": {
        "type": float,
        "default": DEFAULT.weights.adversarial,
        "help": "weight of the judge after KOALA (default: %(default)s)",
    },
    "--evaluate-every": {"type": COUNT, "help": "steps between looks at held-out texts (default: %(default)s)"},
    "--checkpoint-seconds": {"type": float, "default": 30.0, "help": "between checkpoints (default: %(default)s)"},
    "--seed": {"type": COUNT, "help": "of texts, batches and noise (default: %(default)s)"},
}

OPTIONS: dict[str, dict[str, Any]] = {
    flag: {"default": getattr(DEFAULT, flag[2:].replace("-", "_"), None)} | settings for flag, settings in FLAGS.items()
}


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft distil --head`` with the other words; the last line is the head's folder."""
    made = Parser(prog="veridraft distil --head", description=DESCRIPTION)
    for flag, settings in OPTIONS.items():
        made.add_argument(flag, **settings)
    options = made.parse_args(words)
    return run_job("distil", options, prepared, table)


def prepared(options: argparse.Namespace) -> HeadJob:
    """The job that the options ask for; what can be checked before the target is loaded is checked first."""
    plan = plan_of(options)
    check_folder(options.out)
    target = load_target(options)
    from veridraft.gpu.distilling.heads.job import HeadJob

    command = command_of(["distil", "--head"], OPTIONS, options)
    return HeadJob.prepared(target, plan, options.out, command, options.features)


def plan_of(options: argparse.Namespace) -> HeadPlan:
    """The plan that the options ask for; raises ``ValueError`` for what it cannot be."""
    own = {"weights", "temperatures"}
    values = {name: getattr(options, name) for name in HeadPlan.__dataclass_fields__ if name not in own}
    plan = HeadPlan(weights=LossWeights(options.kl, options.tv, options.adversarial), **values)
    if not options.checkpoint_seconds >= 0:
        raise ValueError(f"checkpoint-seconds must be at least 0, but is {options.checkpoint_seconds}")
    check_dtype(options.dtype)
    check_place("target", options.target)
    plan.check(facts_of(options.target))
    if missing := missing_packages():
        raise ValueError(missing)
    return plan


def table(evaluations: tuple[HeadEvaluation, ...]) -> str:
    """Acceptance by depth at every look at held-out texts."""
    lines = ["  step  held-out acceptance at depth 1 to " + str(DEEPEST) + "                   error  covered"]
    for one in evaluations:
        found = "  ".join(f"{rate:.4f}" for rate in one.acceptance)
        lines.append(f"{one.step:6d}  {found}  {one.standard_errors[0]:.4f}   {one.coverage:.4f}")
    return "\n".join(lines)
