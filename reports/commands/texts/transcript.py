"""``veridraft audit-transcript``: are these texts drawn from their rows?"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from veridraft.simulate.transcripts import RowsAlong, Transcript, audit_transcripts, read_transcripts

from ...running.console import Parser, bad_input
from ...running.files import check_file
from ...running.models import MODEL_OPTIONS
from ...running.progress import ProgressLine
from ...servers.model_rows import ModelRows
from .common import parser_of, publish

ABOUT = """\
Hold every token of a log against the law that it must have been drawn from. One request stands in each line:

  {"prompt": [ids], "tokens": [ids], "sampling": {"temperature": 1.0, "top_p": 0.9}, "seed": 7,
   "accepted": [2, 0, 3], "drafted": [3, 3, 3],
   "rows": [{"ids": [...], "logp": [...]}, ...], "draft_rows": [{"ids": [...], "logp": [...]}, null, ...]}

tokens holds all that were drawn, one that ended the text among them. rows has the law of each token behind the
sampling settings (a greedy request's: as the model gives it); tokens that it leaves out count as one. With --target
the rows come from a model instead. All but prompt and tokens may be left out; seeds must not repeat.
"""

OPTIONS: dict[str, dict[str, Any]] = {
    "--control": {
        "metavar": "FILE",
        "type": Path,
        "help": "texts of the same prompts, in their order, without speculation: only what sets the two apart "
        "is called lossy then, whatever the rows miss",
    },
    "--target": {"metavar": "MODEL", "help": "take the rows from this model, named as in the other commands"},
    "--device": MODEL_OPTIONS["--device"],
    "--dtype": MODEL_OPTIONS["--dtype"],
}


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft audit-transcript`` with the words behind it."""
    options = parser().parse_args(words)
    with bad_input("audit-transcript"):
        _check(options)
        with ProgressLine("requests", _lines(options.file)) as progress:
            result = audit_transcripts(
                _followed(options.file, progress),
                _rows(options),
                read_transcripts(options.control) if options.control else None,
                name=str(options.file), level=options.level, by_place=options.by_place, margin=options.margin,
                seed=options.seed,
            )  # fmt: skip
    return publish(result, options.json)


def parser() -> Parser:
    """The parser of the words behind the command's name."""
    made = parser_of("audit-transcript", ABOUT, OPTIONS)
    made.add_argument("file", metavar="FILE", type=Path, help="JSON lines, one request each")
    return made


def _check(options: argparse.Namespace) -> None:
    check_file("json", options.json)
    for path in filter(None, (options.file, options.control)):
        if not path.is_file() or not os.access(path, os.R_OK):
            raise ValueError(f"{str(path)!r} is no file that can be read")
    if not options.margin >= 0:
        raise ValueError(f"margin must be at least 0, but is {options.margin}")


def _rows(options: argparse.Namespace) -> RowsAlong | None:
    """The rows of the model that was asked for; None for the transcripts' own."""
    if not options.target:
        return None
    from veridraft.gpu.models.pairs import load_alone

    return ModelRows(load_alone(options.target, options.device, options.dtype))


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _followed(path: Path, progress: ProgressLine) -> Iterator[Transcript]:
    for number, transcript in enumerate(read_transcripts(path)):
        yield transcript
        progress.step(f"request {number}")
