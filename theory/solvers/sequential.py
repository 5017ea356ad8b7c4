"""One-step solvers: given the tokens drafted at one node, the law of the token that is emitted there.

A solver is a conditional law over the vocabulary, given a child list, whose mean over the lists that a
policy draws is the target's row.  Each is written once, for float64 and for Fractions.

Every solver takes a *weight* w in [0, 1]: its target is then ``w * target`` on the vocabulary, and the
rest ``1 - w`` falls on an extra symbol "none" that the draft never proposes.  Weight 1 is the one-step
rule of the papers; the bottom-up lift needs the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import expm1, inf, log1p

import numpy as np
import scipy

from ..rows.distributions import SUM_ROUNDING, Row, Scalar, check_count, is_exact
from ..rows.lists import without

RHO_STEP = Fraction(1, 2**20)
"""In exact arithmetic K-SEQ's rho is rounded up to a multiple of this."""


TINY = 1e-300
"""In float64 a draft row with less mass than this left is not drawn from again: quotients by it would overflow."""


@dataclass(frozen=True, eq=False)
class Branching:
    """The branching law of a solver given one child list: where the mass 1 goes.

    Fields
    ------
    tokens : the D distinct tokens of the list, in order of first appearance
    listed : D probabilities, of emitting each of them
    off : probability of a token that is not in the list
    none : probability of the symbol "none"; 0 at weight 1
    residual : (V,) masses proportional to the law off the list, 0 on the list; its sum is ``residual_sum``
    """

    tokens: tuple[int, ...]
    listed: tuple[Scalar, ...]
    off: Scalar
    none: Scalar
    residual: Row
    residual_sum: Scalar

    def off_law(self) -> Row:
        """(V,) the law of the emitted token given that it is off the list; zeros if that cannot happen."""
        return self.residual / self.residual_sum if self.residual_sum else self.residual

    def row(self) -> Row:
        """(V,) the probability of every token; with ``none`` it sums to 1."""
        row = self.off_law() * self.off
        row[list(self.tokens)] = self.listed
        return row


Solver = Callable[..., Branching]
"""``solver(target, draft, tokens, weight=1)``: rows (V,), the child list as tokens with multiplicity."""


def nss(target: Row, draft: Row, tokens: Sequence[int], weight: Scalar = 1) -> Branching:
    """The law that ignores the list: emit a token of the target (naive speculative sampling, 2305.09781).

    Lossless for lists of any law.  Rows (V,); exact for Fractions.
    """
    return reject_in_order(target, draft, tokens, (), weight)


def naive(target: Row, draft: Row, tokens: Sequence[int], weight: Scalar = 1) -> Branching:
    """The law that tests the first token of the list alone (2211.17192, 2302.01318).

    Accept it with ``min(1, p/q)``, else emit from ``(p - q)+`` normalised, which may hit another token of
    the list.  Lossless for i.i.d. lists.  Rows (V,); exact for Fractions.
    Raises ``ValueError`` if the token has draft probability 0.
    """
    return reject_in_order(target, draft, tokens, tokens[:1], weight)


def rrs(target: Row, draft: Row, tokens: Sequence[int], weight: Scalar = 1) -> Branching:
    """The law of recursive rejection sampling, the list tested in order (SpecInfer, 2305.09781, Algorithm 2).

    Stage i accepts its token with ``min(1, p_i/q)``; a rejection leaves ``p_{i+1} = (p_i - q)+`` normalised.
    Lossless for i.i.d. lists.  Rows (V,); exact for Fractions.
    Raises ``ValueError`` if a token of the list has draft probability 0.
    """
    return reject_in_order(target, draft, tokens, tokens, weight)


def rrs_without_replacement(target: Row, draft: Row, tokens: Sequence[int], weight: Scalar = 1) -> Branching:
    """The law of recursive rejection sampling in which a rejected token leaves the draft's row.

    As :func:`rrs`, but after a rejection the draft's row loses the token and is renormalised, and a token
    that repeats is tested once (Sequoia 2402.12374, RSD 2402.14160).  Lossless for lists drawn without
    replacement, and for i.i.d. lists.  Rows (V,); exact for Fractions.
    Raises ``ValueError`` if a token of the list has draft probability 0.
    """
    return reject_in_order(target, draft, tokens, tuple(dict.fromkeys(tokens)), weight, erase=True)


