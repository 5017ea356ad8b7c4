"""Rules that are not lossless, for the tests of bounds: one-step rules for independent draws, top-down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from veridraft.theory import DraftLaw, Row, Verifier, top_down
from veridraft.theory.rows.distributions import Scalar
from veridraft.theory.solvers import Branching

Accepts = Callable[[Row, Row, int], Scalar]
"""The probability of accepting a token, from the target's and the draft's row."""


def lossy_k_seq(rho: Fraction) -> Verifier:
    """K-SEQ with a rho of one's own: accept with min(1, p / (rho q)), else draw from (p - gamma min(p / rho, q))+."""

    def residual(target: Row, draft: Row, count: int) -> Row:
        overlap = np.minimum(target / rho, draft)
        beta = overlap.sum()
        return np.maximum(target - (1 - (1 - beta) ** count) / beta * overlap, 0 * rho)

    return _verifier("lossy_k_seq", lambda p, q, x: min(1, p[x] / (rho * q[x])), residual)


def accept_always() -> Verifier:
    """The first draft is taken as it is."""
    return _verifier("accept_always", lambda p, q, x: Fraction(1), lambda p, q, count: p)


def accept_above(share: Fraction) -> Verifier:
    """A draft is taken where p exceeds a share of q, else the token is drawn from (p - q)+."""
    return _verifier(
        "accept_above", lambda p, q, x: Fraction(p[x] > share * q[x]), lambda p, q, count: np.maximum(p - q, 0 * share)
    )


def _verifier(name: str, accepts: Accepts, residual: Callable[[Row, Row, int], Row]) -> Verifier:
    """Test the list in order, then draw from the residual."""

    def solver(target: Row, draft: Row, tokens: Sequence[int], weight: Scalar = 1) -> Branching:
        listed, remaining = dict.fromkeys(tokens, Fraction(0)), Fraction(1)
        for token in tokens:
            accepted = remaining * accepts(target, draft, token)
            listed[token] += accepted
            remaining -= accepted
        row = residual(target, draft, len(tokens)).copy()
        if remaining:
            row *= remaining / row.sum()
        for token in listed:
            listed[token] += row[token] if remaining else 0
            row[token] = Fraction(0)
        off = row.sum() if remaining else Fraction(0)
        return Branching(tuple(listed), tuple(listed.values()), off, Fraction(0), row, row.sum())

    return Verifier(name, name, "broken on purpose", top_down(solver), frozenset({DraftLaw.IID}))
