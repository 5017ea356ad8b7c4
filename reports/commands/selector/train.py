"""``veridraft selector train``: roots of a pair along its target's texts, and a network for each verifier."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veridraft.gpu.files.cell_file import check_folder
from veridraft.gpu.latency.file import CLOCKS, LatencyFile
from veridraft.gpu.models.heads.card import SHIPPED
from veridraft.gpu.selecting.grid import Grid, Machine, MeasuredMachine, Times
from veridraft.gpu.selecting.plan import SAMPLINGS, RootPlan, SelectorPlan, TrainingPlan
from veridraft.gpu.selecting.plan import VERIFIERS as TAUGHT

from ...running.console import Parser, names
from ...running.models import MODEL_OPTIONS, check_models, load_models
from ...running.options import COUNT, command_of, words_of
from ..speed.telling import run_job

if TYPE_CHECKING:
    from veridraft.gpu.selecting.job import SelectorJob

NAME = "selector train"
ROOTS, TRAINING, MACHINE = RootPlan(), TrainingPlan(), Machine()

DESCRIPTION = (
    "Let the target write texts; at places along them keep what is known before drafting, and what every action "
    "(K, L1, L2) would give under every verifier, by drawn trees. Then teach a network for each verifier to choose the "
    "action (arXiv 2602.16994). Finished texts, roots and checkpoints are kept: the same command goes on where a "
    "killed one was, to the same networks. What they are worth says `veridraft selector evaluate`."
)


def samplings(text: str) -> tuple[tuple[float, float], ...]:
    """Temperatures in a list with commas, each with a top-p behind a colon if it has one."""
    found = []
    for word in names(text):
        try:
            temperature, _, top_p = word.partition(":")
            found.append((float(temperature), float(top_p or 1)))
        except ValueError:
            raise ValueError(f"{word!r} is no temperature, such as 0.6, or 1:0.9 with a top-p") from None
    return tuple(found)


def _shown(pairs: Sequence[tuple[float, float]]) -> str:
    return ",".join(f"{temperature:g}" if top_p == 1 else f"{temperature:g}:{top_p:g}" for temperature, top_p in pairs)


OPTIONS: dict[str, dict[str, Any]] = {
    "--target": {"metavar": "MODEL", "help": "folder, GGUF file or name (default: the embedded SmolLM2-135M-Instruct)"},
    "--draft": {**MODEL_OPTIONS["--draft"], "default": SHIPPED, "help": "a folder, a GGUF file, a name, skip:17,18, "
                "the folder of a head, or head, the embedded target's own (default: %(default)s)"},
    "--device": MODEL_OPTIONS["--device"],
    "--dtype": MODEL_OPTIONS["--dtype"],
    "--out": {"type": Path, "required": True, "metavar": "DIR", "help": "made if missing"},
    "--data": {"type": Path, "metavar": "DIR", "help": "of roots, which runs may share (default: OUT/roots)"},
    "--texts": {"type": COUNT, "default": ROOTS.texts, "help": "to learn from (default: %(default)s)"},
    "--held-out": {"type": COUNT, "default": ROOTS.held_out, "help": "texts to evaluate on (default: %(default)s)"},
    "--roots": {"type": COUNT, "default": ROOTS.roots, "help": "of a text (default: %(default)s)"},
    "--spacing": {"type": COUNT, "default": ROOTS.spacing, "help": "tokens from root to root (default: %(default)s)"},
    "--trees": {"type": COUNT, "default": ROOTS.trees, "help": "nested trees of a root (default: %(default)s)"},
    "--samplings": {"type": words_of(samplings), "default": SAMPLINGS, "metavar": "T,T:P", "help": "temperatures, some "
                    f"with a top-p, of the texts in turn (default: {_shown(SAMPLINGS)})"},
    "--paths": {"type": COUNT, "default": 4, "help": "the largest K (default: %(default)s)"},
    "--levels": {"type": COUNT, "default": 8, "help": "the largest L1 and L2 (default: %(default)s)"},
    "--verifiers": {"type": names, "default": TAUGHT, "metavar": "NAME,NAME", "help": f"default: {','.join(TAUGHT)}"},
    "--gpu": {"help": f"whose times count, by roofline (default: {MACHINE.gpu})"},
    "--shapes": {"type": names, "metavar": "TARGET,DRAFT", "help": "of the networks on it; the draft may be head "
                 f"(default: {MACHINE.target},{MACHINE.draft})"},
    "--latency": {"metavar": "FILE", "help": "of `veridraft latency`, in place of --gpu and --shapes: the machine to "
                  "decode on; steps of every verifier and passes of the largest trees must have been measured"},
    "--clock": {"choices": CLOCKS, "default": CLOCKS[0], "help": "of the latency file (default: %(default)s)"},
    "--choice": {"type": float, "metavar": "SECONDS", "help": "that a choice adds to a step there (default: "
                 f"{MACHINE.choice:g}; with --latency it must be given: choice.json of a folder made there says it)"},
    "--steps": {"type": COUNT, "default": TRAINING.steps, "help": "batches to learn from (default: %(default)s)"},
    "--batch": {"type": COUNT, "default": TRAINING.batch, "help": "roots of a batch (default: %(default)s)"},
    "--learning-rate": {"type": float, "default": TRAINING.learning_rate, "help": "default: %(default)s"},
    "--dropout": {"type": float, "default": TRAINING.dropout, "help": "default: %(default)s"},
    "--regret": {"type": float, "default": TRAINING.regret,
                 "help": "weight of what falls below the baseline, lambda of the paper (default: %(default)s)"},
    "--worst": {"type": float, "default": TRAINING.worst,
                "help": "the share of roots that it looks at, alpha of the paper (default: %(default)s)"},
    "--checkpoint-seconds": {"type": float, "default": 30.0, "help": "between checkpoints (default: %(default)s)"},
    "--seed": {"type": COUNT, "default": 0, "help": "of texts, trees, weights and batches (default: %(default)s)"},
}  # fmt: skip


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft selector train`` with the words behind it; the last line is the folder."""
    parser = Parser(prog=f"veridraft {NAME}", description=DESCRIPTION)
    for flag, settings in OPTIONS.items():
        parser.add_argument(flag, **settings)
    return run_job(NAME, parser.parse_args(words), prepared, table)


