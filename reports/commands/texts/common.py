"""What the two audits of texts share: options, and how the answer is given."""

from __future__ import annotations

import argparse
from typing import Any

from veridraft.simulate.transcripts.audit import LEVEL
from veridraft.simulate.transcripts.betting.greedy import MARGIN
from veridraft.simulate.transcripts.verdict import TokenAudit

from ...running.console import Parser
from ...running.files import JSON_OPTION, say
from ...running.options import COUNT

STATUS = "exit status: 0 no defect found, 1 lossy, 2 undecided or bad input, 130 stopped"

JUDGING: dict[str, dict[str, Any]] = {
    "--level": {
        "type": float, "default": LEVEL,
        "help": "probability of calling a lossless decoder lossy (default: %(default)g)",
    },
    "--by-place": {
        "action": "store_true",
        "help": "bet by places in the step too: finds defects of the bonus token sooner, and is valid for token-wise "
        "verification, not for block verification",
    },
    "--margin": {
        "metavar": "NATS", "type": float, "default": MARGIN,
        "help": "greedy texts: how far behind the likeliest token still is a near-tie (default: %(default)g)",
    },
    "--seed": {"metavar": "N", "type": COUNT, "default": 0, "help": "of our own coins (default: %(default)s)"},
    "--json": JSON_OPTION,
}  # fmt: skip


def parser_of(command: str, about: str, options: dict[str, dict[str, Any]]) -> Parser:
    """The parser of a command with its own options and the common ones."""
    made = Parser(prog=f"veridraft {command}", description=about, epilog=STATUS,
                  formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    for flag, words in (options | JUDGING).items():
        made.add_argument(flag, **words)
    return made


def publish(result: TokenAudit, place: str | None) -> int:
    """Say the answer; the exit status."""
    say(result.text(), result.to_json(), place)
    return result.exit_status
