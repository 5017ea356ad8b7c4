"""``veridraft latency``: how long passes, verification and the rest of a step take on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from veridraft.gpu.files.cell_file import check_folder
from veridraft.gpu.latency.file import CLOCKS, LatencyFile, median_interval, pass_cell

from ...running.models import MODEL_OPTIONS, check_models, load_models
from ...running.options import CLOCK_NAMES, COUNT, check_verifiers, numbers, policies, words_of
from ...running.study import Study, StudyStep, run
from ...running.verifiers import HELP, VERIFIER_NAMES
from ...writing.tables import ABSENT, Table

ABOUT = (
    "measure the passes of both networks at several contexts and sizes, and verification and overhead of decoding "
    "steps, in rounds that measure everything once; `veridraft what-if --latency` reads the file"
)

OPTIONS: dict[str, dict[str, Any]] = {
    **MODEL_OPTIONS,
    "--contexts": {"type": words_of(numbers), "default": (64, 256), "metavar": "C,C",
                   "help": "cached tokens (default: 64,256)"},
    "--sizes": {"type": words_of(numbers), "default": (1, 2, 4, 8, 16), "metavar": "N,N",
                "help": "tokens of the target's passes (default: 1,2,4,8,16)"},
    "--draft-sizes": {"type": words_of(numbers), "default": (1, 2, 4, 8), "metavar": "N,N",
                      "help": "tokens of the draft's passes (default: 1,2,4,8)"},
    "--verifiers": {"type": VERIFIER_NAMES, "default": ("block", "traversal"), "metavar": "NAMES",
                    "help": f"whose steps are timed, {HELP} (default: block,traversal)"},
    "--policies": {"type": words_of(policies), "default": policies("Chain(4); Iid(4, 3)"), "metavar": "POLICIES",
                   "help": "on which, with semicolons between them (default: 'Chain(4); Iid(4, 3)')"},
    "--temperature": {"type": float, "default": 1.0, "help": "at least 0 (default: %(default)s)"},
    "--rounds": {"type": COUNT, "default": 10, "help": "repetitions of every cell; a longer run may continue a shorter "
                 "one (default: %(default)s)"},
    "--seed": {"type": COUNT, "default": 0, "help": "of tokens and of the order (default: %(default)s)"},
}  # fmt: skip


def start(options: argparse.Namespace, folder: Path, command: str) -> Iterator[StudyStep]:
    """The samples as they are taken; the plan is checked before a network is loaded."""
    check_models(options)
    if options.verifiers:
        check_verifiers(options.verifiers)
    from veridraft.gpu.latency.measure import LatencyPlan, measure_latency

    plan = LatencyPlan(
        options.contexts, options.sizes, options.draft_sizes, options.verifiers, options.policies,
        options.rounds, options.seed, options.temperature,
    )  # fmt: skip
    check_folder(folder)
    return measure_latency(load_models(options), plan, folder, command)


def latency_text(file: LatencyFile) -> str:
    """The tables of a file by each clock: passes of both networks, then steps, in milliseconds."""
    settings, machine = file.settings, file.machine
    head = (f"{machine['name']} ({settings['device']}, {settings['dtype']}, {machine['threads']} threads, "
            f"torch {machine['torch']}): target {settings['target']}, draft {settings['draft']}")  # fmt: skip
    parts = [head]
    if settings["timing_only"]:
        parts.append("Random weights: times mean something, acceptance does not.")
    for clock in CLOCKS if settings["device"] == "cpu" else CLOCKS[:1]:
        parts += [_pass_table(file, network, clock).text() for network in ("target", "draft")]
        if file.verifiers:
            parts.append(_step_table(file, clock).text())
    return "\n\n".join(parts)


def _pass_table(file: LatencyFile, network: str, clock: str) -> Table:
    contexts, sizes = file.settings["contexts"], file.settings["sizes" if network == "target" else "draft_sizes"]
    rows = tuple(
        (str(context), *(_shown(file, pass_cell(network, context, size), clock) for size in sizes))
        for context in contexts
    )
    caption = f"{network} pass, ms ({CLOCK_NAMES[clock]}): median [95 % interval], by cached tokens and new tokens"
    return Table(caption, ("context", *(str(size) for size in sizes)), rows)


def _step_table(file: LatencyFile, clock: str) -> Table:
    rows = []
    for block in file.blocks:
        kind, verifier, policy = block.split("|")
        if kind == "step":
            nodes = file.samples(block, "nodes")
            parts = (_shown(file, block, f"{part}_{clock}") for part in ("verification", "overhead"))
            rows.append((verifier, policy, str(len(nodes)), f"{sum(nodes) / len(nodes):.1f}", *parts))
    columns = ("verifier", "policy", "steps", "mean nodes", "verification", "overhead")
    return Table(f"steps, ms ({CLOCK_NAMES[clock]}): median [95 % interval]", columns, tuple(rows), names=2)


def _shown(file: LatencyFile, block: str, field: str) -> str:
    """The median of a block with its interval, in milliseconds."""
    samples = file.samples(block, field)
    if not samples:
        return ABSENT
    interval = median_interval(samples)
    around = "" if interval is None else f" [{interval[0] * 1e3:.3g}, {interval[1] * 1e3:.3g}]"
    return f"{median(samples) * 1e3:.3g}{around}"


STUDY = Study("latency", ABOUT, OPTIONS, LatencyFile, start, text=latency_text, command="latency")


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft latency`` with the words behind it."""
    return run(STUDY, words)
