"""``veridraft distil``: a small draft taught by a target, from the target's own samples."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veridraft.gpu.distilling.plan import (
    DistilPlan,
    Embeddings,
    LossWeights,
    StudentShape,
    check_layers,
    check_micro_batch,
)
from veridraft.gpu.files.cell_file import check_folder
from veridraft.gpu.models.names import check_dtype, check_place, facts_of

from ...running.console import Parser
from ...running.models import missing_packages
from ...running.options import COUNT, command_of, numbers, words_of
from . import head
from .telling import load_target, run_job

if TYPE_CHECKING:
    from veridraft.gpu.distilling.distilling import DistilJob, Evaluation

DEFAULT = DistilPlan()
HEAD = "--head"

DESCRIPTION = (
    "Draw samples from the target, teach a small network with the target's vocabulary to give the target's rows along "
    "them, and write it as a model folder that --draft takes. The held-out acceptance rate is the expected acceptance "
    "rate of one draft on samples that were not learnt from. Finished shards of samples and checkpoints are kept in "
    "the folder of --out: the same command goes on where a killed one was, to the same draft. With --head the draft is "
    "a head on the target's own states, which has options of its own: veridraft distil --head --help."
)


DEFAULTS = {name: getattr(DEFAULT, name) for name in DistilPlan.__dataclass_fields__}
DEFAULTS |= {name: getattr(DEFAULT.weights, name) for name in LossWeights.__dataclass_fields__}
DEFAULTS["embeddings"] = DEFAULT.student.embeddings.value

FLAGS: dict[str, dict[str, Any]] = {
    "--target": {"metavar": "MODEL", "help": "folder, GGUF file or name (default: the embedded SmolLM2-135M-Instruct)"},
    "--device": {"default": "cpu", "help": "cpu, cuda, ... (default: %(default)s)"},
    "--dtype": {
        "default": "float32",
        "help": "of the target's weights; bfloat16 on a GPU (default: %(default)s)",
    },
    "--out": {"type": Path, "required": True, "metavar": "DIR", "help": "made if missing; the draft is DIR/draft"},
    "--prompts": {
        "type": Path,
        "metavar": "FILE",
        "help": "what samples begin with, one prompt a line; the last tenth of them is for the held-out samples "
        "(default: the target writes the prompts too)",
    },
    "--sequences": {"type": COUNT, "help": "samples to learn from (default: %(default)s)"},
    "--held-out": {"type": COUNT, "help": "samples to measure acceptance on (default: %(default)s)"},
    "--length": {"type": COUNT, "help": "tokens of a sample (default: %(default)s)"},
    "--shard": {"type": COUNT, "help": "samples drawn together, and kept together (default: %(default)s)"},
    "--temperature": {"type": float, "help": "at which samples are drawn (default: %(default)s)"},
    "--layers": {"type": COUNT, "help": "of the draft, a Llama (default: 4)"},
    "--width": {"type": COUNT, "help": "of the draft (default: half the target's)"},
    "--from-layers": {
        "type": words_of(numbers),
        "metavar": "0,9,17",
        "help": "instead, make the draft of these layers of the target",
    },
    "--embeddings": {
        "choices": [kind.value for kind in Embeddings],
        "help": "random; the target's, narrowed where the draft is narrower, as first values; or the target's own, "
        "shared and not learnt (default: %(default)s)",
    },
    "--steps": {"type": COUNT, "help": "batches to learn from (default: %(default)s)"},
    "--batch": {"type": COUNT, "help": "samples of a batch (default: %(default)s)"},
    "--micro-batch": {"type": COUNT, "help": "samples in the networks at once, if the batch does not fit"},
    "--learning-rate": {"type": float, "help": "the highest (default: %(default)s)"},
    "--kl": {"type": float, "help": "weight of the KL divergence (default: %(default)s)"},
    "--tv": {"type": float, "help": "weight of the total variation, 1 - acceptance (default: %(default)s)"},
    "--adversarial": {"type": float, "help": "weight of the judge after KOALA (default: %(default)s)"},
    "--evaluate-every": {"type": COUNT, "help": "steps between looks at the held-out samples (default: %(default)s)"},
    "--checkpoint-seconds": {"type": float, "default": 30.0, "help": "between checkpoints (default: %(default)s)"},
    "--seed": {"type": COUNT, "help": "of samples, first weights and batches (default: %(default)s)"},
}

OPTIONS: dict[str, dict[str, Any]] = {
    flag: {"default": DEFAULTS.get(flag[2:].replace("-", "_"))} | settings for flag, settings in FLAGS.items()
}


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft distil`` with the words behind it."""
    if HEAD in words:
        return head.main([word for word in words if word != HEAD])
    return run_distil(parser().parse_args(words))


def parser() -> Parser:
    """The parser of the words behind the command's name."""
    made = Parser(prog="veridraft distil", description=DESCRIPTION)
    for flag, options in OPTIONS.items():
        made.add_argument(flag, **options)
    return made


def run_distil(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft distil``; the last line printed is the draft's folder."""
    return run_job("distil", options, prepared, table)


def prepared(options: argparse.Namespace) -> DistilJob:
    """The job that the options ask for; what can be checked before the target is loaded is checked first."""
    plan = plan_of(options)
    check_folder(options.out)
    target = load_target(options)
    from veridraft.gpu.distilling.distilling import DistilJob

    command = command_of(["distil"], OPTIONS, options)
    return DistilJob.prepared(target, plan, options.out, command, options.micro_batch)


def plan_of(options: argparse.Namespace) -> DistilPlan:
    """The plan that the options ask for; raises ``ValueError`` or ``OSError`` for what it cannot be."""
    own = {"prompts", "student", "weights"}
    values = {name: getattr(options, name) for name in DistilPlan.__dataclass_fields__ if name not in own}
    shape = StudentShape(options.layers, options.width, options.from_layers or (), Embeddings(options.embeddings))
    weights = LossWeights(options.kl, options.tv, options.adversarial)
    plan = DistilPlan(prompts=_prompts(options.prompts), student=shape, weights=weights, **values)
    if not options.checkpoint_seconds >= 0:
        raise ValueError(f"checkpoint-seconds must be at least 0, but is {options.checkpoint_seconds}")
    check_micro_batch(options.micro_batch)
    check_dtype(options.dtype)
    check_place("target", options.target)
    check_layers(shape.from_layers, facts_of(options.target).get("num_hidden_layers"))
    if missing := missing_packages():
        raise ValueError(missing)
    return plan


def _prompts(place: Path | None) -> tuple[str, ...] | None:
    """The lines of the file that are not empty."""
    if place is None:
        return None
    lines = tuple(line.strip() for line in place.read_text(encoding="utf-8").splitlines() if line.strip())
    if not lines:
        raise ValueError(f"prompts {str(place)!r} holds no prompt")
    return lines


def table(evaluations: tuple[Evaluation, ...]) -> str:
    """What every look at the held-out samples found."""
    lines = ["  step  held-out acceptance  standard error  KL (nats)  same top token"]
    for one in evaluations:
        found = f"{one.acceptance:19.4f}  {one.standard_error:14.4f}  {one.kl:9.4f}  {one.agreement:14.4f}"
        lines.append(f"{one.step:6d}  {found}")
    return "\n".join(lines)
