"""``veridraft distil``: a small draft taught by a target, from the target's own samples."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veridraft.gpu.distilling.plan import DistilPlan, Embeddings, LossWeights, StudentShape

from ...running.console import STOPPED, Parser, bad_input, broken_off, say_stopped
from ...running.progress import ProgressLine, Talk

if TYPE_CHECKING:
    from veridraft.gpu.distilling.distilling import Evaluation

DEFAULT = DistilPlan()

DESCRIPTION = (
    "Draw samples from the target, teach a small network with the target's vocabulary to give the target's rows along "
    "them, and write it as a model folder that --draft takes. The held-out acceptance rate is the expected acceptance "
    "rate of one draft on samples that were not learnt from. Finished shards of samples and checkpoints are kept in "
    "the folder of --out: the same command goes on where a killed one was, to the same draft."
)


def layers(text: str) -> tuple[int, ...]:
    """The layer numbers in a list with commas."""
    return tuple(int(number) for number in text.split(","))


OPTIONS: dict[str, dict[str, Any]] = {
    "--target": {"metavar": "MODEL", "help": "folder, GGUF file or name (default: the embedded SmolLM2-135M-Instruct)"},
    "--device": {"default": "cpu", "help": "cpu, cuda, ... (default: %(default)s)"},
    "--dtype": {"default": "float32", "help": "of the target's weights; bfloat16 on a GPU (default: %(default)s)"},
    "--out": {"type": Path, "required": True, "metavar": "DIR", "help": "made if missing; the draft is DIR/draft"},
    "--prompts": {
        "type": Path,
        "metavar": "FILE",
        "help": "what samples begin with, one prompt a line; the last tenth of them is for the held-out samples "
        "(default: the target writes the prompts too)",
    },
    "--sequences": {"type": int, "help": "samples to learn from (default: %(default)s)"},
    "--held-out": {"type": int, "help": "samples to measure acceptance on (default: %(default)s)"},
    "--length": {"type": int, "help": "tokens of a sample (default: %(default)s)"},
    "--shard": {"type": int, "help": "samples drawn together, and kept together (default: %(default)s)"},
    "--temperature": {"type": float, "help": "at which samples are drawn (default: %(default)s)"},
    "--layers": {"type": int, "help": "of the draft, a Llama (default: 4)"},
    "--width": {"type": int, "help": "of the draft (default: half the target's)"},
    "--from-layers": {
        "type": layers,
        "metavar": "0,9,17",
        "help": "instead, make the draft of these layers of the target",
    },
    "--embeddings": {
        "choices": [kind.value for kind in Embeddings],
        "help": "random; the target's, narrowed where the draft is narrower, as first values; or the target's own, "
        "shared and not learnt (default: %(default)s)",
    },
    "--steps": {"type": int, "help": "batches to learn from (default: %(default)s)"},
    "--batch": {"type": int, "help": "samples of a batch (default: %(default)s)"},
    "--micro-batch": {"type": int, "help": "samples in the networks at once, if the batch does not fit"},
    "--learning-rate": {"type": float, "help": "the highest (default: %(default)s)"},
    "--kl": {"type": float, "help": "weight of the KL divergence (default: %(default)s)"},
    "--tv": {"type": float, "help": "weight of the total variation, 1 - acceptance (default: %(default)s)"},
    "--adversarial": {"type": float, "help": "weight of the judge after KOALA (default: %(default)s)"},
    "--evaluate-every": {"type": int, "help": "steps between looks at the held-out samples (default: %(default)s)"},
    "--checkpoint-seconds": {"type": float, "default": 30.0, "help": "between checkpoints (default: %(default)s)"},
    "--seed": {"type": int, "help": "of samples, first weights and batches (default: %(default)s)"},
}

DEFAULTS = {name: getattr(DEFAULT, name) for name in DistilPlan.__dataclass_fields__}
DEFAULTS |= {name: getattr(DEFAULT.weights, name) for name in LossWeights.__dataclass_fields__}
DEFAULTS["embeddings"] = DEFAULT.student.embeddings.value


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft distil`` with the words behind it."""
    return run_distil(parser().parse_args(words))


def parser() -> Parser:
    """The parser of the words behind the command's name."""
    made = Parser(prog="veridraft distil", description=DESCRIPTION)
    for flag, options in OPTIONS.items():
        name = flag[2:].replace("-", "_")
        made.add_argument(flag, **({"default": DEFAULTS[name]} if name in DEFAULTS else {}) | options)
    return made


def run_distil(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft distil``; the last line printed is the draft's folder."""
    with bad_input("distil"):
        plan = plan_of(options)
        target = load_target(options)
        from veridraft.gpu.distilling.distilling import DistilJob

        job = DistilJob.prepared(target, plan, options.out, command_of(options), options.micro_batch)
    try:
        with broken_off("distil"), _Told() as told:
            evaluations = job.run(options.checkpoint_seconds, told)
    except KeyboardInterrupt:
        say_stopped()
        return STOPPED
    print(table(evaluations), end="\n\n")
    print(job.folder.draft)
    return 0


def command_of(options: argparse.Namespace) -> str:
    """The shell command that makes the draft again; options at their default are left out."""
    words = ["veridraft", "distil"]
    for flag, settings in OPTIONS.items():
        name = flag[2:].replace("-", "_")
        value = getattr(options, name)
        if value is not None and value != settings.get("default", DEFAULTS.get(name)):
            words += [flag, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return shlex.join(words)


def plan_of(options: argparse.Namespace) -> DistilPlan:
    """The plan that the options ask for; raises ``ValueError`` or ``OSError`` for what it cannot be."""
    own = {"prompts", "student", "weights"}
    numbers = {name: getattr(options, name) for name in DistilPlan.__dataclass_fields__ if name not in own}
    shape = StudentShape(options.layers, options.width, options.from_layers or (), Embeddings(options.embeddings))
    weights = LossWeights(options.kl, options.tv, options.adversarial)
    return DistilPlan(prompts=_prompts(options.prompts), student=shape, weights=weights, **numbers)


def _prompts(place: Path | None) -> tuple[str, ...] | None:
    """The lines of the file that are not empty."""
    if place is None:
        return None
    lines = tuple(line.strip() for line in place.read_text(encoding="utf-8").splitlines() if line.strip())
    if not lines:
        raise ValueError(f"prompts {str(place)!r} holds no prompt")
    return lines


def load_target(options: argparse.Namespace) -> Any:
    """The target, as a pair with itself."""
    from veridraft.gpu.models.pairs import load_alone

    Talk.say("Loading the target (the default one is fetched once)")
    return load_alone(options.target, options.device, options.dtype)


def table(evaluations: tuple[Evaluation, ...]) -> str:
    """What every look at the held-out samples found."""
    lines = ["  step  held-out acceptance  standard error  KL (nats)  same top token"]
    for one in evaluations:
        found = f"{one.acceptance:19.4f}  {one.standard_error:14.4f}  {one.kl:9.4f}  {one.agreement:14.4f}"
        lines.append(f"{one.step:6d}  {found}")
    return "\n".join(lines)


class _Told(ExitStack):
    """Progress of the parts of a run, one after the other."""

    part, progress = "", None

    def __call__(self, part: str, done: int, whole: int, detail: str) -> None:
        if self.progress is None or part != self.part:
            self.close()
            self.part, self.progress = part, self.enter_context(ProgressLine(part, whole, done=done - 1))
        self.progress.step(detail)
