"""``veridraft certify``: certificates over many random pairs, every verifier with every policy that it supports."""

from __future__ import annotations

import argparse
import shlex
from importlib import metadata
from pathlib import Path
from typing import Any

from ...running.console import FAILED, STOPPED, bad_input, names, say_stopped
from ...running.options import COMMON, check_folder, check_verifiers
from ...running.sources import source_digest
from ...running.store import Store
from ..report.data import CertificateRow
from ..report.tables import certificate_table
from .certificates import Cell, cells, read_certificates, run_certificates

PAIRS, MOST_TREES = 200, 262_144


def add_to(commands: Any) -> None:
    """Add the command to the parsers of ``commands``."""
    text = (
        "Certify verifiers with every policy of Chain, Iid, Delayed that they support, in exact fractions and in "
        "float64, on random pairs "
        "of 2 to 4 tokens with up to 3 paths and 3 levels: positive rows, zeros, disjoint supports, equal pairs, ties, "
        "point masses. Finished certificates are kept in the folder of --out: the same command goes on where a stopped "
        "one was. The status is 1 if one is lossy; the summary's path is the last line."
    )
    sub = commands.add_parser("certify", description=text)
    sub.add_argument(
        "--verifiers",
        metavar="NAMES",
        type=names,
        default=COMMON,
        help=f"names with commas between them (default: {','.join(COMMON)})",
    )
    sub.add_argument("--pairs", type=int, default=PAIRS, help="number of random pairs (default: %(default)s)")
    sub.add_argument("--most-trees", type=int, default=MOST_TREES,
                     help="leave out instances with more trees than this (default: %(default)s, none)")  # fmt: skip
    sub.add_argument("--seed", type=int, default=0, help="of the random pairs (default: %(default)s)")
    sub.add_argument(
        "--out",
        type=Path,
        default=Path("certificates-out"),
        help="folder, made if it is missing (default: %(default)s)",
    )
    sub.set_defaults(run=run_certify)


def run_certify(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft certify``: 0 if every certificate is lossless, 1 if one is not."""
    with bad_input("certify"):
        for name in ("pairs", "most_trees"):
            if getattr(options, name) < 1:
                raise ValueError(f"{name.replace('_', '-')} must be at least 1, but is {getattr(options, name)}")
        check_verifiers(options.verifiers)
        if options.seed < 0:
            raise ValueError(f"seed must be at least 0, but is {options.seed}")
        folder = check_folder(options.out)
    wanted = cells(options.pairs, options.verifiers, options.most_trees)
    store = Store(folder / "certificates.jsonl", source_digest(run_certificates.__module__))
    try:
        run_certificates(wanted, options.seed, store)
    except KeyboardInterrupt:
        say_stopped()
        _publish(options, wanted, store, folder)
        return STOPPED
    rows = _publish(options, wanted, store, folder)
    return 0 if all(row.lossless for row in rows) else FAILED


def _publish(options: argparse.Namespace, wanted: list[Cell], store: Store, folder: Path) -> tuple[CertificateRow, ...]:
    """Print and write the summary, its path last; the rows that it shows."""
    rows = read_certificates(wanted, options.seed, store)
    finished = sum(store.get(key) is not None for key in (cell.key(options.seed) for cell in wanted))
    summary = _summary(options, len(wanted), finished, rows, store.digest)
    path = folder / "summary.txt"
    path.write_text(summary + "\n", encoding="utf-8")
    print(summary, end="\n\n")
    print(path)
    return rows


def _summary(
    options: argparse.Namespace, wanted: int, finished: int, rows: tuple[CertificateRow, ...], digest: str
) -> str:
    command = ["veridraft", "certify", "--pairs", str(options.pairs), "--most-trees", str(options.most_trees)]
    command += ["--seed", str(options.seed), "--verifiers", ",".join(options.verifiers)]
    lines = [
        f"Command: {shlex.join(command)}",
        f"Finished: {finished} of {wanted} instances (a pair with a policy), each with every verifier that supports it",
        f"Code: veridraft {metadata.version('veridraft')}, digest of theory {digest}",
        "",
        certificate_table(rows).text(),
    ]
    return "\n".join(lines + [f"LOSSY: {row.difference}" for row in rows if row.difference])
