"""The tables of the documentation, computed: ``make tables`` brings them up to date."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from veridraft.gpu.files.kinds import CrosscheckFile
from veridraft.simulate.defects.table import DEFECTS
from veridraft.theory.efficiency.efficiency import block_efficiency
from veridraft.theory.pairs.base import MarkovPair
from veridraft.theory.policies.arguments import parse_policy
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Chain, Iid
from veridraft.theory.policies.top_plus_one import HubPairs, TopPlusOne
from veridraft.theory.verifiers.table import VERIFIERS, Verifier

from ...writing.tables import Table
from .real import real_run
from .tables import how, real_table

ARXIV = re.compile(r"\b(\d{4}\.\d{5})\b")
ISSUE = re.compile(r"\b([\w.-]+/[\w.-]+) (?:PR|issue|pull request) #?(\d+)")

TARGET = (Fraction(1, 2), Fraction(3, 10), Fraction(1, 5))
DRAFT = (Fraction(1, 5), Fraction(1, 4), Fraction(11, 20))
PAIR = MarkovPair(np.array([TARGET] * 3, dtype=object), np.array([DRAFT] * 3, dtype=object))
"""The pair of the verifiers' table: the same two rows at every context."""

POLICIES: tuple[Policy, ...] = (Iid(2, 2), parse_policy("Static(2x2)"), Chain(2), TopPlusOne(2, 2), HubPairs(2))
"""Trees of depth 2 with two drafts at a node; a verifier is shown with the first of them that it is lossless for."""


def shown_policy(verifier: Verifier) -> Policy:
    """The policy that a verifier is shown with; ``ValueError`` if it supports none of them."""
    for policy in POLICIES:
        if verifier.supports(policy):
            return policy
    raise ValueError(f"verifier {verifier.name!r} supports none of {', '.join(policy.name for policy in POLICIES)}")


def verifier_table() -> Table:
    """Every verifier of the table with its exact block efficiency on the table's pair."""
    rows = []
    for verifier in VERIFIERS.values():
        policy = shown_policy(verifier)
        value = f"{float(block_efficiency(verifier, policy, PAIR).value):.6f}"
        name, solver, lift = how(verifier.name)
        rows.append((f"`{name}`", verifier.title, solver, lift, policy.name, with_links(verifier.source), value))
    columns = ("verifier", "in the literature", "solver", "lift", "policy", "source (arXiv)", "E[tau + 1]")
    return Table("", columns, tuple(rows), names=6)


def untimed(table: Table) -> Table:
    """A table of a real pair without its tokens per second: what a cross-check took is no measurement of speed."""
    return replace(table, columns=table.columns[:-1], rows=tuple(row[:-1] for row in table.rows))


def real_tables(runs: Path) -> str:
    """The committed runs on real pairs as Markdown, each with the command that made it."""
    parts = []
    for path in sorted(runs.glob(f"*/{CrosscheckFile.name}")):
        file = CrosscheckFile.load(path)
        run = real_run(file)
        table = untimed(real_table(run, run.rows[0].temperature))
        parts.append(f"`{file.command}` (`reports/runs/{path.parent.name}`). {table.caption}.\n\n{table.markdown()}")
    return "\n\n".join(parts)


def defect_table() -> Table:
    """Every known defect: what is wrong, and where it was seen."""
    rows = tuple(
        (str(defect.number), f"`{name}`", defect.form.value, defect.mechanism, with_links(defect.seen_in))
        for name, defect in sorted(DEFECTS.items(), key=lambda item: item[1].number)
    )
    return Table("", ("number", "name", "form", "what is wrong", "seen in"), rows, names=5)


def with_links(text: str) -> str:
    """Papers of arXiv and issues of GitHub as links."""
    text = ARXIV.sub(r"[\1](https://arxiv.org/abs/\1)", text)
    return ISSUE.sub(lambda found: f"[{found[0]}](https://github.com/{found[1]}/issues/{found[2]})", text)


def updated(text: str, root: Path) -> str:
    """A page with those of its tables computed anew that stand between marks; ``root`` is the repository's folder."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if begin in text:
            before, rest = text.split(begin)
            text = f"{before}{begin}\n{table(root)}\n\n{end}{rest.split(end)[1]}"
    return text


TABLES: Mapping[str, Callable[[Path], str]] = {
    "verifiers": lambda root: verifier_table().markdown(),
    "defects": lambda root: defect_table().markdown(),
    "real runs": lambda root: real_tables(root / "reports" / "runs"),
}
"""By the name of the marks."""


def main() -> None:
    """Bring every page of the named folder up to date."""
    folder = Path(sys.argv[1])
    for path in sorted(folder.rglob("*.md")):
        path.write_text(updated(path.read_text(encoding="utf-8"), folder.resolve().parent), encoding="utf-8")


if __name__ == "__main__":
    main()
