"""``veridraft latency``: how long passes, verification and the rest of a step take on this machine."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from veridraft.gpu.latency.file import LatencyFile, median_interval, pass_cell
from veridraft.theory.speed.hardware import NETWORKS

from ...running.console import STOPPED, Parser, bad_input, broken_off, names, say_stopped
from ...running.options import CLOCK_NAMES, numbers, policies, words_of
from ...writing.tables import ABSENT, Table

DESCRIPTION = (
    "Measure the passes of both networks at several contexts and sizes, and verification and overhead of decoding "
    "steps, in rounds that measure every cell once; print medians with 95 % intervals, and keep the file, which "
    "`veridraft what-if --latency` reads. A stopped run goes on where it was."
)

OPTIONS: dict[str, dict[str, Any]] = {
    "--target": {"metavar": "MODEL", "help": "a folder, a GGUF file, a name, or for timing only random:SHAPE, of "
                 f"{', '.join(NETWORKS)} (default: SmolLM2-135M-Instruct)"},
    "--draft": {"metavar": "MODEL", "help": "the same, or skip:17,18 for the target without those layers"},
    "--device": {"default": "cpu", "help": "cpu or cuda (default: %(default)s)"},
    "--dtype": {"default": "float32", "help": "float32, bfloat16 or float16 (default: %(default)s)"},
    "--contexts": {"type": words_of(numbers), "default": (64, 256), "metavar": "C,C",
                   "help": "cached tokens (default: 64,256)"},
    "--sizes": {"type": words_of(numbers), "default": (1, 2, 4, 8, 16), "metavar": "N,N",
                "help": "tokens of the target's passes (default: 1,2,4,8,16)"},
    "--draft-sizes": {"type": words_of(numbers), "default": (1, 2, 4, 8), "metavar": "N,N",
                      "help": "tokens of the draft's passes (default: 1,2,4,8)"},
    "--verifiers": {"type": names, "default": ("block", "traversal"), "metavar": "NAMES",
                    "help": "whose steps are timed (default: block,traversal)"},
    "--policies": {"type": words_of(policies), "default": policies("Chain(4); Iid(4, 3)"), "metavar": "POLICIES",
                   "help": "on which, with semicolons between them (default: 'Chain(4); Iid(4, 3)')"},
    "--temperature": {"type": float, "default": 1.0, "help": "at least 0 (default: %(default)s)"},
    "--rounds": {"type": int, "default": 10, "help": "repetitions of every cell; a longer run may continue a shorter "
                 "one (default: %(default)s)"},
    "--seed": {"type": int, "default": 0, "help": "of tokens and of the order (default: %(default)s)"},
    "--out": {"type": Path, "default": Path("latency.json"), "help": "the file (default: %(default)s)"},
    "--clock": {"choices": ("wall", "cpu"), "default": "wall", "help": "of the tables; cpu is CPU time, for a busy "
                "machine with one thread (default: %(default)s)"},
    "--show": {"action": "store_true", "help": "print the tables of the file and measure nothing"},
}  # fmt: skip


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft latency`` with the words behind it."""
    return run_latency(parser().parse_args(words))


def parser() -> Parser:
    """The parser of the words behind the command's name."""
    made = Parser(prog="veridraft latency", description=DESCRIPTION)
    for flag, options in OPTIONS.items():
        made.add_argument(flag, **options)
    return made


def run_latency(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft latency``."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with broken_off("latency"), bad_input("latency"):
            if options.show:
                print(latency_text(LatencyFile.load(options.out), options.clock))
                return 0
            blocks = _blocks(options)
            _, _, file = next(blocks)
        with broken_off("latency"):
            for done, total, file in blocks:  # noqa: B007
                _say(done, total)
    except KeyboardInterrupt:
        say_stopped()
        return STOPPED
    print(latency_text(file, options.clock), end="\n\n")
    print(options.out)
    return 0


def _blocks(options: argparse.Namespace) -> Any:
    from veridraft.gpu.latency.measure import LatencyPlan, measure_latency
    from veridraft.gpu.models.random_models import load_timing_pair

    plan = LatencyPlan(
        options.contexts, options.sizes, options.draft_sizes, options.verifiers, options.policies,
        options.rounds, options.seed, options.temperature,
    )  # fmt: skip
    pair = load_timing_pair(options.target, options.draft, options.device, options.dtype)
    return measure_latency(pair, plan, options.out, shlex.join(["veridraft", *sys.argv[1:]]))


def _say(done: int, total: int) -> None:
    """A line on standard error every tenth of the blocks."""
    if done * 10 // total > (done - 1) * 10 // total:
        print(f"latency: {done}/{total} blocks", file=sys.stderr, flush=True)


def latency_text(file: LatencyFile, clock: str = "wall") -> str:
    """The tables of a file: passes of both networks, then steps, in milliseconds by a clock."""
    settings, machine = file.settings, file.machine
    head = (f"{machine['name']} ({settings['device']}, {settings['dtype']}, {machine['threads']} threads, "
            f"torch {machine['torch']}): target {settings['target']}, draft {settings['draft']}")  # fmt: skip
    parts = [head]
    if settings["timing_only"]:
        parts.append("Random weights: times mean something, acceptance does not.")
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
    for cell in file.cells:
        kind, verifier, policy = cell.split("|")
        if kind == "step":
            nodes = file.cells[cell]["nodes"]
            parts = (_shown(file, cell, f"{part}_{clock}") for part in ("verification", "overhead"))
            rows.append((verifier, policy, str(len(nodes)), f"{sum(nodes) / len(nodes):.1f}", *parts))
    columns = ("verifier", "policy", "steps", "mean nodes", "verification", "overhead")
    return Table(f"steps, ms ({CLOCK_NAMES[clock]}): median [95 % interval]", columns, tuple(rows), names=2)


def _shown(file: LatencyFile, cell: str, field: str) -> str:
    """The median of a cell with its interval, in milliseconds."""
    samples: Sequence[float] = file.cells.get(cell, {}).get(field, ())
    if not samples:
        return ABSENT
    interval = median_interval(samples)
    around = "" if interval is None else f" [{interval[0] * 1e3:.3g}, {interval[1] * 1e3:.3g}]"
    return f"{median(samples) * 1e3:.3g}{around}"
