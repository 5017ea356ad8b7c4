"""``veridraft report``: the main job."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from veridraft.gpu.files.cell_file import check_folder
from veridraft.gpu.files.kinds import CrosscheckFile
from veridraft.gpu.models.names import check_names

from ...running.console import STOPPED, Parser, bad_input, broken_off, say_stopped
from ...running.files import write_json
from ...running.models import missing_packages
from ...writing.html import require_page_packages
from . import real
from .job import Job
from .page import write_page
from .settings import ASKED, Settings
from .tables import report_text

DESCRIPTION = (
    "Compute exact block efficiencies and certificates on synthetic pairs, run every verifier on a real model pair "
    "and compare with the prediction, print the tables and write one HTML page, whose path is the last line. "
    "Finished pieces are kept in the folder of --out: the same command goes on where a stopped one was."
)

OPTIONS: dict[str, dict[str, Any]] = {
    **ASKED,
    "--out": {"type": Path, "default": Path("report-out"), "help": "folder, made if missing (default: %(default)s)"},
    "--show": {"action": "store_true", "help": "print and write again what is finished in --out; run nothing"},
}


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft report`` with the words behind it."""
    return run_report(parser().parse_args(words))


def parser() -> Parser:
    """The parser of the words behind the command's name."""
    made = Parser(prog="veridraft report", description=DESCRIPTION)
    for flag, options in OPTIONS.items():
        made.add_argument(flag, **options)
    return made


def run_report(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft report``."""
    job = None
    try:
        with bad_input("report"):
            require_page_packages()
            if options.show:
                publish(Job.opened(options.out))
                return 0
            job, pair = prepared(options)
        with broken_off("report"):
            job.run(pair)
    except KeyboardInterrupt:
        say_stopped(options.out)
        if job is not None:
            publish(job, unfinished=True)
        return STOPPED
    publish(job)
    return 0


def prepared(options: argparse.Namespace) -> tuple[Job, Any]:
    """The job that the options ask for, and its pair of models; what can be checked before these are loaded, is."""
    settings = Settings(**{name: getattr(options, name) for name in Settings.__dataclass_fields__})
    left_out = _left_out(settings)
    if not left_out:
        check_names(settings.target, settings.draft)
    check_folder(options.out)
    pair = None if left_out else real.load(settings)
    reasons = real.not_run(settings, pair).values() if pair else ()
    left_out += tuple(f"on the real pair: {reason}" for reason in reasons)
    return Job.new(settings, options.out, left_out), pair


def _left_out(settings: Settings) -> tuple[str, ...]:
    """Why the real pair is left out, if it is."""
    if settings.synthetic:
        return ("the real pair, because of --synthetic",)
    missing = missing_packages()
    return (f"the real pair: {missing}; the synthetic part is whole",) if missing else ()


def publish(job: Job, unfinished: bool = False) -> None:
    """Print the tables, write the numbers and the page, print its path last."""
    report = job.read(unfinished)
    write_json(job.folder / "report.json", report.to_json())
    if report.real is not None:
        shutil.copyfile(job.work / CrosscheckFile.name, job.folder / CrosscheckFile.name)
    print(report_text(report), end="\n\n")
    print(write_page(report, job.folder / "report.html"))
