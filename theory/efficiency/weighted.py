"""Bottom-up verifiers exactly, by the weights that can occur: block verification, and lifted RRS over i.i.d. paths.

Under the bottom-up lift a subtree accepts with probability its weight, whatever is drawn below it.  So
``Pr(tau >= d)`` is the sum of reach times weight over what can be come to at depth d, and only the law of
(class, number of paths, weight) has to be moved down.  For RRS that law has a simple form: a child first drawn
at position i of the list gets the weight ``a_i(y) = min(1, p_i(y) / q(y))`` of stage i, whatever was drawn
before it; the earlier subtrees were rejected with probability ``prod_{j<i} (1 - beta_j)``; and it has
``1 + Binom(k - i, q(y))`` paths.  A list is never formed.  One path is block verification.

The number of weights grows like V^L all the same.  On one path two halves meet: weights from above, and from
below the sums ``sum_z min(a_z, w b_z)`` over strings z, with ``a_z`` and ``b_z`` free of w.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pairs.base import Pair
from ..pairs.layered import Layer, layer_below
from ..policies.arguments import OutOfReachError
from ..policies.paths import Delayed
from ..rows.distributions import Row
from ..rows.trees import Context
from ..solvers.sequential import Solver, k_seq, naive, rrs, rrs_without_replacement
from ..verifiers.lifts import bottom_up
from ..verifiers.table import Verifier
from .listed import WalkProfile

MOST_STATES = 4_000_000
"""States, or strings, of one depth above which the exact programme is refused."""

STATE_ENTRIES = 2**18
"""Entries (states, or contexts and weights, times tokens) that are worked on at once."""

ONE_DRAW: frozenset[Solver] = frozenset({naive, rrs, rrs_without_replacement, k_seq})
"""Solvers that are speculative sampling on a list of one draw."""


def supports_weights(verifier: Verifier, policy: Delayed) -> bool:
    """True if the verifier with the policy is block verification on one path, or lifted RRS over i.i.d. paths."""
    one_path = is_one_path(policy) and verifier.solver in ONE_DRAW
    return verifier.lift is bottom_up and (one_path or verifier.solver is rrs)


def is_one_path(policy: Delayed) -> bool:
    """True if every child list of the policy is one draw."""
    return policy.K == 1 or policy.L2 == 0


def weighted_profile(verifier: Verifier, policy: Delayed, pair: Pair, context: Context) -> WalkProfile:
    """The profile along the accepted path, by every weight that can occur; exact for Fractions.

    Raises ``ValueError`` where more than ``MOST_STATES`` states would be needed.
    """
    below = _strings_below(policy, pair, context) if is_one_path(policy) else 0
    reach, variation = [], []
    states = States.root(pair.target_row(context)[0] * 0 + 1, 1 if policy.L1 else policy.K)
    for depth in range(policy.depth - below + 1):
        layer = layer_below(pair, context, depth)
        if depth == policy.L1 and depth and not is_one_path(policy):
            states = States(states.kind, states.paths * policy.K, states.weight, states.reach)
        zero = layer.target[0, 0] * 0
        reach.append(zero + states.accepted.sum())
        variation.append(zero + (states.accepted * layer.total_variation[states.kind]).sum())
        if depth == policy.depth - 1 and not below:
            return _profile([*reach, _last_level(states, layer)], variation)
        if depth < policy.depth - below:
            states = states.children(layer, layer_below(pair, context, depth + 1).classes, verifier.name)
    for length in range(1, below + 1):
        strings = _Strings.of_length(pair, context, policy.depth - below, length)
        accepted, divergence = strings.sums(states)
        reach.append(accepted)
        variation.append(divergence)
    return _profile(reach, variation[: policy.depth])


def _profile(reach: list[Any], variation: list[Any]) -> WalkProfile:
    """The profile from Pr(tau >= d), d = 0 .. L."""
    exact = not isinstance(reach[-1] + reach[0], (float, np.floating))
    stops = [here - deeper for here, deeper in zip(reach, [*reach[1:], reach[0] * 0], strict=True)]
    return WalkProfile.of(stops, variation, exact)


def _strings_below(policy: Delayed, pair: Pair, context: Context) -> int:
    """How many of a path's levels are left to the strings, so that both halves are as small as can be."""
    size = pair.vocabulary_size

    def work(below: int) -> int:
        above = policy.depth - below
        return max(size ** max(above, 0), layer_below(pair, context, above).classes * size**below)

    best = min(range(policy.depth + 1), key=work)
    if work(best) > MOST_STATES:
        raise OutOfReachError(
            f"block verification over {policy!r} on a vocabulary of {size} needs {work(best):.3g} strings for the "
            f'exact value, more than {MOST_STATES}: use method="bounds" for a certified interval'
        )
    return best