def k_seq(target: Row, draft: Row, tokens: Sequence[int], weight: Scalar = 1) -> Branching:
    """The law of K-SEQ: accept the first token that passes ``min(1, p/(rho q))`` (SpecTr, 2310.15141, Algorithm 3).

    With ``beta = sum min(p/rho, q)`` and ``gamma = (1 - (1 - beta)^k) / beta``, k the length of the list, the
    residual is ``p - gamma min(p/rho, q)``; rho is the least at which that is nonnegative, ``gamma = rho``.
    Lossless for i.i.d. lists of that length.  Exact for Fractions, where rho is rounded up to a multiple of
    2^-20, the lossless side.  Raises ``ValueError`` if a token of the list has draft probability 0.
    """
    if len(tokens) == 1:  # rho is 1: one draw is tested as speculative sampling does
        return naive(target, draft, tokens, weight)
    mass, none = scaled(target, tokens, weight)
    rho, residual = k_seq_parts(mass, draft, len(tokens))
    listed = dict.fromkeys(tokens, none * 0)
    remaining = none * 0 + 1
    for token in tokens:
        accept = accept_ratio(mass[token] / rho, draft, token)
        listed[token] += remaining * accept
        remaining *= 1 - accept
    return split(residual, mass, none, listed, remaining)


def k_seq_parts(mass: Row, draft: Row, count: int) -> tuple[Scalar, Row]:
    """K-SEQ's rho for ``count`` draws, and the residual masses (V,) that it leaves, in a fresh array."""
    rho, beta = _rho_and_beta(mass, draft, count)
    gamma = _any_of(beta, count) / beta if beta else beta
    residual = excess(mass, draft, gamma)
    if is_exact(mass):  # rho lies above its root, gamma below rho; in float64 both are the root
        residual = np.maximum(residual, mass * (1 - gamma / rho))
    return rho, residual


def smallest_rho(mass: Row, draft: Row, count: int) -> Scalar:
    """The least rho in [1, count] at which K-SEQ over ``count`` draws is lossless: 1 - (1-beta)^count <= rho beta.

    ``mass`` (V,) is the target's row times the weight.  In float64 the root to full precision; for Fractions
    the root rounded up to a multiple of 2^-20 and the inequality checked exactly.  ``count`` >= 1.
    """
    check_count("count", count, 1)
    return _rho_and_beta(mass, draft, count)[0]


def _rho_and_beta(mass: Row, draft: Row, count: int) -> tuple[Scalar, Scalar]:
    """The least lossless rho, and beta there."""
    covered = _covered(mass, draft)

    def excess(rho: Scalar) -> Scalar:
        return _any_of(covered(rho) / rho, count) - covered(rho)

    rho = mass[0] * 0 + 1
    rounding = 0 if is_exact(mass) else SUM_ROUNDING  # at equal rows rho = 1 is a root of order ``count``
    if count > 1 and excess(rho) > rounding:
        rho = _root(excess, count) if not is_exact(mass) else _root_above(excess, mass, draft, count)
    return rho, covered(rho) / rho


def _covered(mass: Row, draft: Row) -> Callable[[Scalar], Scalar]:
    """rho >= 1 to rho beta = sum min(mass, rho draft); only tokens with mass above the draft depend on rho."""
    above, below = np.flatnonzero(mass > draft), np.flatnonzero(mass <= draft)
    fixed, above_mass, above_draft = mass[below].sum(), mass[above], draft[above]
    return lru_cache(maxsize=1)(lambda rho: fixed + np.minimum(above_draft * rho, above_mass).sum())


def _root_above(excess: Callable[[Fraction], Fraction], mass: Row, draft: Row, count: int) -> Fraction:
    """The exact root, rounded up to a multiple of 2^-20: two tries near the float root, then bisection."""
    guess = Fraction(smallest_rho(mass.astype(float), draft.astype(float), count)) // RHO_STEP
    low, high = 1 // RHO_STEP, count // RHO_STEP  # in steps; the excess is positive at low, not at high
    for probe in (guess, guess + 1):
        if low < probe < high:
            low, high = (probe, high) if excess(probe * RHO_STEP) > 0 else (low, probe)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if excess(middle * RHO_STEP) > 0 else (low, middle)
    return high * RHO_STEP


def _root(excess: Callable[[float], float], count: int) -> float:
    """The root in [1, count] of a function that is positive at 1; ``count`` if rounding hides the sign change."""
    if excess(float(count)) > 0:
        return float(count)
    return float(scipy.optimize.brentq(excess, 1.0, float(count), xtol=1e-15, rtol=1e-15))


def _any_of(beta: Scalar, count: int) -> Scalar:
    """1 - (1 - beta)^count, without cancellation in float64."""
    if isinstance(beta, Fraction):
        return 1 - (1 - beta) ** count
    return -expm1(count * (log1p(-beta) if beta < 1 else -inf))


