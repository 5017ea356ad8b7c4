"""A study: cells of work, a file of the finished ones that a later run goes on with, and what is shown of them.

Everything that a person runs for long is an instance: it says which cells there are, how one is measured and how a file
of them reads.  Words, resuming, progress, bad input, Ctrl-C and writing are here, once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from veridraft.gpu.files.cell_file import CellFile, check_folder

from ..writing.html import require_page_packages
from ..writing.markdown import Note, note_text, render_note
from ..writing.rows import FORMATS, Rows, flat, write_rows
from .console import BAD_INPUT, FAILED, STOPPED, Parser, bad_input, broken_off, say_stopped
from .options import Options, command_of
from .parallel import PARALLEL, Workers
from .progress import ProgressLine, Talk
from .sources import source_digest, versions
from .verifiers import SOURCES

StudyStep = tuple[int, int, Any]
"""Cells done, cells in all, and the file that holds them."""


@dataclass(frozen=True)
class Study:
    """What makes a study.

    start : checks all that was asked for (``ValueError`` that names the argument) before any work, opens the file in
        the folder, and gives a step at once and after each cell
    text : the tables of a file, as far as it is finished; pages : further files by their ending, such as ``html``
    agrees : whether what was measured is as it should be; if not, the exit status is 1
    rows : what is exported: records of named values; each finished cell unless the study says otherwise
    command : the words that run it, if it is no ``veridraft study run NAME``
    """

    name: str
    about: str
    options: Options
    file: type[CellFile]
    start: Callable[[argparse.Namespace, Path, str], Iterator[StudyStep]]
    text: Callable[[Any], str]
    pages: Mapping[str, Callable[[Any], str]] = field(default_factory=dict)
    agrees: Callable[[Any], bool] = lambda file: True
    rows: Callable[[Any], Rows] = lambda file: [flat(cell) for cell in file.cells]
    command: str = ""

    @classmethod
    def of_cells(
        cls, name: str, about: str, options: Options, file: type[CellFile],
        plan: Callable[[argparse.Namespace], Plan], **more: Any,
    ) -> Study:  # fmt: skip
        """The study of a plan, made of what was asked for; any process may measure a cell: it takes ``PARALLEL``, too.

        The cells, and what is made of them, are the same whoever measures them.
        """

        def start(asked: argparse.Namespace, folder: Path, command: str) -> Iterator[StudyStep]:
            return cell_by_cell(file, plan(asked), folder, command, Workers.of(asked))

        return cls(name, about, {**options, **PARALLEL}, file, start, **more)

    @property
    def words(self) -> str:
        """What a person types to run it, without options."""
        return self.command or f"study run {self.name}"

    @property
    def stem(self) -> str:
        """The name of its files, without their ending."""
        return Path(self.file.name).stem


class Plan(Protocol):
    """What a study computes by itself, checked when it is made."""

    def settings(self) -> dict[str, Any]:
        """All that determines the cells, whose keys stand there as ``cells``."""

    def measure(self, *key: Any) -> dict[str, Any]:
        """The finished cell of a key, which is added to it."""


def cell_by_cell(
    file: type[CellFile], plan: Plan, folder: Path, command: str, workers: Workers | None = None
) -> Iterator[StudyStep]:
    """The steps of a plan, in the code of its module as it is; with several ``workers`` cells finish in any order.

    Raises ``ValueError`` for a folder that holds cells of other settings, code or versions.
    """
    check_folder(folder)
    settings = plan.settings() | {"code": source_digest(type(plan).__module__)}
    own = {name: SOURCES[name] for name in getattr(plan, "verifiers", ()) if name in SOURCES}
    settings |= {"own": own} if own else {}
    return (workers or Workers()).steps(file.open(folder, command, settings, versions()), plan)


def noted(note: Callable[[Any], Note]) -> dict[str, Any]:
    """Text and page of a study whose file reads as a note."""
    return {"text": lambda file: note_text(note(file)), "pages": {"html": lambda file: render_note(note(file))}}


def run(study: Study, words: Sequence[str]) -> int:
    """The exit status of a run: 0, 1 if it does not agree or breaks off, 2 for bad input, 130 if it is stopped."""
    options = run_parser(study).parse_args(words)
    try:
        with bad_input(study.words):
            if getattr(options, "show", False):
                return publish(study, study.file.load(options.out), options.out)
            steps = study.start(options, options.out, given_command(study, options))
            done, total, file = next(steps)
        if done:
            Talk.say(f"{study.name}: {done} of {total} cells are finished already")
        with broken_off(study.words), ProgressLine(study.name, total, done=done) as progress:
            for _, _, file in steps:
                progress.step(", ".join(map(str, next(reversed(file.finished)))))
    except KeyboardInterrupt:
        say_stopped(options.out)
        return STOPPED
    except ConnectionError as error:
        print(f"\nveridraft {study.words}: error: {error}", file=sys.stderr)
        say_stopped(options.out)
        return FAILED
    return publish(study, file, options.out)


def show(study: Study, words: Sequence[str]) -> int:
    """The exit status of showing what is finished in a folder: text and pages are written again beside the cells."""
    options = show_parser(study).parse_args(words)
    with bad_input(f"study show {study.name}"):
        file = study.file.load(options.out)
    return publish(study, file, options.out, options.format)


def publish(study: Study, file: CellFile, folder: Path, format: str | None = None) -> int:
    """The exit status, after the text is printed and all is written; the path of what was written last ends it.

    format : of :data:`.rows.FORMATS`: the rows are exported, too
    """
    if not file.finished:
        print(f"veridraft {study.words}: no cell is finished", file=sys.stderr)
        return BAD_INPUT
    folder = folder if folder.is_dir() else folder.parent
    with bad_input(study.words):
        text = study.text(file)
    print(text.rstrip("\n"), end="\n\n")
    for path in write(study, file, folder, text):
        print(path)
    with bad_input(study.words):
        if format is not None:
            print(write_rows(study.rows(file), folder / f"{study.stem}.{format}"))
        return 0 if study.agrees(file) else FAILED


def write(study: Study, file: CellFile, folder: Path, text: str) -> Iterator[Path]:
    """Write the text and every page, each of which comes back; without the packages for pages, a word about it."""
    parts: dict[str, Callable[[Any], str]] = {"txt": lambda file: text.rstrip("\n") + "\n", **study.pages}
    for ending, content in parts.items():
        path = folder / f"{study.stem}.{ending}"
        try:
            if ending != "txt":
                require_page_packages()
        except ValueError as error:
            print(f"{path.name} is left out: {error}", file=sys.stderr)
            continue
        path.write_text(content(file), encoding="utf-8")
        yield path


def run_parser(study: Study) -> Parser:
    """The parser of the words behind ``run NAME``."""
    text = f"{study.about[:1].upper()}{study.about[1:]}. Finished cells are kept in the folder of --out: the same "
    text += "command goes on where a stopped one was."
    parser = Parser(prog=f"veridraft {study.words}", description=text)
    for flag, settings in study.options.items():
        parser.add_argument(flag, **settings)
    if study.command:
        parser.add_argument("--show", action="store_true", help="print what is finished in --out; run nothing")
    return _with_folder(study, parser)


def show_parser(study: Study) -> Parser:
    """The parser of the words behind ``show NAME``."""
    text = f"Print what is finished of {study.name} and write its text and pages again; nothing is run."
    parser = Parser(prog=f"veridraft study show {study.name}", description=text)
    parser.add_argument("--format", choices=FORMATS, help=f"write the rows, too, as {study.stem}.FORMAT")
    return _with_folder(study, parser)


def _with_folder(study: Study, parser: Parser) -> Parser:
    files = ", ".join(f"{study.stem}.{ending}" for ending in ("jsonl", "txt", *study.pages))
    parser.add_argument("--out", type=Path, default=Path(study.name), metavar="FOLDER",
                        help=f"made if missing: {files} (default: %(default)s)")  # fmt: skip
    return parser


def given_command(study: Study, options: argparse.Namespace) -> str:
    """The shell command that runs it again, or goes on; who computes is left out, since it changes nothing."""
    said = {flag: settings for flag, settings in study.options.items() if flag not in PARALLEL}
    return command_of(study.words.split(), {**said, "--out": {"default": Path(study.name)}}, options)
