"""``veridraft explore``: a page with sliders that shows what a draft tree gives, and where drafts die."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...running.console import Parser, bad_input
from ...running.files import check_file
from ...running.options import COUNT, check_verifiers
from ...running.progress import ProgressLine
from ...running.verifiers import VERIFIER_NAMES
from ...writing.html import require_page_packages
from .grid import Grid
from .page import render

SHOWN = ("naive", "block", "nss", "naive_tree", "spectr", "specinfer", "lifted_rrs")
"""Every rule that has a dynamic programme for delayed trees, so that all trees cost seconds."""

DESCRIPTION = (
    "Write one page, without network, whose sliders choose acceptance, temperature, the tree, the cost of a draft, the "
    "batch and the machine, and which shows the block efficiency and the tokens per second of every verifier, the best "
    "tree, and how deep drafts survive. All survivals are computed before, exactly, on synthetic pairs; time is the "
    "library's roofline. It takes about half a minute"
)

OPTIONS: dict[str, dict[str, Any]] = {
    "--out": {"type": Path, "default": Path("explore.html"), "metavar": "PAGE", "help": "(default: %(default)s)"},
    "--verifiers": {"type": VERIFIER_NAMES, "default": SHOWN, "metavar": "NAMES",
                    "help": f"of the table (default: {','.join(SHOWN)}; others list all drafts, which takes minutes to "
                    "hours: give a smaller --paths and --depth)"},
    "--paths": {"type": COUNT, "default": 4, "metavar": "K", "help": "the most (default: %(default)s)"},
    "--depth": {"type": COUNT, "default": 6, "metavar": "L", "help": "the most of L1 + L2 (default: %(default)s)"},
    "--vocabulary": {"type": COUNT, "default": 4, "metavar": "V", "help": "tokens of the pairs, at least 4 (default: "
                     "%(default)s)"},
}  # fmt: skip


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft explore`` with the words behind it."""
    parser = Parser(prog="veridraft explore", description=DESCRIPTION)
    for flag, options in OPTIONS.items():
        parser.add_argument(flag, **options)
    return run_explore(parser.parse_args(words))


def run_explore(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft explore``."""
    with bad_input("explore"):
        require_page_packages()
        check_verifiers(options.verifiers)
        check_file("out", options.out)
        grid = Grid(options.verifiers, options.paths, options.depth, options.vocabulary)
        blocks = []
        with ProgressLine("pairs", len(grid.points)) as progress:
            for point, block in grid.measure():
                blocks.append(block)
                progress.step("acceptance {:g}, parting {:g}, temperature {:g}".format(*point))
    options.out.write_text(render(grid, blocks), encoding="utf-8")
    print(options.out)
    return 0