def reject_in_order(
    target: Row, draft: Row, tokens: Sequence[int], tested: Sequence[int], weight: Scalar, erase: bool = False
) -> Branching:
    """The law of testing some tokens of the list one after the other, then emitting from the last residual.

    Whatever was rejected before, the running residual is ``(mass - c draft)+ / Z``, where a rejection adds
    Z to c (Z over the draft's remaining mass, if tokens are erased): so c and Z are all there is to carry.
    """
    mass, none = scaled(target, tokens, weight)
    listed = dict.fromkeys(tokens, none * 0)
    remaining = none * 0 + 1
    residual, total, level, left = mass, remaining, none * 0, remaining
    for index, token in enumerate(tested, start=1):
        accept = accept_ratio(residual[token] / total * left, draft, token)
        listed[token] += remaining * accept
        remaining *= 1 - accept
        if remaining == 0:
            break
        level += total / left
        residual = excess(mass, draft, level)
        if index == len(tested):
            break
        total = residual.sum() + none
        left = without(draft, tested[:index]).sum() if erase else left  # summed: a difference from 1 would cancel
        if is_used_up(total, left):
            break
    return split(residual, mass, none, listed, remaining)


def is_used_up(total: Scalar, left: Scalar) -> bool:
    """True if no further token is tested: nothing to accept it from, or (float64) too little of the draft's row."""
    return bool(total == 0) or (left < TINY and not isinstance(left, Fraction))


def split(residual: Row, mass: Row, none: Scalar, listed: dict[int, Scalar], remaining: Scalar) -> Branching:
    """The branching law once the tests are over: ``remaining`` is emitted from the residual and "none".

    A residual that is a fresh array is overwritten: it loses the tokens of the list.  Where rounding has
    left nothing to emit from, ``mass`` takes the residual's place, so that no token outside the target's
    support is emitted.
    """
    tokens = list(listed)
    residual = residual.copy() if residual is mass else residual
    hits = residual[tokens]
    residual[tokens] = none * 0
    off = residual.sum()
    total = off + hits.sum() + none
    if total == 0:
        return split(mass, mass, none, listed, remaining)
    shares = [listed[token] + remaining * (hit / total) for token, hit in zip(tokens, hits, strict=True)]
    return Branching(tuple(tokens), tuple(shares), remaining * (off / total), remaining * (none / total), residual, off)


def scaled(target: Row, tokens: Sequence[int], weight: Scalar) -> tuple[Row, Scalar]:
    """The target times the weight, and the mass of "none", in the row's arithmetic; where a solver starts.

    Raises ``ValueError`` for a weight outside [0, 1], and for a token of the list outside the vocabulary.
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"weight must lie in [0, 1], but is {weight}")
    check_list(tokens, len(target))
    if is_exact(target):
        return target * weight, Fraction(1) - weight
    return (target if weight == 1 else target * weight), 1.0 - weight


def check_list(tokens: Sequence[int], size: int) -> None:
    """Raise ``ValueError`` for a token of a child list outside the vocabulary."""
    for token in tokens:
        if not 0 <= token < size:
            raise ValueError(f"the list {tuple(tokens)} has the token {token}; it must lie in [0, {size})")


def excess(mass: Row, draft: Row, level: Scalar) -> Row:
    """(V,) the positive part of ``mass - level * draft``, in a fresh array."""
    if level == 1:  # most calls: one pass less
        out = np.maximum(mass, draft)
        out -= draft
        return out
    out = draft * (-level)
    out += mass
    return np.maximum(out, level * 0, out=out)


def accept_ratio(mass: Scalar, draft: Row, token: int) -> Scalar:
    """``min(1, mass / draft[token])``, a quotient that is never formed where it could overflow.

    Raises ``ValueError`` if the token has draft probability 0, since it cannot have been drawn.
    """
    bound = _positive(draft, token)
    return bound / bound if mass >= bound else mass / bound


def accept_share(mass: Scalar, law: Scalar) -> Scalar:
    """``min(1, mass / law)`` for a chosen token; 0 if the target excludes it, even where the law underflowed to 0."""
    return mass * 0 + 1 if mass >= law and mass > 0 else mass / law if mass else mass


def _positive(draft: Row, token: int) -> Scalar:
    """The token's draft probability; raises if it is 0, since such a token cannot have been drawn."""
    value = draft[token]
    if not value > 0:
        raise ValueError(f"token {token} of the list has draft probability {value}: it cannot have been drawn")
    return value
