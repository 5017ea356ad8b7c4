"""Plans: the ways in which the uniforms of a call are chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...batches.rows import Floats, quotient, residual
from ...forms.drawing import Drawing
from ...forms.form import Arguments
from .generator import Chooser

BELOW_ONE = float(np.nextafter(1.0, 0.0))
"""The largest float64 below 1."""

BELOW_ONE_FLOAT32 = float(np.nextafter(np.float32(1), np.float32(0)))
"""The largest float32 below 1."""


@dataclass(frozen=True)
class UniformPlan:
    """A way to choose the uniforms of one call.

    uniforms : the choice in words
    fixed : whether every call of the plan gets the same uniforms
    chooser : makes the choice, given the boundary values of the call
    """

    uniforms: str
    fixed: bool
    chooser: Callable[[Floats], Chooser]


def boundaries(arrays: Arguments, drawing: Drawing) -> Floats:
    """The values of [0, 1) at which a decision of a call may turn: ratios and cumulative sums of its rows.

    arrays : those of the call, with an axis of trials; none in the form ``generate``, whose target's rows are read
    """
    if not arrays:
        values = [np.cumsum(rows, axis=-1) for tables in drawing.tables for rows in tables.target[:2]]
    else:
        target, draft = _rows_by_node(arrays)
        rest = residual(target, draft)
        values = [quotient(target, draft), quotient(rest, draft), np.maximum(target - draft, 0.0).cumsum(axis=-1)]
        values += [np.cumsum(rows, axis=-1) for rows in (arrays[0], draft, rest)]
    merged = np.unique(np.concatenate([value.ravel() for value in values]))
    return merged[(merged >= 0) & (merged < 1)]


def _rows_by_node(arrays: Arguments) -> tuple[Floats, Floats]:
    """The target's and the draft's rows (n, V) at the nodes from which something was drawn."""
    target, draft = arrays[0], arrays[1]
    rows = target[..., : draft.shape[-2], :].reshape(-1, target.shape[-1])
    drafts = draft.reshape(-1, draft.shape[-1])
    drawn = drafts.any(axis=-1)
    return rows[drawn], drafts[drawn]


def _constant(value: float) -> Callable[[Floats], Chooser]:
    """Every uniform the same."""
    return lambda boundaries: lambda first, count, rng: np.full(count, value)


def _first(value: float) -> Callable[[Floats], Chooser]:
    """The first uniform, or array of them, chosen; the others drawn."""
    return lambda boundaries: lambda first, count, rng: rng.random(count) if first else np.full(count, value)


def _mixed(boundaries: Floats) -> Chooser:
    """Each an extreme or drawn, at random."""

    def choose(first: int, count: int, rng: np.random.Generator) -> Floats:
        extremes = np.array([0.0, BELOW_ONE, BELOW_ONE_FLOAT32])[rng.integers(3, size=count)]
        return np.where(rng.random(count) < 0.75, extremes, rng.random(count))

    return choose


def _at_boundaries(boundaries: Floats) -> Chooser:
    """Each a boundary value, at random."""
    return lambda first, count, rng: rng.choice(boundaries, count) if len(boundaries) else rng.random(count)


PLANS = (
    UniformPlan("every uniform 0", True, _constant(0.0)),
    UniformPlan("every uniform the largest float64 below 1", True, _constant(BELOW_ONE)),
    UniformPlan("every uniform the largest float32 below 1", True, _constant(BELOW_ONE_FLOAT32)),
    UniformPlan("the first uniforms 0, the others drawn", False, _first(0.0)),
    UniformPlan("the first uniforms the largest float64 below 1, the others drawn", False, _first(BELOW_ONE)),
    UniformPlan("uniforms 0, the largest below 1, or drawn", False, _mixed),
    UniformPlan("uniforms equal to ratios and cumulative sums of the rows", False, _at_boundaries),
)
"""Every way in which uniforms are chosen, the plainest first."""
