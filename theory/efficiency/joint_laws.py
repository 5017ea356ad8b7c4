"""Joint laws: the token that a solver emits over k i.i.d. drafts, and how many of the drafts are equal to it.

The joint law of outcome y and multiplicity m is held as a polynomial in x for every y: the coefficient of x^m is
``Pr(Y = y, m of the k drafts equal y)``.  A draft that the rule never looked at multiplies it by
``q(y) x + 1 - q(y)``; a draft that was accepted, by x; a draft known to be rejected, by the law of a rejected
token.  In this form every rule below is written without a division, and all k = 1 .. K come out of one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import MappingProxyType

import numpy as np

from ..rows.distributions import Row, check_count, is_exact
from ..solvers.sequential import Solver, k_seq, naive, nss, rrs, smallest_rho

Polynomial = list[Row]
"""Coefficients of 1, x, x^2, ..., each an array (B, V)."""

NEWTON_STEPS = 200
"""More steps than a safeguarded Newton iteration over [1, k] takes in float64."""

BLOCK_ENTRIES = 2**15
"""Entries (contexts times tokens) of a block of rows that is worked on at once; a few hundred KiB per array."""

ROUNDING = 2.5e-16
"""A gap in K-SEQ's equation, between numbers up to 1, that float64 cannot tell from 0."""


def joint_laws(
    solver: Solver, target: Row, draft: Row, most: int, roots: Sequence[Row] | None = None
) -> Iterator[Polynomial]:
    """For k = 1, ..., ``most`` the joint law over k i.i.d. drafts: k + 1 arrays (B, V), the m-th of ``Pr(Y = y, m)``.

    Parameters: ``target`` and ``draft`` are (B, V), B pairs of rows; ``most`` >= 1; ``roots`` are those of
    :func:`joint_law_roots`, if they were found before.  For each k and row the entries sum to 1, and over m
    to the target's row.  Exact for Fractions; in float64 to about 1e-15.
    Cost O(B V k) per k, for K-SEQ O(B V k^2).  Mixtures of binomials as in 2602.16994, appendix, with the
    multiplicity kept.
    Raises ``ValueError`` for a solver without a known joint law; :func:`listed_joint_law` takes any.
    """
    if solver not in JOINT_LAWS:
        known = ", ".join(rule.__name__ for rule in JOINT_LAWS)
        name = getattr(solver, "__name__", repr(solver))
        raise ValueError(f"no joint law of outcome and multiplicity is known for solver {name}; known: {known}")
    check_count("most", most, 1)
    return _k_seq_laws(target, draft, roots) if roots else JOINT_LAWS[solver](target, draft, most)


def joint_law_roots(solver: Solver, target: Row, draft: Row, most: int) -> tuple[Row, ...]:
    """K-SEQ's rho for k = 1 .. ``most``, each (B,): the slow part of its joint laws.  Empty for other solvers."""
    if solver is not k_seq:
        return ()
    return tuple(smallest_rhos(target, draft, count) for count in range(1, most + 1))


def smallest_rhos(target: Row, draft: Row, count: int) -> Row:
    """(B,) the least rho in [1, count] at which K-SEQ over ``count`` draws is lossless, for B pairs of rows at once.

    Rows (B, V).  As :func:`smallest_rho`, row by row: to about 1e-15 in float64; for Fractions rounded up.
    Newton's iteration, kept inside a bracket; ``1 - (1 - beta)^count - rho beta`` falls in rho.
    """
    if is_exact(target):
        pairs = zip(target, draft, strict=True)
        return np.array([smallest_rho(*rows, count) for rows in pairs], dtype=object)
    rhos, low, high = np.ones(len(target)), np.ones(len(target)), np.full(len(target), float(count))
    open_rows = np.arange(len(target))
    for _ in range(NEWTON_STEPS):
        rho = rhos[open_rows]
        value, slope = _excess(target[open_rows], draft[open_rows], rho, count)
        low[open_rows] = np.where(value > 0, rho, low[open_rows])
        high[open_rows] = np.where(value > 0, high[open_rows], rho)
        moved = _newton_step(rho, value, slope, low[open_rows], high[open_rows])
        rhos[open_rows] = moved = np.where(np.abs(value) > ROUNDING, moved, rho)
        open_rows = open_rows[np.abs(moved - rho) > 4e-16 * rho]
        if not len(open_rows):
            break
    return rhos


def _newton_step(rho: Row, value: Row, slope: Row, low: Row, high: Row) -> Row:
    """Newton's next point, or the bracket's middle where that would leave the bracket."""
    step = rho - np.divide(value, slope, out=np.full_like(value, -np.inf), where=slope < 0)
    return np.where((low <= step) & (step <= high), step, np.where(value == 0, rho, (low + high) / 2))


def _excess(target: Row, draft: Row, rho: Row, count: int) -> tuple[Row, Row]:
    """(B,) ``1 - (1 - beta)^count - rho beta``, whose root is sought, and its derivative in rho."""
    scaled = draft * rho[:, None]
    rises = (draft * (target > scaled)).sum(axis=1)
    covered = np.minimum(target, scaled).sum(axis=1)
    beta = np.minimum(covered / rho, 1.0)
    slope = count * (1 - beta) ** (count - 1) * (rises - beta) / rho - rises
    return _any_of(beta, count) - covered, slope


