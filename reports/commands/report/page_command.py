"""``veridraft page``: tables and page of a report again, from what is finished."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from ...running.console import bad_input
from ...running.store import write_json
from ...writing.html import require_page_packages
from .job import Job
from .page import write_page
from .tables import report_text


def add_to(commands: Any) -> None:
    """Add the command to the parsers of ``commands``."""
    text = "Make tables and page again from the finished pieces of a report, running nothing."
    sub = commands.add_parser("page", description=text)
    sub.add_argument("--out", type=Path, default=Path("report-out"), help="the report's folder (default: %(default)s)")
    sub.set_defaults(run=run_page)


def run_page(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft page``."""
    with bad_input("page"):
        require_page_packages()
        job = Job.opened(options.out)
    publish(job)
    return 0


def publish(job: Job, unfinished: bool = False) -> None:
    """Print the tables, write the numbers and the page, print its path last."""
    report = job.read(unfinished)
    write_json(job.folder / "report.json", report.to_json())
    if report.real is not None:
        shutil.copyfile(job.real_folder / "crosscheck.jsonl", job.folder / "crosscheck.jsonl")
    print(report_text(report), end="\n\n")
    print(write_page(report, job.folder / "report.html"))
