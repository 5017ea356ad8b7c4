"""How good the auditor is: defects found, false alarms, sensitivity.

``veridraft auditing`` writes ``auditing.json``, ``auditing.txt`` and ``auditing.html``.  Finished audits are kept in
another file, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...running.console import STOPPED, Parser, bad_input, say_stopped
from ...running.options import check_folder
from ...running.progress import Progress
from ...running.sources import source_digest
from ...running.store import Store, write_json
from ...writing.markdown import Note, write_note
from . import defect_audits, false_alarms, sensitivity

DEFAULT_OUT = Path("reports/runs/auditing")
DEFAULT_PIECES = Path("report-out/auditing.jsonl")

LEAD = (
    "An auditor has to be audited itself: does it find the mechanisms by which decoders were lossy, does it let "
    "correct verifiers pass, how often is it wrong, and how many trials does it spend beside what any test must spend?"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0 after the study was computed and written, 130 if it was stopped."""
    options = _parser().parse_args(argv)
    with bad_input("auditing"):
        if options.audits < 1 or options.seeds < 1:
            raise ValueError(f"audits and seeds must be at least 1, but are {options.audits} and {options.seeds}")
        folder = check_folder(options.out)
        options.pieces.parent.mkdir(parents=True, exist_ok=True)
    if not options.render:
        try:
            _compute(options, folder)
        except KeyboardInterrupt:
            say_stopped()
            return STOPPED
    with bad_input("auditing"):
        found = json.loads((folder / "auditing.json").read_text(encoding="utf-8"))
    print(write_note(note(found), folder / "auditing"))
    return 0


def _parser() -> Parser:
    parser = Parser(prog="veridraft auditing", description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder (default: %(default)s)")
    parser.add_argument("--pieces", type=Path, default=DEFAULT_PIECES, help="finished audits (default: %(default)s)")
    parser.add_argument(
        "--audits", type=int, default=false_alarms.AUDITS, help="audits of correct verifiers (default: %(default)s)"
    )
    parser.add_argument(
        "--seeds", type=int, default=defect_audits.SEEDS,
        help="audits of each defect; twice as many of each planted deviation (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--render", action="store_true", help="write text and page again, from auditing.json")
    return parser


def _compute(options: argparse.Namespace, folder: Path) -> None:
    """Run what is missing and write auditing.json."""
    digest = source_digest(defect_audits.__name__, sensitivity.__name__, false_alarms.__name__)
    store, seeds = Store(options.pieces, digest), options.seeds
    _show("defects", defect_audits.run(store, seeds), defect_audits.steps(seeds))
    _show("sensitivity", sensitivity.run(store, 2 * seeds), sensitivity.steps(2 * seeds))
    _show("false alarms", false_alarms.run(store, options.audits), -(-options.audits // false_alarms.PIECE))
    command = f"veridraft auditing --audits {options.audits} --seeds {options.seeds}"
    found = {
        "command": command, "digest": store.digest, "defects": defect_audits.read(store, options.seeds),
        "sensitivity": sensitivity.read(store, 2 * seeds), "false_alarms": false_alarms.read(store, options.audits),
    }  # fmt: skip
    write_json(folder / "auditing.json", found)


def _show(label: str, steps: Iterator[str], total: int) -> None:
    """Run the steps and say what is done."""
    progress = Progress(label, total)
    for detail in steps:
        progress.step(detail)
    progress.close()


def note(found: dict[str, Any]) -> Note:
    """The study as a page."""
    return Note(
        "How good the auditor is",
        LEAD,
        (
            *defect_audits.sections(found["defects"]),
            false_alarms.section(found["false_alarms"]),
            sensitivity.section(found["sensitivity"]),
        ),
        found["command"],
    )


if __name__ == "__main__":
    raise SystemExit(main())
