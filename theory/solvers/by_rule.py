"""Solvers for lists that are partly put there by rule: the top tokens and one draw, and SpecHub's pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..rows.distributions import Row, Scalar
from ..rows.lists import without
from .sequential import Branching, nss, reject_in_order, scaled, split


def greedy(target: Row, draft: Row, tokens: Sequence[int], weight: Scalar = 1) -> Branching:
    """The law for a list of top tokens with one sampled token u last (Hu et al., 2502.18779).

    With s the draft's row off the other tokens of the list, renormalised: accept u with ``min(1, p(u)/s(u))``,
    else emit from ``(p - s)+`` normalised, which counts as accepted if it is one of the top tokens.
    Lossless, and of optimal acceptance, for lists of the top m - 1 tokens and one draw from the rest.  If the
    draft has no mass off the list's other tokens nothing was sampled, and the list is ignored as by ``nss``;
    a list that holds all of the draft's mass gives that law either way.  Rows (V,); exact for Fractions.
    """
    rest = without(draft, tokens[:-1])
    mass = rest.sum()
    if mass == 0:
        return nss(target, draft, tokens, weight)
    return reject_in_order(target, rest / mass, tokens, tokens[-1:], weight)


def hub(target: Row, draft: Row, tokens: Sequence[int], weight: Scalar = 1) -> Branching:
    """The law of SpecHub for a pair of the draft's top token a, the hub, and one draw i (2411.05289).

    A pair (i, a) has probability q(i), a pair (a, i) has q(a) q(i) / (1 - q(a)).  The target's mass is spent in
    this order: on i in (i, a), on i in (a, i), on a in (a, i), on a in (i, a); what is left of it is the
    residual.  A list (a,), all that a draft of mass 1 on the hub gives, is ignored as by ``nss``.
    Lossless for that policy.  Rows (V,); exact for Fractions.
    Raises ``ValueError`` for a list without the hub, or one longer than two.
    """
    center = int(np.argmax(draft))
    if len(tokens) == 1 and tokens[0] == center:
        return nss(target, draft, tokens, weight)
    if len(tokens) != 2 or center not in tokens or tokens[0] == tokens[1]:
        raise ValueError(f"hub takes pairs of the draft's top token {center} and another, but the list is {tokens}")
    mass, none = scaled(target, tokens, weight)
    other_first = without(draft, (center,))
    hub_first = other_first / other_first.sum() * draft[center]
    taken_first = np.minimum(mass, other_first)
    taken_second = np.minimum(mass - taken_first, hub_first)
    residual = mass - taken_first - taken_second
    hub_second = min(residual[center], (hub_first - taken_second).sum())
    hub_last = min(residual[center] - hub_second, (other_first - taken_first).sum())
    residual[center] -= hub_second + hub_last
    offered, taken, on_hub = (
        (hub_first, taken_second, hub_second) if tokens[0] == center else (other_first, taken_first, hub_last)
    )
    return _pair_law(tokens, center, offered, taken, on_hub, residual, mass, none)


def _pair_law(
    tokens: Sequence[int],
    center: int,
    offered: Row,
    taken: Row,
    on_hub: Scalar,
    residual: Row,
    mass: Row,
    none: Scalar,
) -> Branching:
    """The law given one kind of pair: the other token first, then the hub, then the residual."""
    other = tokens[1] if tokens[0] == center else tokens[0]
    if not offered[other] > 0:
        raise ValueError(f"token {other} of the list has draft probability 0: it cannot have been drawn")
    accept = taken[other] / offered[other]
    left = (offered - taken).sum()
    refused = (offered[other] - taken[other]) / offered[other]
    accept_hub = on_hub / left if left else left
    shares = {center: refused * accept_hub, other: accept}
    return split(residual, mass, none, {token: shares[token] for token in tokens}, refused * (1 - accept_hub))
