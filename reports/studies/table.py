"""``veridraft findings``, ``veridraft gaps``, ``veridraft delayed``: committed studies, computed again."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

STUDIES = {
    "findings": "published claims against exact cases",
    "gaps": "what each verifier misses of the tree-level optimum",
    "auditing": "how good the auditor is: defects found, false alarms, sensitivity",
    "real-audits": "code that people run, audited: transformers, and packages of the Python index",
    "delayed": "where delayed expansion beats branching at the root",
}
"""By the module of this folder that has the study's ``main``, its underscores written as hyphens."""


def add_to(commands: Any) -> None:
    """List the studies among the commands; their own parsers read what follows the name."""
    for name, text in STUDIES.items():
        commands.add_parser(name, help=text, add_help=False)


def run_study(name: str, arguments: Sequence[str]) -> int:
    """The exit status of a study."""
    return int(import_module(f"{__package__}.{name.replace('-', '_')}.study").main(arguments))