@dataclass(frozen=True, eq=False)
class States:
    """What can be come to at one depth: S different (class, paths, weight), each with the probability ``reach``."""

    kind: NDArray[np.int64]  # [S] class of the context
    paths: NDArray[np.int64]  # [S] number of paths through the node
    weight: Row  # [S] > 0
    reach: Row  # [S]

    @staticmethod
    def root(one: Any, paths: int) -> States:
        """The root: weight 1, come to surely."""
        ones = np.array([one], dtype=object if not isinstance(one, float) else np.float64)
        return States(np.zeros(1, dtype=np.int64), np.array([paths]), ones, ones)

    @property
    def accepted(self) -> Row:
        """(S,) probability that the walk comes to the state and its subtree accepts."""
        return self.reach * self.weight

    def children(self, layer: Layer, classes: int, name: str) -> States:
        """The states one depth below, equal ones merged; ``classes`` is the number of classes there."""
        parts: list[tuple[Row, ...]] = []
        found = 0
        block = max(1, STATE_ENTRIES // layer.target.shape[1])
        for paths in np.unique(self.paths).tolist():
            chosen = np.flatnonzero(self.paths == paths)
            for start in range(0, len(chosen), block):
                parts += self._block_children(layer, chosen[start : start + block], paths)
                found = sum(len(part[0]) for part in parts)
                _require_states(found, name)
        if not found:
            return States(self.kind[:0], self.paths[:0], self.weight[:0], self.reach[:0])
        tokens, counts, weights, reaches = (np.concatenate(column) for column in zip(*parts, strict=True))
        return _merged(tokens if classes > 1 else tokens * 0, counts, weights, reaches)

    def _block_children(self, layer: Layer, chosen: NDArray[np.int64], paths: int) -> list[tuple[Row, ...]]:
        """Tokens, paths, weights and reaches of the children of some states of equal number of paths."""
        draft = layer.draft[self.kind[chosen]]
        parts: list[tuple[Row, ...]] = []
        for stage, (taken, come) in enumerate(_stages(self, layer, chosen, paths), start=1):
            rows, tokens = np.nonzero(taken)
            likely, share = draft[rows, tokens], come[rows, 0]
            weights = taken[rows, tokens] / (share * likely)
            reaches = self.reach[chosen][rows] * share * likely
            for more in range(paths - stage + 1):
                free = paths - stage
                chance = comb(free, more) * likely**more * (1 - likely) ** (free - more)
                parts.append((tokens, np.full(len(tokens), 1 + more), weights, reaches * chance))
        return parts


def _stages(states: States, layer: Layer, chosen: NDArray[np.int64], paths: int) -> Any:
    """For each stage of RRS: (B, V) probabilities of accepting there by token, (B, 1) of coming to the stage.

    The running residual, not normalised, keeps its sum with "none" equal to the probability of coming there.
    """
    weight = states.weight[chosen][:, None]
    draft = layer.draft[states.kind[chosen]]
    left, none = layer.target[states.kind[chosen]] * weight, 1 - weight
    for _ in range(paths):
        come = left.sum(axis=1, keepdims=True) + none
        taken = np.minimum(left, come * draft)
        yield taken, come
        left = left - taken


def _last_level(states: States, layer: Layer) -> Any:
    """The probability of accepting a child of the states, all leaves."""
    total = layer.target[0, 0] * 0
    block = max(1, STATE_ENTRIES // layer.target.shape[1])
    for paths in np.unique(states.paths).tolist():
        chosen = np.flatnonzero(states.paths == paths)
        for start in range(0, len(chosen), block):
            part = chosen[start : start + block]
            for taken, _ in _stages(states, layer, part, paths):
                total = total + (states.reach[part] * taken.sum(axis=1)).sum()
    return total


def _require_states(count: int, name: str) -> None:
    if count > MOST_STATES:
        raise OutOfReachError(
            f"verifier {name!r} needs more than {MOST_STATES} states of (class, paths, weight) at one depth, and its "
            'value is neither monotone nor concave in the weight, so that no bounds are known: use method="sample"'
        )


def _merged(kind: Row, paths: Row, weight: Row, reach: Row) -> States:
    """The states with equal ones added up."""
    weights, identity = np.unique(weight, return_inverse=True)
    most = int(paths.max()) + 1
    keys, where = np.unique((kind * most + paths) * len(weights) + identity, return_inverse=True)
    total = np.zeros(len(keys), dtype=reach.dtype)
    np.add.at(total, where, reach)
    kind_and_paths = keys // len(weights)
    return States(kind_and_paths // most, kind_and_paths % most, weights[keys % len(weights)], total)


@dataclass(frozen=True, eq=False)
class _Strings:
    """All strings z of one length below a layer's classes: Pr(z's last token accepted | w) = sum min(a_z, w b_z)."""

    a: Row  # [C, V**l] least q(z_1..z_i) p(z_i+1..z_l) over i >= 1
    b: Row  # [C, V**l] p(z)
    variation: Row  # [C, V**l] total variation at the end of z

    @staticmethod
    def of_length(pair: Pair, context: Context, depth: int, length: int) -> _Strings:
        """The strings of a length that start ``depth`` below the root."""
        layer = layer_below(pair, context, depth)
        ones = layer.target[:, :1] * 0 + 1
        if length == 0:
            return _Strings(ones, ones, layer.total_variation[:, None])
        deeper = _Strings.of_length(pair, context, depth + 1, length - 1)
        shape = (layer.classes, -1)
        least = np.minimum(deeper.a, deeper.b)
        a, b = layer.draft[:, :, None] * least, layer.target[:, :, None] * deeper.b
        return _Strings(a.reshape(shape), b.reshape(shape), (b * 0 + deeper.variation).reshape(shape))

    def sums(self, states: States) -> tuple[Any, Any]:
        """Over all states: the probability of accepting to the strings' end, and that times the variation there."""
        accepted = divergence = self.a[0, 0] * 0
        for kind in np.unique(states.kind).tolist():
            chosen = states.kind == kind
            weights, reaches = states.weight[chosen], states.reach[chosen]
            accepted = accepted + (reaches * self._minima(kind, weights, None)).sum()
            divergence = divergence + (reaches * self._minima(kind, weights, self.variation[kind])).sum()
        return accepted, divergence

    def _minima(self, kind: int, weights: Row, factor: Row | None) -> Row:
        """(S,) ``sum_z factor_z min(a_z, w b_z)`` for weights w of one class."""
        used = np.flatnonzero((self.a[kind] != 0) & (self.b[kind] != 0))
        a, b = self.a[kind][used], self.b[kind][used]
        order = np.argsort(a / b, kind="stable")
        scale = 1 if factor is None else factor[used][order]
        zero = self.a[:1, 0] * 0
        low = np.concatenate([zero, np.cumsum(a[order] * scale)])
        high = np.concatenate([np.cumsum((b[order] * scale)[::-1])[::-1], zero])
        place = np.searchsorted((a / b)[order], weights)
        return low[place] + weights * high[place]
