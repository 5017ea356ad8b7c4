"""``veridraft audit-server``: does a running server that speculates emit the target's law?"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from veridraft.simulate.auditing.verdict import Verdict
from veridraft.simulate.transcripts import RowsAlong
from veridraft.simulate.transcripts.course import TextCourse
from veridraft.simulate.transcripts.rows_along import own_rows
from veridraft.simulate.transcripts.transcript import SAMPLING, check_sampling

from ...running.console import BAD_INPUT, STOPPED, Parser, bad_input
from ...running.files import check_file
from ...running.options import COUNT, command_of
from ...running.progress import ProgressLine, Talk
from ...servers.base import Server
from ...servers.beside import Beside
from ...servers.collecting import Collector, ServerRows, TextsFile, judged
from ...servers.http import NotReadyError, ServerError
from ...servers.model_rows import ModelRows
from ...servers.table import SERVERS, server_at
from .common import JUDGING, parser_of, publish

ABOUT = """\
Ask a server for texts, get the row of every token, and hold the tokens against their rows, until there is enough
evidence or the budget is spent. Rows come from the control server, or from the server itself, or with --target from a
model in transformers. With --control, a server of the same engine and model without speculation, only what sets the
two apart is called lossy; without it rows that are not the engine's own laws may be taken for a defect.

Every request is kept in the folder --out; the same command goes on where it was stopped.
"""

EXAMPLE = """\

example: veridraft audit-server http://127.0.0.1:8080 --control http://127.0.0.1:8081 --temperature 0.8
"""

OPTIONS: dict[str, dict[str, Any]] = {
    "--control": {"metavar": "ADDRESS", "help": "the same engine and model without speculation"},
    "--draft": {
        "metavar": "ADDRESS",
        "help": "the draft model alone: with its rows, settings applied, wrong acceptance shows many times sooner",
    },
    "--kind": {"choices": tuple(SERVERS), "help": "the servers' shape (default: the one that answers)"},
    "--target": {"metavar": "MODEL", "help": "take the rows from this model, named as in the other commands"},
    "--prompts": {
        "metavar": "FILE", "type": Path,
        "help": "a JSON list of lists of token ids, or a text prompt in each line (default: eight of our own)",
    },
    "--requests": {"metavar": "N", "type": COUNT, "default": 200, "help": "at most (default: %(default)s)"},
    "--tokens": {"metavar": "N", "type": COUNT, "default": 32, "help": "of a text, at most (default: %(default)s)"},
    "--row-tokens": {
        "metavar": "K", "type": COUNT, "default": 512,
        "help": "likeliest tokens of a row that are asked for; all others count as one (default: %(default)s)",
    },
    "--temperature": {"type": float, "default": 1.0, "help": "of the texts; 0 is greedy (default: %(default)g)"},
    "--top-k": {"type": COUNT, "default": 0, "help": "0 keeps all (default)"},
    "--top-p": {"type": float, "default": 1.0, "help": "(default: %(default)g)"},
    "--min-p": {"type": float, "default": 0.0, "help": "(default: %(default)g)"},
    "--first-seed": {"metavar": "N", "type": COUNT, "default": 1, "help": "of the requests (default: %(default)s)"},
    "--beside": {"metavar": "N", "type": COUNT, "default": 0,
                 "help": "requests of other prompts and seeds, at 1.5 times the temperature, that the audited server "
                 "answers while it answers the judged one (default: %(default)s)"},
    "--wait": {"metavar": "S", "type": float, "default": 0.0,
               "help": "for so long servers may still be starting (default: %(default)g)"},
    "--timeout": {"metavar": "S", "type": float, "default": 60.0, "help": "of one request (default: %(default)g)"},
    "--seconds": {"metavar": "S", "type": float, "help": "stop asking after about S"},
    "--out": {"metavar": "FOLDER", "type": Path, "default": Path("audit-server"),
              "help": "where the requests are kept (default: %(default)s)"},
}  # fmt: skip


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft audit-server`` with the words behind it."""
    options = parser().parse_args(words)
    with bad_input("audit-server"):
        check_file("json", options.json)
        collector, file = _prepared(options)
    course = TextCourse(own_rows, options.level, options.by_place, options.margin, options.seed)
    return _audited(options, collector, file, course)


def parser() -> Parser:
    """The parser of the words behind the command's name."""
    made = parser_of("audit-server", ABOUT, OPTIONS)
    made.epilog = (made.epilog or "") + EXAMPLE
    made.add_argument("address", metavar="ADDRESS", help="of the server, such as http://127.0.0.1:8080")
    return made


