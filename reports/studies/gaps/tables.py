"""The gap table as rows of text, as a figure and as a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import scipy

from veridraft.theory.display.charts import BLUE, VERMILION, name_rows

from ...writing.figures import drawn
from ...writing.markdown import Note, Section
from .cases import CASES, CLOSENESS, CONCENTRATION, EXPONENT, FAMILIES, NOISE, Gap, GapFamily

LEVEL = 0.95
ATTAINED = 1e-7
"""A verifier that misses less than this share of E[tau] counts as attaining the optimum, which is proven to 1e-7 at
worst and mostly to rounding."""

GROUPS: tuple[tuple[str, Callable[[GapFamily], bool]], ...] = (
    *((f"near {c:g}", lambda f, c=c: f.kind == "dirichlet" and f.distance == c) for c in CLOSENESS),
    *((f"flat {c:g}", lambda f, c=c: f.kind == "dirichlet" and f.shape == c) for c in CONCENTRATION),
    ("Zipf", lambda f: f.kind == "zipf"),
)
"""Columns of the table: far to near, peaked to flat, each over the rest; and Zipf rows."""

DRAWN_CASES = ("Delayed(2, 1, 1)", "Iid(2, 2)", "Iid(2, 3)", "Iid(3, 2)")
"""The policies of the figure; its rows are in the order of the last."""

LEFT_OUT = "nss"
"""Not drawn: it misses so much that the others would lie on top of each other."""


@dataclass(frozen=True)
class Missed:
    """The mean share of E[tau] missed over some families, each with equal weight, and the pairs behind it."""

    shares: tuple[tuple[float, ...], ...]

    @property
    def mean(self) -> float:
        """The mean over families and pairs."""
        return float(np.mean(self.shares))

    @property
    def attained(self) -> float:
        """The share of pairs on which nothing is missed."""
        return float(np.mean(np.array(self.shares) < ATTAINED))

    def half_width(self, level: float = LEVEL) -> float:
        """Half the length of Student's interval for the families' own mean, pairs being drawn within families."""
        count, size = len(self.shares), len(self.shares[0])
        error = sqrt(sum(np.var(shares, ddof=1) / size for shares in self.shares)) / count
        return float(scipy.stats.t.ppf((1 + level) / 2, count * (size - 1)) * error)


def missed(found: Sequence[Gap], policy: str, verifier: str, belongs: Callable[[GapFamily], bool]) -> Missed | None:
    """One verifier under one policy over the families that belong; None if one of them is not finished."""
    shares = [gap.shares for gap in found if (gap.policy, gap.verifier) == (policy, verifier) and belongs(gap.family)]
    wanted = sum(map(belongs, FAMILIES))
    return Missed(tuple(shares)) if len(shares) == wanted else None


def gap_rows(found: Sequence[Gap], policy: str) -> list[tuple[str, Missed]]:
    """The verifiers of a policy over all families, the least missed first."""
    verifiers = dict.fromkeys(gap.verifier for gap in found if gap.policy == policy)
    rows = [(verifier, missed(found, policy, verifier, lambda family: True)) for verifier in verifiers]
    return sorted(((name, row) for name, row in rows if row is not None), key=lambda item: item[1].mean)


COLUMNS = (
    "Percent of E[tau] missed: over all families; near: Dirichlet rows of that closeness; flat: Dirichlet rows of that "
    "concentration; Zipf rows."
)
HEADERS = ("verifier", "missed %", "+/-", "attained %", *(name for name, _ in GROUPS))


def gap_table(found: Sequence[Gap], policy: str) -> tuple[tuple[str, ...], ...]:
    """The cells of one policy's table, under ``HEADERS``."""
    rows = []
    for verifier, row in gap_rows(found, policy):
        groups = (missed(found, policy, verifier, belongs) for _, belongs in GROUPS)
        cells = [percent(group.mean) for group in groups if group is not None]
        rows.append((verifier, percent(row.mean), percent(row.half_width()), f"{100 * row.attained:.0f}", *cells))
    return tuple(rows)


