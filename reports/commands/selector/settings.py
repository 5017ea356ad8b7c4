"""The best setting of each verifier at each sampling, and how acceptance falls with depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from veridraft.theory.verifiers.table import get_verifier

from ...writing.markdown import Section
from .paired import Cell, over_texts, rate, spoken

SPACES = {"chain": "one chain", "root": "one tree from the root", "static": "one action"}
"""Ways that take one action for all roots of a sampling."""

BEST = (
    "Tokens per second on held-out texts, of the action that is best at the roots to learn from: of one path (K = 1), "
    "of those that branch at the root, of all. 'All' counts every sampling's own action; intervals are 95 %, over "
    "texts."
)
DEPTH = (
    "On held-out texts, of K paths from the root: the share of walks that come to a depth of which one more token is "
    "accepted there, by rules that decide from the root. For one path of Naive it is one less the total variation of "
    "the two rows, in the mean over walks; intervals are 95 %, over texts."
)


def best_settings(cells: Sequence[Cell], samplings: Sequence[Sequence[float]]) -> Section:
    """A row for each verifier and sampling, and one for all samplings."""
    headers = ["verifier", "T", *(word for name in SPACES.values() for word in (name, "tokens/s"))]
    rows = [row for cell in cells for row in _rows(cell, samplings)]
    return Section("Best settings", (BEST,), tuple(headers), tuple(rows))


def _rows(cell: Cell, samplings: Sequence[Sequence[float]]) -> Iterator[tuple[str, ...]]:
    for number in sorted(set(cell["samplings"])):
        found = [(cell["actions"][way][str(number)], spoken(rate((cell, way), number), 1)) for way in SPACES]
        yield cell["verifier"], sampling_name(samplings[number]), *(word for pair in found for word in pair)
    found = [("", spoken(rate((cell, way)), 1)) for way in SPACES]
    yield cell["verifier"], "all", *(word for pair in found for word in pair)


def sampling_name(sampling: Sequence[float]) -> str:
    """Temperature, and top-p where there is one."""
    temperature, top_p = sampling
    return f"{temperature:g}" + (f", top-p {top_p:g}" if top_p < 1 else "")


def by_depth(cells: Sequence[Cell]) -> Section:
    """Acceptance of the rules that decide from the root."""
    kept = [cell for cell in cells if is_one_step(cell["verifier"])]
    rows = [(cell["verifier"], paths, *_acceptance(sums)) for cell in kept for paths, sums in cell["lengths"].items()]
    depths = range(max((len(row) - 2 for row in rows), default=0))
    return Section("Acceptance by depth", (DEPTH,), ("verifier", "K", *map(str, depths)), tuple(rows))


def _acceptance(sums: Any) -> Iterator[str]:
    """By depth, from sums (texts, L + 1) of E[tau + 1] of 0 to L tokens: P(tau > depth) over P(tau >= depth)."""
    reached = np.diff(np.array(sums), axis=1, prepend=0)
    for depth in range(reached.shape[1] - 1):
        yield spoken(over_texts(reached[:, depth : depth + 2], lambda total: float(total[1] / total[0])), 2)


def is_one_step(verifier: str) -> bool:
    """True for a rule that decides from the root, one step after the other."""
    lift = get_verifier(verifier).lift
    return lift is not None and not lift.asks_subtrees


def named(cells: Sequence[Cell]) -> Mapping[str, Cell]:
    """The records by verifier."""
    return {cell["verifier"]: cell for cell in cells}
