"""``veridraft certify``: certificates over many random pairs, every verifier with every policy that it supports."""

from __future__ import annotations

from collections.abc import Sequence

import veridraft
from veridraft.gpu.files.cell_file import CellFile

from ...running.options import COMMON, COUNT
from ...running.study import Study, run
from ...running.verifiers import HELP, VERIFIER_NAMES
from ..report.tables import certificate_table
from .certificates import CertificatesPlan, rows_of

ABOUT = (
    "certify verifiers with every policy of Chain, Iid, Delayed that they support, in exact fractions and in float64, "
    "on random pairs of 2 to 4 tokens with up to 3 paths and 3 levels: positive rows, zeros, disjoint supports, equal "
    "pairs, ties, point masses; the status is 1 if one is lossy"
)


class CertificatesFile(CellFile):
    """The finished certificates."""

    kind, name, what, fields = "veridraft certificates", "certificates.jsonl", "run", ("pair", "policy")


def text(file: CertificatesFile) -> str:
    """Command, what is finished, and the table of verifiers; a lossy one with the first string that came out wrong."""
    rows = rows_of(file.cells)
    lines = [
        f"Command: {file.command}",
        f"Finished: {len(file.finished)} of {len(file.planned)} instances (a pair with a policy), each with every "
        "verifier that supports it",
        f"Code: veridraft {veridraft.__version__}, digest {file.settings['code']}",
        "",
        certificate_table(rows).text(),
    ]
    return "\n".join(lines + [f"LOSSY: {row.difference}" for row in rows if row.difference])


STUDY = Study.of_cells(
    "certificates",
    ABOUT,
    {
        "--verifiers": {"metavar": "NAMES", "type": VERIFIER_NAMES, "default": COMMON,
                        "help": f"names with commas between them, {HELP} "
                        f"(default: {','.join(COMMON)})"},
        "--pairs": {"type": COUNT, "default": 200, "help": "number of random pairs (default: %(default)s)"},
        "--most-trees": {"type": COUNT, "default": 262_144, "help": "leave out instances with more trees than this "
                         "(default: %(default)s, none)"},
        "--seed": {"type": COUNT, "default": 0, "help": "of the random pairs (default: %(default)s)"},
    },
    CertificatesFile,
    lambda options: CertificatesPlan(options.pairs, options.verifiers, options.most_trees, options.seed),
    text=text,
    agrees=lambda file: all(row.lossless for row in rows_of(file.cells)),
    command="certify",
)  # fmt: skip


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft certify``: 1 if a verifier is lossy."""
    return run(STUDY, words)
