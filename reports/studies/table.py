"""``veridraft study list | run NAME | show NAME``: every study by its name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from ..running.console import Parser
from ..writing.tables import Table

if TYPE_CHECKING:
    from ..running.study import Study

STUDIES = {
    "gaps": "what each verifier misses of the tree-level optimum",
    "findings": "published claims held against exact cases",
    "auditing": "how good the auditor is: defects found, false alarms, sensitivity",
    "texts": "how good audits of texts are: tokens until departures are found, false alarms",
    "real-audits": "code that people run, audited: transformers, and packages of the Python index",
    "engines": "serving engines' own samplers, audited on a CPU",
    "llama-cpp": "servers of llama.cpp, audited from outside: right, wrong on purpose, with checkpoints",
    "actions": "the actions of 2602.16994: each verifier's best paths, trunk and branches at eight samplings",
    "tree-rules": "UniVer, Traversal, Greedy and RRSw on chains, binary and ternary trees: who gains how much",
    "shapes": "DySpec's trees against Sequoia's, SpecInfer's, EAGLE-2's and OPT-Tree's at equal budgets; lists by rule",
    "real-shapes": "DySpec's trees against Sequoia's, SpecInfer's and EAGLE-2's at the same roots of a real pair",
    "hardware": "the actions under six machines and batches: where trees, delay and speculation stop to pay",
    "delayed": "where delayed expansion beats branching at the root",
    "lengths": "which defects show in the accepted lengths that engines report, and which cannot",
    "suites": "every verifier with its policies on a real pair, predicted and measured",
    "wins": "where each verifier and delayed expansion win on a real pair, at the same roots",
    "speed": "throughput of a few verifiers on a real pair, predicted and measured in one run",
}
"""Names, and what each is about; the module is ``study`` in the sub-package of that name, and holds ``STUDY``."""

ACTIONS = {"list": "the studies", "run": "run a study, or go on with it", "show": "what is finished of a study"}


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft study`` with the words behind it."""
    options, rest = _parser().parse_known_args(words)
    if options.action == "list":
        print(Table("Studies", ("name", "about"), tuple(STUDIES.items()), names=2).text())
        return 0
    study = get_study(options.name)
    from ..running import study as running

    return (running.run if options.action == "run" else running.show)(study, rest)


def get_study(name: str) -> Study:
    """The study of a name."""
    found: Study = import_module(f"{__package__}.{name.replace('-', '_')}.study").STUDY
    return found


def _parser() -> Parser:
    parser = Parser(prog="veridraft study", description="Studies: tables that anybody can compute again.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, text in ACTIONS.items():
        sub = actions.add_parser(action, help=text, description=text, add_help=action == "list")
        if action != "list":
            sub.add_argument("name", choices=tuple(STUDIES), metavar="NAME")
    return parser
