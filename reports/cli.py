"""The ``veridraft`` command.

Bad input ends with status 2 and one line on the standard error stream, before any work; a stop (Ctrl-C, or
SIGTERM) with status 130, what was finished being kept; a fault of veridraft itself with status 70 and a traceback, so
that status 1 is always a verdict.  Only the module of the command that is asked for is imported.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import veridraft

from .running.console import BROKEN_PIPE, FAULT, STOPPED, Parser, break_line, speak_plainly
from .running.progress import Talk, Words

COMMANDS = {
    "report": ("commands.report.command", "the main job: tables and one HTML page"),
    "audit": ("commands.audit.command", "is a function, seen from outside, a lossless verifier?"),
    "audit-transcript": ("commands.texts.transcript", "are logged texts drawn from their rows?"),
    "audit-server": ("commands.texts.server", "does a running server that speculates emit the target's law?"),
    "certify": ("commands.certify.command", "exact certificates on many random pairs"),
    "crosscheck": ("commands.crosscheck.command", "predicted against measured: a real pair, or an engine's report"),
    "what-if": ("commands.what_if.command", "what to run, and how fast, on your acceptance and hardware"),
    "explore": ("commands.explore.command", "a page with sliders: what a tree gives, and where drafts die"),
    "latency": ("commands.speed.latency", "measure passes, verification and overhead here"),
    "distil": ("commands.speed.distil", "teach a small draft the rows of a target"),
    "selector": ("commands.selector.command", "teach the choice of a tree before drafting, and say what it is worth"),
    "study": ("studies.table", "list, run or show a study: committed tables that anybody can compute again"),
}
"""Each command's module, whose ``main`` takes the words behind its name, and its line of help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status of the command with the given arguments (by default those of the process)."""
    words = _command_first(list(sys.argv[1:] if arguments is None else arguments))
    speak_plainly()
    _listen()
    if not words:
        _parser().print_help()
        return 0
    if words[0] not in COMMANDS:
        _parser().parse_args(words)  # help, the version, or an error
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return int(import_module(f".{COMMANDS[words[0]][0]}", __package__).main(words[1:]))
    except KeyboardInterrupt:
        print(f"{break_line()}Stopped: nothing is kept.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains once more at its end
        return BROKEN_PIPE
    except Exception:
        traceback.print_exc()
        print(f"veridraft {words[0]}: this is a fault of veridraft, and no verdict", file=sys.stderr)
        return FAULT


def _command_first(words: list[str]) -> list[str]:
    """The words with ``--quiet`` behind the command, whose own it is, where it stood in front."""
    quiet = words[:1] == ["--quiet"] and words[1:2] and words[1] in COMMANDS
    return [words[1], words[0], *words[2:]] if quiet else words


def _listen() -> None:
    """Say what veridraft's modules tell their loggers, until a command is told to be quiet."""
    Talk.quiet = False
    logger = logging.getLogger("veridraft")
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, Words) for handler in logger.handlers):
        logger.addHandler(Words())


def _parser() -> Parser:
    """The parser of the whole command, each command with its line of help."""
    top = Parser(prog="veridraft", description="The exact reference for lossless speculative decoding on draft trees.")
    top.add_argument("--version", action="version", version=f"veridraft {veridraft.__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, (_, text) in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    return top