def percent(share: float) -> str:
    """The share in percent with two decimals, never a negative zero."""
    return f"{100 * share:.2f}" if round(share, 4) else "0.00"


def gap_figure(found: Sequence[Gap]) -> str:
    """A panel per policy: the share missed of each verifier, with its interval; one row per verifier."""
    rows = {policy: [row for row in gap_rows(found, policy) if row[0] != LEFT_OUT] for policy in DRAWN_CASES}
    names = list(dict.fromkeys(verifier for policy in DRAWN_CASES[::-1] for verifier, _ in rows[policy]))
    places = {verifier: place for place, verifier in enumerate(names)}

    def paint(figure: Any) -> None:
        panels = figure.subplots(1, len(DRAWN_CASES), sharex=True, sharey=True)
        for axes, policy in zip(panels, DRAWN_CASES, strict=True):
            for verifier, row in rows[policy]:
                _mark(axes, places[verifier], verifier, row)
            axes.set_title(policy, loc="left")
            axes.set_xlabel("% of E[tau] missed")
            name_rows(axes, names)
        panels[0].set_xlim(left=0)

    return drawn("gaps", 9.6, 0.24 * len(names) + 0.8, paint)


def _mark(axes: Any, place: int, verifier: str, row: Missed) -> None:
    lifted = verifier.startswith(("lifted", "symmetric")) or verifier in ("traversal", "gbv", "block", "univer")
    colour, marker = (VERMILION, "^") if lifted else (BLUE, "o")
    axes.errorbar(100 * row.mean, place, xerr=100 * row.half_width(), color=colour, marker=marker, markersize=5)


def gap_note(found: Sequence[Gap], command: str) -> Note:
    """The page: the figure, then a table for each policy."""
    pairs = len(found[0].values) if found else 0
    lead = (
        "The optimum of each pair is the greatest block efficiency of any lossless verifier that sees the tree and "
        "both models, proven from both sides; a verifier misses (optimum - E[tau + 1]) / (optimum - 1), the share of "
        f"the E[tau] that can be had. Means are over {len(FAMILIES)} families of {pairs} random pairs each, every "
        "family with equal weight. The +/- is half a 95 % interval of Student's for the mean of the families "
        "themselves: what another draw of pairs would change; it holds as approximately as the means are normal, and "
        "says nothing about pairs of another kind. Every value is exact for its pair: all trees, no sampling. "
        "Attained: share of pairs on which less than 1e-7 is missed."
    )
    picture = Section(
        "Share of E[tau] missed, by policy",
        drawing=lambda: gap_figure(found),
        caption="Circles: rules that walk down from the root. Triangles: rules that decide whole paths or subtrees. "
        "Bars: the intervals of the tables. NSS lies far to the right and is left out.",
    )
    sizes = {policy.name: size for policy, size in CASES}
    tables = [
        Section(f"{policy}, {size} tokens", (COLUMNS,), HEADERS, gap_table(found, policy))
        for policy, size in sizes.items()
    ]
    return Note("How far from the optimum", lead, (_families_section(), picture, *tables), command)


def _families_section() -> Section:
    words = (
        "dirichlet(concentration, closeness): target rows are Dirichlet, peaked (0.1) to flat (10); the draft is "
        "closeness times the target plus the rest of an independent row, far (0) to near (0.9). zipf(exponent, noise): "
        "target rows have weights rank ** -exponent in an order of their own at every context, the draft's log "
        "weights have normal noise. Rows are drawn afresh at every context.",
        f"Families: dirichlet with concentration {_listed(CONCENTRATION)} and closeness {_listed(CLOSENESS)}, each "
        f"with each, and zipf with exponent {_listed(EXPONENT)} and noise {_listed(NOISE)}, each with each.",
    )
    return Section("The pairs", words)


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
