"""What a page says in other words than the text: plain decoding by its name, many cells in one sentence."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from veridraft.theory.policies.paths import Chain

from ...writing.tables import Table
from .rows import LEAST_SHARE, WITHIN, Suite, SuiteRow
from .text import sentences

PLAIN = ("nss", Chain(0).name)
"""A verifier of any draft over an empty chain, as a run names decoding without a draft."""

PLAINLY = ("plain decoding", "no draft")


def renamed(text: str) -> str:
    """The text with plain decoding called that."""
    return text.replace(", ".join(PLAIN), PLAINLY[0])


def plainly(table: Table) -> Table:
    """The table, in which the verifier that decodes plainly over an empty chain is called plain decoding."""
    return replace(table, rows=tuple(_renamed(row) for row in table.rows))


def _renamed(row: tuple[str, ...]) -> tuple[str, ...]:
    for place, pair in enumerate(pairwise(row)):
        if pair == PLAIN:
            return *row[:place], *PLAINLY, *row[place + 2 :]
    return row


def said_one_by_one(suite: Suite) -> list[str]:
    """The sentences of the text about cells of which something can be said: one disagrees, or a term is named."""
    unnamed = {id(row) for row in _unnamed(suite)}
    told = Suite(suite.file, tuple(row for row in suite.rows if id(row) not in unnamed or not row.agrees), ())
    return [renamed(sentence) for sentence in sentences(told)]


def said_together(suite: Suite) -> str:
    """One sentence for all cells that are off without a term that did it; "" without any."""
    rows = _unnamed(suite)
    if not rows:
        return ""
    ratios = [100 * row.ratio.value - 100 for row in rows if row.ratio]
    inside, one = sum(row.inside for row in rows), len(rows) == 1
    words = (
        f"{len(rows)} cell{' is' if one else 's are'} more than {100 * WITHIN:.0f} % from "
        f"{'its' if one else 'their'} prediction ({min(ratios):+.0f} % to {max(ratios):+.0f} %) without a term of "
        f"{100 * LEAST_SHARE:.0f} % or more that is beyond chance; in {inside} of them the interval of the ratio holds "
        "1: so few rounds leave it that wide."
    )
    if inside < len(rows):
        words += f" In the other {len(rows) - inside} parts that are each within chance add up beyond it."
    return words.replace("-", "\N{MINUS SIGN}")


def _unnamed(suite: Suite) -> list[SuiteRow]:
    """The timed cells that are off, no term being named."""
    return [row for row in suite.timed if not row.near and row.parting is None]