def _any_of(beta: Row, count: int) -> Row:
    """1 - (1 - beta)^count, without cancellation in float64."""
    if is_exact(beta):
        return 1 - (1 - beta) ** count
    logs = np.log1p(-beta, out=np.full_like(beta, -np.inf), where=beta < 1)
    return -np.expm1(count * logs)


def _times(polynomial: Polynomial, slope: Row, rest: Row) -> Polynomial:
    """The polynomial times ``slope x + rest``."""
    out = [coefficient * rest for coefficient in polynomial]
    for power, coefficient in enumerate(polynomial[:-1], start=1):
        out[power] += coefficient * slope
    return [*out, polynomial[-1] * slope]


def _nss_laws(target: Row, draft: Row, most: int) -> Iterator[Polynomial]:
    """``p (q x + 1 - q)^k``."""
    law: Polynomial = [target]
    for _ in range(most):
        law = _times(law, draft, 1 - draft)
        yield law


def _naive_laws(target: Row, draft: Row, most: int) -> Iterator[Polynomial]:
    """``(min(p, q) x + (p - q)+) (q x + 1 - q)^(k - 1)``: a token of the residual was not the first draft."""
    accepted = np.minimum(target, draft)
    law: Polynomial = [target - accepted, accepted]
    yield law
    for _ in range(most - 1):
        law = _times(law, draft, 1 - draft)
        yield law


def _rrs_laws(target: Row, draft: Row, most: int) -> Iterator[Polynomial]:
    """``sum_i w_i x (q x + 1 - q)^(k - i)`` plus what is left: stage i takes ``w_i = min(left, |left| q)`` of it.

    The running residual times the probability of coming to its stage is ``left``, and its sum that probability.
    """
    left, listed = target, [target * 0]
    for _ in range(most):
        taken = np.minimum(left, left.sum(axis=1, keepdims=True) * draft)
        listed = _times(listed, draft, 1 - draft)
        listed[1] = listed[1] + taken
        left = left - taken
        yield [listed[0] + left, *listed[1:]]


def _k_seq_laws(target: Row, draft: Row, roots: Sequence[Row]) -> Iterator[Polynomial]:
    """``o x sum_i (a x + |a| - a)^(i - 1) (q x + 1 - q)^(k - i)`` plus the residual's row.

    ``o = min(p / rho, q)`` is accepted, ``a = q - o`` rejected; the residual is emitted when all were rejected.
    """
    unseen: list[Polynomial] = [[draft * 0 + 1]]
    for count, rho in enumerate(roots, start=1):
        accepted = np.minimum(target / rho[:, None], draft)
        rejected = draft - accepted
        others = np.maximum(rejected.sum(axis=1, keepdims=True) - rejected, 0 * target)
        stages = unseen[0]
        for power in unseen[1:]:
            stages = [first + second for first, second in zip(_times(stages, rejected, others), power, strict=True)]
        law = _residual_law(target, accepted, rejected, others, count)
        yield [law[0], *(part + stage * accepted for part, stage in zip(law[1:], stages, strict=True))]
        unseen.append(_times(unseen[-1], draft, 1 - draft))


def _residual_law(target: Row, accepted: Row, rejected: Row, others: Row, count: int) -> Polynomial:
    """``(p - gamma o) (a x + |a| - a)^k / |a|^k``; in float64 rho is the root, and a is 0 where the residual is not."""
    beta = accepted.sum(axis=1, keepdims=True)
    gamma = _quotients(_any_of(np.minimum(beta, beta * 0 + 1), count), beta)
    law = [np.maximum(target - gamma * accepted, target * 0)]
    if not is_exact(target):
        return law + [target * 0] * count
    total = rejected + others
    for _ in range(count):
        law = _times(law, _quotients(rejected, total), _quotients(others, total))
    return law


def _quotients(share: Row, whole: Row) -> Row:
    """``share / whole``, and 0 where the whole is 0."""
    safe = np.where(whole == 0, whole + 1, whole)
    return np.where(whole == 0, share * 0, share / safe)


def _rooted_laws(target: Row, draft: Row, most: int) -> Iterator[Polynomial]:
    """K-SEQ's laws, its roots found first."""
    return _k_seq_laws(target, draft, joint_law_roots(k_seq, target, draft, most))


JOINT_LAWS: MappingProxyType[Solver, Callable[[Row, Row, int], Iterator[Polynomial]]] = MappingProxyType(
    {nss: _nss_laws, naive: _naive_laws, rrs: _rrs_laws, k_seq: _rooted_laws}
)
"""Solver to the joint laws of outcome and multiplicity over k = 1, 2, ... i.i.d. drafts, read-only.

``rrs_without_replacement`` is missing on purpose: after a rejection the draft's row is renormalised by what was
erased, so that the law of the second stage depends on which token was rejected, and no form in O(V k^2) is known
here.
"""
