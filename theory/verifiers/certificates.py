"""Certificates: over every tree and every coin, is the emitted string the target's?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from math import inf
from typing import Any

import numpy as np

from ..display import Sheet, Shown
from ..pairs.base import Pair, check_pair
from ..policies.arguments import get_policy, naming
from ..policies.base import Policy
from ..rows.trees import Context
from .emission import EmittedLaw, emitted_law
from .table import Verifier, get_verifier

FLOAT_TOLERANCE = 1e-12
"""The largest total variation that float64 rounding may leave in a certificate."""


class Losslessness(Enum):
    """What a certificate found."""

    LOSSLESS = "lossless"
    LOSSY = "lossy"


@dataclass(frozen=True)
class Difference:
    """A string whose probability is not the target's: its tokens, the target's probability, the verifier's."""

    string: Context
    expected: Any
    observed: Any


@dataclass(frozen=True)
class Certificate(Shown):
    """The comparison of a verifier's emitted strings with the target's law, every tree enumerated.

    Fields
    ------
    verifier, policy : what was compared, by name
    arithmetic : "rational" (exact) or "float"
    total_variation : over strings of L + 1 tokens, a block that ends early completed by the target; in [0, 1]
    trees : number of trees of positive probability, orders of draws told apart
    strings : number of strings that either law reaches
    first_difference : the first string in lexicographic order that differs (rational: at all; float: by more
        than 1e-12), or None
    tolerance : the total variation up to which the outcome is lossless, 0 or 1e-12

    Raises ``FloatingPointError`` for a total variation that is not a number: it is no verdict.
    """

    verifier: str
    policy: str
    arithmetic: str
    total_variation: Any
    trees: int
    strings: int
    first_difference: Difference | None
    tolerance: float

    def __post_init__(self) -> None:
        if not 0 <= self.total_variation < inf:
            raise FloatingPointError(
                f"verifier {self.verifier!r} with {self.policy}: the total variation came out as "
                f"{self.total_variation}, which says nothing about losslessness: a law was not computed in float64"
            )

    @property
    def outcome(self) -> Losslessness:
        """LOSSLESS if the total variation is at most the tolerance."""
        return Losslessness.LOSSLESS if self.total_variation <= self.tolerance else Losslessness.LOSSY

    def sheet(self) -> Sheet:
        """The outcome, what it rests on, and the first string that differs."""
        well, first = self.outcome is Losslessness.LOSSLESS, self.first_difference
        title = f"{self.outcome.value.capitalize()}: {self.verifier} with {self.policy} on this pair"
        facts = [("total variation", self.total_variation), ("arithmetic", self.arithmetic)]
        facts += [("trees", self.trees), ("strings", self.strings)]
        if first and not well:
            facts += [("first difference", " ".join(map(str, first.string))), ("its probability", first.observed)]
            facts.append(("the target's", first.expected))
        return Sheet(title, tuple(facts), well)


def certify(
    verifier: str | Verifier,
    policy: str | Policy,
    pair: Pair,
    arithmetic: str = "rational",
    context: Context = (),
    *,
    merge: bool = True,
    any_policy: bool = False,
) -> Certificate:
    """The certificate of a verifier with a policy on one pair: a proof for that instance if rational.

    Parameters
    ----------
    verifier : a name or an entry of ``VERIFIERS``
    policy : a policy, or its text, such as ``"Iid(2, 1)"``
    arithmetic : "rational" needs a pair in Fractions (``pair.rationalised()`` makes one) and finds a total
        variation of exactly 0 or more than 0; "float" computes in float64 and allows 1e-12, a row that misses 1 by
        up to 1e-9 being taken over its own sum
    context : the root
    merge : compute equal subtrees once (the default), or list every tree
    any_policy : also take a policy that the verifier is not known to be lossless for

    The work grows with the number of distinct (context, state, weight) below the root, and without ``merge``
    with the number of trees.  Raises ``ValueError`` for an unknown verifier or arithmetic, and for a policy
    that the verifier is not lossless for; ``TypeError`` for rational arithmetic on float rows.
    """
    entry, policy = get_verifier(verifier), get_policy(policy)
    if not any_policy:
        entry.require(policy)
    rows = in_arithmetic(check_pair(pair), arithmetic)
    with naming(policy, context):
        return certificate_of(entry.name, policy.name, emitted_law(entry, policy, rows, context, merge))


def certificate_of(verifier: str, policy: str, law: EmittedLaw) -> Certificate:
    """The certificate of a law of emitted blocks, however it was found; rational if its pair is in Fractions.

    ``verifier`` and ``policy`` are the names that the certificate carries.
    """
    arithmetic, tolerance = ("rational", 0.0) if law.pair.exact else ("float", FLOAT_TOLERANCE)
    variation, strings, first = _compare(law, tolerance)
    return Certificate(verifier, policy, arithmetic, variation, law.trees, strings, first, tolerance)


def in_arithmetic(pair: Pair, arithmetic: str) -> Pair:
    """The pair in the arithmetic of that name: for "float" in float64, each row over its own sum; else as it is.

    Raises ``ValueError`` for another name, ``TypeError`` for "rational" and rows of floats.
    """
    if arithmetic == "float":
        return pair.as_float().on_own_sums()
    if arithmetic != "rational":
        raise ValueError(f'arithmetic must be "rational" or "float", but is {arithmetic!r}')
    if not pair.exact:
        raise TypeError("rational arithmetic needs rows of Fractions: pass pair.rationalised(), or arithmetic='float'")
    return pair


def _compare(law: EmittedLaw, tolerance: float) -> tuple[Any, int, Difference | None]:
    """Total variation, number of strings, first difference."""
    total: Any = Fraction(0) if law.pair.exact else 0.0
    strings, first = 0, None
    for prefix, observed, expected in law.completed():
        gaps = abs(observed - expected)
        total += gaps.sum()
        strings += int(np.count_nonzero((observed != 0) | (expected != 0)))
        if first is None and (gaps > tolerance).any():
            token = int(np.argmax(gaps > tolerance))
            first = Difference((*prefix, token), expected[token], observed[token])
    return total / 2, strings, first
