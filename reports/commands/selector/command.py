"""``veridraft selector``: teach the choice of an action before drafting, or say what the choice is worth."""

from __future__ import annotations

from collections.abc import Sequence

from ...running.console import Parser
from . import evaluate, train

PARTS = {
    "train": (train.main, "draw roots of a pair, and teach a network for each verifier"),
    "evaluate": (evaluate.main, "what the choices are worth on held-out texts, beside baselines and the oracle"),
}


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft selector`` with the words behind it."""
    if words and words[0] in PARTS:
        return PARTS[words[0]][0](words[1:])
    parser = Parser(prog="veridraft selector", description="A choice of the draft tree before drafting.")
    parts = parser.add_subparsers(title="parts", required=True, metavar="PART")
    for name, (_, text) in PARTS.items():
        parts.add_parser(name, help=text, add_help=False)
    parser.parse_args(words)
    return 0
