"""Transport programmes, solved by POT or by HiGHS, and the proof of a plan by its dual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy

from ..rows.distributions import Row, Scalar

Program = Literal["pot", "highs"]
PricedPlan = tuple[Row, Row, Row]
"""A plan (M, N), the prices (M,) of its rows and those (N,) of its columns."""

TOLERANCE = 1e-9
"""How far a programme's answer may be from optimal."""

MOST_PIVOTS = 10_000_000



@dataclass(frozen=True)
class Duality:
    """A proof that a plan is optimal: its cost, and the prices' value, which no plan's cost is below.

    ``gap`` is their difference, and ``misplaced`` the plan's mass where the reduced cost is positive; all of
    them Fractions if the plan is.
    """

    primal: Scalar
    dual: Scalar
    misplaced: Scalar

    @property
    def gap(self) -> Scalar:
        """``primal - dual``."""
        return self.primal - self.dual


def check_duality(
    plan: Row, cost: Row, masses: tuple[Row, Row], prices: tuple[Row, Row], tolerance: float = TOLERANCE
) -> Duality:
    """The proof by duality that a plan minimises ``sum plan * cost`` over the plans with its marginals.

    Parameters: ``plan`` and ``cost`` (M, N), ``masses`` and ``prices`` a pair (M,), (N,).  Exact for Fractions.
    Raises ``ValueError`` that names the first condition that fails by more than the tolerance: the plan is
    nonnegative and has the marginals; no reduced cost ``cost - price of row - price of column`` is negative; no
    mass lies where the reduced cost is positive; the plan's cost is the prices' value.
    """
    reduced = cost - prices[0][:, None] - prices[1][None, :]
    proof = Duality(
        (plan * cost).sum(),
        (masses[0] * prices[0]).sum() + (masses[1] * prices[1]).sum(),
        plan[(reduced > tolerance).astype(bool)].sum(),
    )
    amounts = {
        "the plan has a negative entry": -plan.min(),
        "the plan's row sums are not the masses": np.abs(plan.sum(axis=1) - masses[0]).max(),
        "the plan's column sums are not the masses": np.abs(plan.sum(axis=0) - masses[1]).max(),
        "a reduced cost is negative": -reduced.min(),
        "mass lies on edges of positive reduced cost": proof.misplaced,
        "the plan's cost is not the prices' value": abs(proof.gap),
    }
    for failure, amount in amounts.items():
        if not amount <= tolerance:
            raise ValueError(f"the plan is not proven optimal: {failure}, by {float(amount):.3g}")
    return proof


def solve_transport(cost: Row, masses: tuple[Row, Row], program: Program) -> PricedPlan:
    """A plan (M, N) of least cost between two positive rows of masses, with the prices that prove it; float64.

    Columns of mass 0 are left out of the programme and priced afterwards.  Raises ``ValueError`` for masses
    that are negative, or whose sums differ by more than 1e-9; ``RuntimeError`` unless solved to optimality.
    """
    rows, columns = masses
    if rows.min() <= 0 or columns.min() < 0 or abs(rows.sum() - columns.sum()) > TOLERANCE:
        raise ValueError(f"masses must be nonnegative with equal sums, but sum to {rows.sum()} and {columns.sum()}")
    used = np.flatnonzero(columns)
    part, row_prices, used_prices = PROGRAMS[program](np.ascontiguousarray(cost[:, used]), rows, columns[used])
    plan = np.zeros_like(cost)
    plan[:, used] = part
    column_prices = (cost - row_prices[:, None]).min(axis=0)
    column_prices[used] = used_prices
    return plan, row_prices, column_prices


def _pot(cost: Row, rows: Row, columns: Row) -> PricedPlan:
    """By POT's network simplex."""
    import ot  # takes two seconds

    plan, log = ot.emd(rows, columns, cost, numItermax=MOST_PIVOTS, log=True)
    if log["warning"] is not None:
        raise RuntimeError(f"POT did not solve the transport programme: {log['warning']}")
    return plan, log["u"], log["v"]


def _highs(cost: Row, rows: Row, columns: Row) -> PricedPlan:
    """By HiGHS's dual simplex, on the sparse equality constraints."""
    (M, N), edges = cost.shape, np.arange(cost.size)
    places = np.concatenate([edges // N, M + edges % N]), np.concatenate([edges, edges])
    matrix = scipy.sparse.coo_array((np.ones(2 * cost.size), places), shape=(M + N, cost.size)).tocsr()
    limits = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    balanced = np.concatenate([rows, columns * (rows.sum() / columns.sum())])
    result = scipy.optimize.linprog(cost.ravel(), A_eq=matrix, b_eq=balanced, method="highs-ds", options=limits)
    if result.status != 0:
        raise RuntimeError(f"HiGHS did not solve the transport programme: {result.message}")
    prices = result.eqlin.marginals
    return np.maximum(result.x, 0.0).reshape(M, N), prices[:M], prices[M:]


PROGRAMS: dict[str, Callable[[Row, Row, Row], PricedPlan]] = {"pot": _pot, "highs": _highs}
"""Name to a function of cost (M, N), positive masses (M,) and (N,)."""
