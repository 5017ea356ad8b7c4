"""Rates and ratios of ways to choose, of one verifier or of two, over the same held-out texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from veridraft.theory.rows.distributions import Row
from veridraft.theory.speed.jackknife import jackknife_half

from ...writing.intervals import Mean

Cell = Mapping[str, Any]

Held = tuple[Cell, str]
"""A verifier's record, and one of its ways to choose."""


def over_texts(sums: Row, of: Callable[[Row], float]) -> Mean:
    """A quantity of the totals (n,) of texts' sums (texts, n), with its interval; infinite for fewer than two texts."""
    total = sums.sum(axis=0)
    left_out = np.array([of(total - one) for one in sums]) if len(sums) > 1 else np.array([])
    return Mean(of(total), jackknife_half(left_out) if len(left_out) else float("inf"))


def rate(held: Held, sampling: int | None = None) -> Mean:
    """Tokens per second, of all texts or of those of a sampling."""
    return over_texts(_sums([held], sampling), lambda total: float(total[0] / total[1]))


def ratio(one: Held, other: Held, sampling: int | None = None) -> Mean:
    """Tokens per second of one way over those of another."""
    return over_texts(_sums([one, other], sampling), lambda total: float(total[0] / total[1] * total[3] / total[2]))


def _sums(helds: Sequence[Held], sampling: int | None) -> Row:
    """(texts, 2 n) tokens and seconds by text."""
    kept = np.array([sampling in (None, one) for one in helds[0][0]["samplings"]])
    return np.concatenate([np.array(cell["by_text"][way])[kept] for cell, way in helds], axis=1)


def spoken(found: Mean, digits: int = 3) -> str:
    """A number with half of its interval, if there is one."""
    half = f" ± {found.half:.{digits}f}" if np.isfinite(found.half) else ""
    return f"{found.mean:.{digits}f}{half}".replace("-", "\N{MINUS SIGN}")