def _prepared(options: argparse.Namespace) -> tuple[Collector, TextsFile]:
    """Who is asked for what, and where it is kept; nothing is asked before all arguments are checked."""
    settings = _settings(options)
    for name, least in (("requests", 1), ("tokens", 1), ("row_tokens", 1), ("timeout", 1e-3)):
        if not getattr(options, name) >= least:
            raise ValueError(f"{name.replace('_', '-')} must be at least {least}, but is {getattr(options, name)}")
    prompts = _read_prompts(options.prompts)
    audited = _started(options, options.address)
    control = _started(options, options.control) if options.control else None
    draft = _started(options, options.draft) if options.draft else None
    rows, tokenizer = _rows(options, control or audited)
    others = {"the control": control, "the draft": draft}
    ids = [one if isinstance(one, tuple) else _tokens_of(one, audited, others, tokenizer) for one in prompts]
    asked = {
        "server": audited.identity(), "control": control and control.identity(),
        "draft": draft and draft.identity(), "rows": options.target or "server",
        "row_tokens": options.row_tokens, "sampling": settings, "tokens": options.tokens, "steps": options.by_place,
        "prompts": [*map(list, ids)], "first_seed": options.first_seed, "beside": options.beside,
        "requests": options.requests, "cells": [[number] for number in range(options.requests)],
    }  # fmt: skip
    if control and asked["server"] != asked["control"]:
        Talk.say(f"The control is another model or build: {asked['control']}, beside {asked['server']}")
    command = command_of(["audit-server", options.address], OPTIONS | JUDGING, options)
    file = TextsFile.open(options.out, command, asked, {})
    beside = Beside(options.beside, ids)
    made = Collector(
        audited, control, rows, ids, options.tokens, settings, options.first_seed, options.by_place, beside,
        ServerRows(draft, options.row_tokens) if draft else None,
    )  # fmt: skip
    return made, file


def _tokens_of(text: str, audited: Server, others: Mapping[str, Server | None], tokenizer: Any) -> tuple[int, ...]:
    """The audited server's tokens of a prompt; ``ValueError`` if whoever gives the rows makes others of it."""
    try:
        tokens = audited.tokens_of(text)
    except ServerError as error:
        raise ServerError(f"{error}; a prompt file of token ids needs no tokenizer") from None
    found = {who: server.tokens_of(text) for who, server in others.items() if server}
    if tokenizer is not None:
        found["the target of the rows"] = tuple(tokenizer(text)["input_ids"])
    for who, made in found.items():
        if made and not _same_tokens(tokens, made):
            raise ValueError(
                f"the server and {who} have different tokenizers: of {text[:20]!r} they make {list(tokens[:6])} and "
                f"{list(made[:6])}"
            )
    return tokens


def _same_tokens(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether they are the same, a token that begins the text aside."""
    return one in (other, other[1:]) or one[1:] == other


def _started(options: argparse.Namespace, address: str) -> Server:
    """The server at an address, once it answers."""
    until = time.monotonic() + options.wait
    while True:
        try:
            return server_at(address, options.kind, options.timeout)
        except NotReadyError as error:
            if time.monotonic() >= until:
                raise NotReadyError(f"{error}. With --wait S a server that is starting is waited for") from None
            time.sleep(0.2)


def _settings(options: argparse.Namespace) -> dict[str, float]:
    settings = check_sampling({name: getattr(options, name) for name in SAMPLING})
    if not 0 < settings["top_p"] <= 1 or settings["min_p"] > 1:
        raise ValueError("top-p must lie in (0, 1], min-p in [0, 1]")
    return settings


def _read_prompts(path: Path | None) -> Sequence[str | tuple[int, ...]]:
    """The prompts: texts, or token ids."""
    if path is None:
        from veridraft.gpu.models.prompts import PROMPTS

        return PROMPTS
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        lists = json.loads(text)
        if not all(isinstance(one, list) and one and all(isinstance(token, int) for token in one) for one in lists):
            raise ValueError(f"prompts {str(path)!r} must be a list of lists of token ids")
        return [tuple(one) for one in lists]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"prompts {str(path)!r} is empty")
    return lines


def _rows(options: argparse.Namespace, server: Server) -> tuple[RowsAlong, Any]:
    """Where rows come from, and the tokenizer there if it is not the server's."""
    if not options.target:
        return ServerRows(server, options.row_tokens), None
    from veridraft.gpu.models.pairs import load_alone

    pair = load_alone(options.target)
    return ModelRows(pair, options.row_tokens), pair.tokenizer


def _audited(options: argparse.Namespace, collector: Collector, file: TextsFile, course: TextCourse) -> int:
    """Ask and judge until the verdict stands or the budget is spent; what was answered is judged, whatever ends it."""
    status = None
    try:
        with ProgressLine("requests", options.requests, done=len(file.cells)) as progress:
            for number in judged(collector, file, course, options.seconds):
                progress.step(f"{number} answered, {course.own.tokens} tokens judged")
    except (ServerError, ValueError) as error:
        print(f"\nveridraft audit-server: error: {error}", file=sys.stderr)
        status = BAD_INPUT
    except KeyboardInterrupt:
        status = STOPPED
    if status is not None:
        print(f"{len(file.cells)} requests are kept in {file.path}; the same command goes on.", file=sys.stderr)
    result = course.result(options.address)
    found = publish(replace(result, notes=(*result.notes, *_of_drafts(file))), options.json)
    return found if status is None or found == Verdict.LOSSY.exit_status else status


def _of_drafts(file: TextsFile) -> Iterator[str]:
    """What the server told of its drafts: a pass of one that drafted nothing says nothing."""
    if file.drafts is None:
        return
    drawn, kept = file.drafts
    if drawn:
        yield f"The server drafted {drawn:,} tokens and accepted {kept:,}."
    else:
        yield "The server tells of no drafted token: speculation was off, or found nothing to draft."
