"""``veridraft crosscheck --suite``: every verifier with its policies on a real pair, predicted and measured."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veridraft.gpu.crosschecks.cell_file import SuiteFile
from veridraft.theory.speed.hardware import NETWORKS

from ...running.console import BAD_INPUT, FAILED, STOPPED, bad_input, broken_off, names, say_stopped
from ...running.options import check_folder, decimals, default_of, policy_names, words_of
from ...writing.html import duration, require_page_packages
from .rows import Suite
from .text import suite_text

if TYPE_CHECKING:
    from veridraft.gpu.crosschecks.suite import SuitePlan
    from veridraft.gpu.models.pairs import ModelPair

OUT = Path("suite-out")


OPTIONS: dict[str, dict[str, Any]] = {
    "--suite": {"choices": ("small", "full"), "help": "run every verifier with its policies on a real pair: small is "
                "one policy each at temperature 1, full all policies at four temperatures and two top-p"},
    "--target": {"metavar": "MODEL", "help": "a folder, a GGUF file, a name, or for timing only random:SHAPE, of "
                 f"{', '.join(NETWORKS)} (default: SmolLM2-135M-Instruct)"},
    "--draft": {"metavar": "MODEL", "help": "the same, or skip:17,18 for the target without those layers"},
    "--device": {"default": "cpu", "help": "cpu or cuda (default: %(default)s)"},
    "--dtype": {"default": "float32", "help": "float32, bfloat16 or float16 (default: %(default)s)"},
    "--pack": {"action": "store_true", "help": "packed linear layers, for float32 on a CPU"},
    "--verifiers": {"type": names, "metavar": "NAMES", "help": "these alone (default: all)"},
    "--policies": {"type": policy_names, "metavar": "POLICIES", "help": "these alone, with semicolons between them, "
                   "such as 'Chain(3); Iid(4, 3); NGram(3)' (default: the suite's)"},
    "--temperatures": {"type": words_of(decimals), "metavar": "T,T", "help": "(default: the suite's)"},
    "--top-ps": {"type": words_of(decimals), "metavar": "P,P", "help": "(default: the suite's)"},
    "--steps": {"type": int, "help": "verified trees of each cell, at least (default: 1000)"},
    "--rows": {"type": int, "default": 8, "help": "requests at once (default: %(default)s)"},
    "--seed": {"type": int, "default": 0, "help": "of drafts and coins (default: %(default)s)"},
    "--out": {"type": Path, "default": OUT, "metavar": "FOLDER", "help": "of the suite, made if missing: suite.jsonl, "
              "suite.txt, suite.html (default: %(default)s)"},
    "--show": {"action": "store_true", "help": "print the tables of the suite in --out and write its page, as far as "
               "it is finished; run nothing"},
}  # fmt: skip


def run_suite_command(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft crosscheck --suite``: 0 all cells agree, 1 some do not, 2 bad input.

    1 too for a run that breaks off: what is finished is kept, and nothing is printed of it.
    """
    try:
        with bad_input("crosscheck"):
            if options.show:
                return publish(SuiteFile.load(options.out), options.out)
            cells = _cells(options)
            done, total, file = next(cells)
        _say(done, total, file)
        with broken_off("crosscheck"):
            for done, total, file in cells:
                _say(done, total, file)
    except KeyboardInterrupt:
        say_stopped()
        return STOPPED
    return publish(file, options.out)


def _cells(options: argparse.Namespace) -> Iterator[tuple[int, int, SuiteFile]]:
    """The suite's cells as they finish; all that can be checked before a network is loaded is checked first."""
    from veridraft.gpu.crosschecks.cells import cells_of
    from veridraft.gpu.crosschecks.suite import run_suite

    cells_of(options.suite, **_part(options))
    pair, plan = _loaded(options)
    return run_suite(pair, plan, check_folder(options.out), command_of(options))


def _loaded(options: argparse.Namespace) -> tuple[ModelPair, SuitePlan]:
    from veridraft.gpu.crosschecks.suite import SuitePlan
    from veridraft.gpu.decoding.passes.packing import packed_pair
    from veridraft.gpu.models.random_models import load_timing_pair

    pair = load_timing_pair(options.target, options.draft, options.device, options.dtype)
    pair = packed_pair(pair) if options.pack else pair
    plan = SuitePlan.of(
        options.suite, pair, steps=options.steps, rows=options.rows, seed=options.seed, **_part(options)
    )
    return pair, plan


def _part(options: argparse.Namespace) -> dict[str, Any]:
    """Which part of the suite was asked for."""
    return {name: getattr(options, name) for name in ("verifiers", "policies", "temperatures", "top_ps")}


def command_of(options: argparse.Namespace) -> str:
    """The shell command that runs the suite, or goes on with it; options at their default are left out."""
    words = ["veridraft", "crosscheck"]
    for flag, settings in OPTIONS.items():
        value = getattr(options, flag[2:].replace("-", "_"))
        if value != default_of(settings):
            words += [flag] if value is True else [flag, _shown(flag, value)]
    return shlex.join(words)


def _shown(flag: str, value: Any) -> str:
    """The value as it is typed."""
    if not isinstance(value, tuple):
        return str(value)
    return ("; " if flag == "--policies" else ",").join(f"{one:g}" if isinstance(one, float) else one for one in value)


def _say(done: int, total: int, file: SuiteFile) -> None:
    """A line on standard error: cells that are done, and about how long the others take."""
    spent = [cell["seconds"] for cell in file.cells if "seconds" in cell]
    left = f", about {duration(sum(spent) / len(spent) * (total - done))} left" if spent and done < total else ""
    print(f"suite: {done}/{total} cells{left}", file=sys.stderr, flush=True)


def publish(file: SuiteFile, folder: Path) -> int:
    """The exit status, after the tables are printed and written with the page, whose path is printed last."""
    suite = Suite.of(file)
    folder = folder if folder.is_dir() else folder.parent
    text = suite_text(suite)
    (folder / "suite.txt").write_text(text + "\n", encoding="utf-8")
    print(text, end="\n\n")
    print(_page(suite, folder))
    if not suite.rows:
        print("veridraft crosscheck: no cell has been compared", file=sys.stderr)
        return BAD_INPUT
    return 0 if suite.agrees else FAILED


def _page(suite: Suite, folder: Path) -> Path:
    """The page that was written; without the packages for it the text, and a word about it."""
    try:
        require_page_packages()
    except ValueError as error:
        print(f"suite.html is left out: {error}; then --show writes it", file=sys.stderr)
        return folder / "suite.txt"
    from .page import write_suite_page

    return write_suite_page(suite, folder / "suite.html")
