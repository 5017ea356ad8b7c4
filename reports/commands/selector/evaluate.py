"""``veridraft selector evaluate DIR``: one record for each verifier, kept as a study's cells are, and their page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from veridraft.gpu.files.cell_file import CellFile

from ...running.console import STOPPED, Parser, bad_input, broken_off, say_stopped
from ...running.models import missing_packages
from ...running.progress import ProgressLine
from ...running.sources import versions
from ...running.study import Study, StudyStep, noted, publish
from ...writing.rows import FORMATS
from .text import note_of, rows_of

NAME = "selector evaluate"


class SelectorFile(CellFile):
    """What each verifier's choices are worth."""

    kind, name, what = "veridraft selector", "evaluation.jsonl", "evaluation"
    fields = ("verifier",)


def start(folder: Path, command: str) -> Iterator[StudyStep]:
    """The steps of an evaluation: at once, then after each verifier."""
    if missing := missing_packages():
        raise ValueError(missing)
    from veridraft.gpu.selecting.scores import Evaluation

    evaluation = Evaluation(folder)
    place = folder / "choice.json"
    if not place.exists():
        raise ValueError(f"{str(folder)!r} is not finished: the command of its selector.json goes on with it")
    settings = evaluation.settings() | {"choice": json.loads(place.read_text(encoding="utf-8"))["seconds"]}
    file = SelectorFile.open(folder, command, settings, versions())
    return file.finish(evaluation.measure)


STUDY = Study(
    "evaluation",
    "what a selector's choices are worth",
    {},
    SelectorFile,
    lambda options, folder, command: start(folder, command),
    **noted(lambda file: note_of(file.cells, file.settings, file.command)),
    rows=lambda file: list(rows_of(file.cells)),
    command=NAME,
)


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft selector evaluate`` with the words behind it."""
    options = parser().parse_args(words)
    try:
        with bad_input(NAME):
            if options.show:
                return publish(STUDY, SelectorFile.load(options.folder), options.folder, options.format)
            steps = start(options.folder, f"veridraft {NAME} {options.folder.name}")
            done, total, file = next(steps)
        with broken_off(NAME), ProgressLine("verifiers", total, done=done) as progress:
            for _, _, file in steps:
                progress.step(next(reversed(file.finished))[0])
    except KeyboardInterrupt:
        say_stopped(options.folder)
        return STOPPED
    return publish(STUDY, file, options.folder, options.format)


def parser() -> Parser:
    """The parser of the words behind the command's name."""
    text = ("On held-out texts, under the machine that the selector was taught for: tokens per second of the best one "
            "action with and without delay, of rules, of the network with the cost of its choice, and of the oracle. "
            "Finished verifiers are kept in the folder.")  # fmt: skip
    made = Parser(prog=f"veridraft {NAME}", description=text)
    made.add_argument("folder", type=Path, metavar="DIR", help="of `veridraft selector train --out`")
    made.add_argument("--show", action="store_true", help="print what is finished in DIR; compute nothing")
    made.add_argument("--format", choices=FORMATS, help="write the rows, too, as evaluation.FORMAT")
    return made
