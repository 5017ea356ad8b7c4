"""``veridraft wins``: where each verifier and delayed expansion win in tokens per second, at the same roots."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veridraft.gpu.crosschecks.cell_file import WinsFile

from ...running.console import BAD_INPUT, STOPPED, bad_input, broken_off, say_stopped
from ...running.options import check_folder, default_of
from ...writing.html import duration
from ..suites.study import OPTIONS as SUITE_OPTIONS
from .rows import Wins
from .text import wins_text

if TYPE_CHECKING:
    from veridraft.gpu.crosschecks.wins import RootPlan
    from veridraft.gpu.models.pairs import ModelPair

DESCRIPTION = """Hold verifiers and policies against each other at the same roots of texts that the target wrote.  Every
policy drafts a tree at each root, every verifier of the policy decides that tree: their tokens per second are compared
root by root, which tells far smaller differences apart than runs one after another.  Unless it is asked for less, it
runs all verifiers and policies, temperatures and top-p of `veridraft crosscheck --suite full`."""

OUT = Path("wins-out")

TEXT = "wins.txt"

OF_THE_SUITE = ("--target", "--draft", "--device", "--dtype", "--pack", "--verifiers", "--policies", "--temperatures",
                "--top-ps", "--seed")  # fmt: skip

OPTIONS: dict[str, dict[str, Any]] = {
    **{flag: SUITE_OPTIONS[flag] for flag in OF_THE_SUITE},
    "--texts": {"type": int, "default": 8, "help": "of each temperature and top-p (default: %(default)s)"},
    "--roots": {"type": int, "default": 10, "help": "of each text (default: %(default)s)"},
    "--stride": {"type": int, "default": 3, "help": "tokens from a root to the next (default: %(default)s)"},
    "--out": {"type": Path, "default": OUT, "metavar": "FOLDER", "help": f"of the run, made if missing: "
              f"{WinsFile.name}, {TEXT} (default: %(default)s)"},
    "--show": {"action": "store_true", "help": "print the tables of the run in --out, as far as it is finished; run "
               "nothing"},
}  # fmt: skip

NUMBERS = ("texts", "roots", "stride", "seed")
"""Options that are whole numbers."""


def add_to(commands: Any) -> None:
    """Add the command to the parsers of ``commands``."""
    sub = commands.add_parser("wins", description=DESCRIPTION)
    for flag, options in OPTIONS.items():
        sub.add_argument(flag, **options)
    sub.set_defaults(run=run_wins)


def run_wins(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft wins``; what is finished is kept where it is stopped or breaks off."""
    try:
        with bad_input("wins"):
            if options.show:
                return publish(Wins.of(WinsFile.load(options.out)), options.out)
            texts = _texts(options)
            done, total, file = next(texts)
        _say(done, total, file)
        with broken_off("wins"):
            for done, total, file in texts:
                _say(done, total, file)
    except KeyboardInterrupt:
        say_stopped()
        return STOPPED
    return publish(Wins.of(file), options.out)


def _texts(options: argparse.Namespace) -> Iterator[tuple[int, int, WinsFile]]:
    """The run's texts as they finish; all that can be checked before a network is loaded is checked first."""
    from veridraft.gpu.crosschecks.cells import cells_of
    from veridraft.gpu.crosschecks.wins import RootPlan, walk_roots

    cells_of("full", options.verifiers, options.policies, options.temperatures, options.top_ps)
    RootPlan((), (), {}, (), **_numbers(options))
    pair, plan = _loaded(options)
    return walk_roots(pair, plan, check_folder(options.out), command_of(options))


def _loaded(options: argparse.Namespace) -> tuple[ModelPair, RootPlan]:
    from veridraft.gpu.crosschecks.wins import RootPlan
    from veridraft.gpu.decoding.passes.packing import packed_pair
    from veridraft.gpu.models.random_models import load_timing_pair

    pair = load_timing_pair(options.target, options.draft, options.device, options.dtype)
    pair = packed_pair(pair) if options.pack else pair
    part: dict[str, Any] = {
        name: getattr(options, name) for name in ("verifiers", "policies", "temperatures", "top_ps")
    }
    return pair, RootPlan.of("full", pair, **part, **_numbers(options))


def _numbers(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in NUMBERS}


def command_of(options: argparse.Namespace) -> str:
    """The shell command that makes the run, or goes on with it; options at their default are left out."""
    words = ["veridraft", "wins"]
    for flag, settings in OPTIONS.items():
        value = getattr(options, flag[2:].replace("-", "_"))
        if value != default_of(settings):
            words += [flag] if value is True else [flag, _typed(flag, value)]
    return shlex.join(words)


def _typed(flag: str, value: Any) -> str:
    """The value as it is typed."""
    if not isinstance(value, tuple):
        return str(value)
    return ("; " if flag == "--policies" else ",").join(f"{one:g}" if isinstance(one, float) else one for one in value)


def _say(done: int, total: int, file: WinsFile) -> None:
    """A line on standard error: texts that are done, and about how long the others take."""
    spent = [cell["seconds"] for cell in file.cells]
    left = f", about {duration(sum(spent) / len(spent) * (total - done))} left" if spent and done < total else ""
    print(f"wins: {done}/{total} texts{left}", file=sys.stderr, flush=True)


def publish(run: Wins, place: Path) -> int:
    """The exit status, after the answer is printed and written; the path is printed last."""
    text = wins_text(run)
    path = (place if place.is_dir() else place.parent) / TEXT
    path.write_text(text + "\n", encoding="utf-8")
    print(text, end="\n\n")
    print(path)
    if not run.settings:
        print("veridraft wins: no setting has units enough to compare", file=sys.stderr)
        return BAD_INPUT
    return 0
