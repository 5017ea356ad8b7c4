"""The ``veridraft`` command.

Bad input ends with status 2 and one line on the standard error stream, before any work; a stop (Ctrl-C, or
SIGTERM) with status 130, what was finished being kept.  Only the module of the command that is asked for is imported.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib import import_module, metadata

from .running.console import Parser
from .studies import table as studies

COMMANDS = {
    "report": ("commands.report.command", "the main job: tables and one HTML page"),
    "page": ("commands.report.page_command", "make a report's page again"),
    "audit": ("commands.audit.command", "is a function, seen from outside, a lossless verifier?"),
    "certify": ("commands.certify.command", "exact certificates on many random pairs"),
    "crosscheck": (
        "commands.crosscheck.command",
        "predicted against measured: every verifier on a real pair, or what an engine reported",
    ),
    "distil": ("commands.speed.distil", "teach a small draft the rows of a target"),
    "latency": ("commands.speed.latency", "measure passes, verification and overhead here"),
    "speed": ("studies.speed.study", "throughput, predicted and measured in one run"),
    "what-if": ("commands.speed.what_if_command", "predicted tokens per second on measured or published hardware"),
    "wins": ("studies.wins.study", "where each verifier and delayed expansion win, at the same roots"),
}
"""Each command's module , which adds it to the parser, and its line of help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status of the command with the given arguments (by default those of the process)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in studies.STUDIES:
        return studies.run_study(words[0], words[1:])
    options = parser(words[0] if words else "").parse_args(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return int(options.run(options))


def parser(command: str) -> Parser:
    """The parser of the whole command: one of its commands has its options, the others their line of help."""
    top = Parser(prog="veridraft", description="The exact reference for lossless speculative decoding on draft trees.")
    top.add_argument("--version", action="version", version=f"veridraft {metadata.version('veridraft')}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        if name == command:
            import_module(f".{module}", __package__).add_to(commands)
        else:
            commands.add_parser(name, help=text, add_help=False)
    studies.add_to(commands)
    return top
