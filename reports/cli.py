"""The ``veridraft`` command.

Bad input ends with status 2 and one line on the standard error stream, before any work; a stop (Ctrl-C, or
SIGTERM) with status 130, what was finished being kept.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from veridraft.theory.verifiers import VERIFIERS

from . import (
    audit_command,
    certify_command,
    crosscheck_command,
    distil_command,
    latency_command,
    real,
    speed_command,
    studies,
    what_if_command,
)
from .console import STOPPED, Parser, bad_input, names, say_stopped
from .job import Job, write_json
from .page import require_page_packages, write_page
from .settings import Settings, check_folder
from .tables import report_text

NO_TORCH = (
    "the real pair: PyTorch and transformers are not installed (pip install 'veridraft[gpu]' installs them); "
    "the synthetic part is whole"
)

DEFAULT = Settings()
MODEL = "a folder, a GGUF file, or a name that transformers knows"

REPORT_OPTIONS: dict[str, dict[str, Any]] = {
    "--target": {"metavar": "MODEL", "help": f"{MODEL} (default: SmolLM2-135M-Instruct, fetched once)"},
    "--draft": {
        "metavar": "MODEL",
        "help": "the same, or skip:17,18 for the target without those layers (default with the default target: "
        "skip:17,18,16,14)",
    },
    "--verifiers": {
        "metavar": "NAMES",
        "type": names,
        "default": DEFAULT.verifiers,
        "help": f"names with commas between them, of {', '.join(VERIFIERS)} (default: {','.join(DEFAULT.verifiers)})",
    },
    "--policy": {
        "default": DEFAULT.policy,
        "help": "tree policy on the real pair: Chain(L), Iid(K, L) or Delayed(K, L1, L2); verifiers of single paths "
        "draft a chain of that depth (default: %(default)s)",
    },
    "--temperature": {"type": float, "default": DEFAULT.temperature, "help": "at least 0 (default: %(default)s)"},
    "--top-p": {"type": float, "default": DEFAULT.top_p, "help": "above 0, at most 1 (default: %(default)s)"},
    "--steps": {
        "type": int,
        "default": DEFAULT.steps,
        "help": "target passes per verifier on the real pair (default: %(default)s)",
    },
    "--seed": {
        "type": int,
        "default": DEFAULT.seed,
        "help": "of synthetic pairs, drafts and coins (default: %(default)s)",
    },
    "--out": {"type": Path, "default": Path("report-out"), "help": "folder, made if missing (default: %(default)s)"},
    "--synthetic": {"action": "store_true", "help": "leave the real pair out"},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status of the command with the given arguments (by default those of the process)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in studies.STUDIES:
        return studies.run_study(words[0], words[1:])
    options = parser().parse_args(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return int(options.run(options))


def parser() -> Parser:
    """The parser of the whole command."""
    top = Parser(prog="veridraft", description="The exact reference for lossless speculative decoding on draft trees.")
    top.add_argument("--version", action="version", version=f"veridraft {metadata.version('veridraft')}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_report(commands)
    _add_page(commands)
    audit_command.add_to(commands)
    certify_command.add_to(commands)
    crosscheck_command.add_to(commands)
    distil_command.add_to(commands)
    latency_command.add_to(commands)
    speed_command.add_to(commands)
    what_if_command.add_to(commands)
    studies.add_to(commands)
    return top


def _add_report(commands: Any) -> None:
    text = (
        "Compute exact block efficiencies and certificates on synthetic pairs, run every verifier on a real model pair "
        "and compare with the prediction, print the tables and write one HTML page, whose path is the last line. "
        "Finished pieces are kept in the folder of --out: the same command goes on where a stopped one was."
    )
    sub = commands.add_parser("report", help="the main job: tables and one HTML page", description=text)
    for flag, options in REPORT_OPTIONS.items():
        sub.add_argument(flag, **options)
    sub.set_defaults(run=run_report)


def _add_page(commands: Any) -> None:
    text = "Make tables and page again from the finished pieces of a report, running nothing."
    sub = commands.add_parser("page", help="make a report's page again", description=text)
    sub.add_argument("--out", type=Path, default=Path("report-out"), help="the report's folder (default: %(default)s)")
    sub.set_defaults(run=run_page)


def run_report(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft report``."""
    with bad_input("report"):
        settings = Settings(**{name: getattr(options, name) for name in Settings.__dataclass_fields__})
        require_page_packages()
        left_out = _left_out(settings)
        pair = None if left_out else real.load(settings)
        left_out += real.not_on_device(settings) if pair else ()
        job = Job.new(settings, check_folder(options.out), left_out)
    try:
        job.run(pair)
    except KeyboardInterrupt:
        say_stopped()
        _publish(job, unfinished=True)
        return STOPPED
    _publish(job)
    return 0


def _left_out(settings: Settings) -> tuple[str, ...]:
    """Why the real pair is left out, if it is."""
    if settings.synthetic:
        return ("the real pair, because of --synthetic",)
    if find_spec("torch") is None or find_spec("transformers") is None:
        return (NO_TORCH,)
    return ()


def run_page(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft page``."""
    with bad_input("page"):
        require_page_packages()
        job = Job.opened(options.out)
    _publish(job)
    return 0


def _publish(job: Job, unfinished: bool = False) -> None:
    """Print the tables, write the numbers and the page, print its path last."""
    report = job.read(unfinished)
    write_json(job.folder / "report.json", report.to_json())
    if report.real is not None:
        shutil.copyfile(job.real_folder / "crosscheck.json", job.folder / "crosscheck.json")
    print(report_text(report), end="\n\n")
    print(write_page(report, job.folder / "report.html"))