def table(notes: Sequence[Mapping[str, Any]]) -> str:
    """Which state of each verifier's network is kept."""
    return "\n".join(
        f"{note['verifier']}: the state of step {note['step']} is kept, loss {note['loss']:.4f} on other texts"
        for note in notes
    )


def prepared(options: argparse.Namespace) -> SelectorJob:
    """The job that the options ask for; what can be checked before the models are loaded is checked first."""
    plan = plan_of(options)
    if not options.checkpoint_seconds >= 0:
        raise ValueError(f"checkpoint-seconds must be at least 0, but is {options.checkpoint_seconds}")
    check_models(options, timing=False)
    check_folder(options.out)
    pair = load_models(options)
    from veridraft.gpu.selecting.job import SelectorJob

    return SelectorJob.prepared(pair, plan, options.out, command_of(NAME.split(), OPTIONS, options), options.data)


def plan_of(options: argparse.Namespace) -> SelectorPlan:
    """The plan that the options ask for; raises ``ValueError`` for what it cannot be."""
    roots = RootPlan(
        options.texts, options.held_out, options.roots, options.spacing, options.trees, options.samplings,
        Grid(options.paths, options.levels), options.verifiers, options.seed,
    )  # fmt: skip
    own = {name: getattr(options, name) for name in ("steps", "batch", "learning_rate", "dropout", "regret", "worst")}
    training = TrainingPlan(**own, seed=options.seed)
    return SelectorPlan(roots, machine_of(options), training)


def machine_of(options: argparse.Namespace) -> Times:
    """Whose times count; raises ``ValueError`` for two machines, and for one that is not known."""
    if options.latency:
        if options.gpu or options.shapes:
            raise ValueError("latency must be left out with --gpu or --shapes: times come from one machine")
        if options.choice is None:
            raise ValueError("choice is missing: with --latency say how many seconds a choice takes on that machine")
        return MeasuredMachine(LatencyFile.load(options.latency).model(clock=options.clock), options.choice)
    shapes = options.shapes or (MACHINE.target, MACHINE.draft)
    if len(shapes) != 2:
        raise ValueError(f"shapes must be a target's and a draft's, but are {','.join(shapes)!r}")
    target, draft = shapes
    choice = MACHINE.choice if options.choice is None else options.choice
    return Machine(options.gpu or MACHINE.gpu, target, draft, choice)
