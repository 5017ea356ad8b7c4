"""Block efficiency by dynamic programming: exact, at real size, where contexts fall into few classes.

Top-down verifiers walk from the root and stay at one node per depth.  Over i.i.d. paths what lies below that
node depends on its class, on the number k of paths through it and on the depth; the joint law of outcome and
multiplicity moves the probability of each such state one depth on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..display import ByDepth, Sheet
from ..pairs.base import Pair, check_pair
from ..pairs.layered import Layer, layer_below, require_layers
from ..policies.arguments import OutOfReachError, get_policy
from ..policies.base import Policy, RecursivePolicy
from ..policies.paths import Delayed
from ..rows.distributions import Row, is_exact
from ..rows.trees import Context
from ..solvers.sequential import Solver
from ..verifiers.lifts import top_down
from ..verifiers.table import Verifier, get_verifier
from .joint_laws import BLOCK_ENTRIES, JOINT_LAWS, Polynomial, joint_law_roots, joint_laws
from .listed import WalkProfile, listed_profile
from .weighted import supports_weights, weighted_profile

MOST_REMEMBERED = 2**24
"""Joint laws of up to this many entries are computed once and kept for all depths (128 MiB in float64)."""


@dataclass(frozen=True)
class DynamicBlockEfficiency(ByDepth):
    """An exact block efficiency from a dynamic programme, with what happens at each depth.

    Fields
    ------
    value : E[tau + 1] in [1, L + 1], over trees and coins; a Fraction for an exact pair
    by_depth : (L + 1,) the probability that tau is 0, 1, ..., L: of stopping at each depth
    total_variation : (D,) for the depths d = 0, 1, ... < L that are reached: the mean total variation between
        the target's and the draft's row at the accepted path's node of depth d, given that tau >= d
    method : "dp"
    """

    value: Any
    by_depth: Row
    total_variation: Row
    method: str = "dp"

    @property
    def acceptance_length(self) -> Any:
        """E[tau], the mean number of accepted tokens."""
        return self.value - 1

    def sheet(self) -> Sheet:
        """The value and the law of the accepted length."""
        return Sheet("Block efficiency, exact", (("E[τ + 1]", self.value),), columns=self._columns())

    @property
    def acceptance(self) -> Row:
        """(D,) the probability that tau >= d + 1 given that tau >= d, for the depths d < L that are reached."""
        reach = self.reach
        return reach[1 : len(self.total_variation) + 1] / reach[: len(self.total_variation)]


def dynamic_block_efficiency(
    verifier: str | Verifier, policy: str | Policy, pair: Pair, context: Context = ()
) -> DynamicBlockEfficiency:
    """The exact block efficiency E[tau + 1] on a ``MarkovPair`` or a ``LayeredPair``, by the programme that fits.

    - Top-down over ``Chain``, ``Iid``, ``Delayed``, for a solver in ``JOINT_LAWS``: O(C V K^2) per depth, for K-SEQ
      O(C V K^3), C the number of classes (1 or V), so that V = 1000 takes a second.
    - Bottom-up over a single path (block verification), and lifted RRS over i.i.d. paths: by the weights that
      can occur, whose number grows with depth; see ``weighted``.
    - Anything else: by listing the child lists of each (depth, class, state, mark), for small vocabularies.

    Exact for Fractions.  Raises ``ValueError`` for another kind of pair, for a policy that the verifier is not
    lossless for, and where the last two would be too much work: the message says what is possible then.
    """
    entry, policy = get_verifier(verifier), get_policy(policy)
    entry.require(policy)
    require_layers(check_pair(pair))
    profile = _profile(entry, policy, pair, context)
    value = (profile.by_depth * np.arange(1, policy.depth + 2)).sum()
    return DynamicBlockEfficiency(value if pair.exact else float(value), profile.by_depth, profile.mean_variation())


def _profile(entry: Verifier, policy: Policy, pair: Pair, context: Context) -> WalkProfile:
    """The profile by the cheapest programme that fits."""
    solver = entry.solver
    if isinstance(policy, Delayed) and entry.lift is top_down and solver is not None and solver in JOINT_LAWS:
        return _walk(solver, policy, pair, context)
    if isinstance(policy, Delayed) and supports_weights(entry, policy):
        return weighted_profile(entry, policy, pair, context)
    if isinstance(policy, RecursivePolicy):
        return listed_profile(entry, policy, pair, context)
    raise OutOfReachError(
        f'no dynamic programme is known for the policy {policy!r}: use method="enumerate" or "sample"'
    )


def _walk(solver: Solver, policy: Delayed, pair: Pair, context: Context) -> WalkProfile:
    """Move the probability of (k, class) down from the root, depth by depth."""
    one = pair.target_row(context)[0] * 0 + 1
    flow = _only(one, policy.K, 1 if policy.L1 else policy.K)
    stops, variations, kernels = [], [], _Kernels(solver, policy.K)
    for depth in range(policy.depth):
        layer = layer_below(pair, context, depth)
        if depth == policy.L1 and depth:
            flow = np.concatenate([flow[1:] * 0, flow[:1]])  # the trunk's end: one path becomes K
        variations.append(flow.sum(axis=0) @ layer.total_variation)
        stop, flow = kernels.step(layer, flow)
        stops.append(stop)
        if layer_below(pair, context, depth + 1).classes == 1:
            flow = flow.sum(axis=1, keepdims=True)
    return WalkProfile.of([*stops, flow.sum()], variations, is_exact(layer_below(pair, context, 0).target))


def _only(one: Any, most: int, paths: int) -> Row:
    """(most, 1) all probability on one number of paths, at the root's single class."""
    flow = np.full((most, 1), one * 0)
    flow[paths - 1] = one
    return flow


class _Kernels:
    """The joint laws of a solver at the rows of a layer, block by block, remembered while they are small."""

    def __init__(self, solver: Solver, most: int) -> None:
        self.solver, self.most = solver, most
        self._laws: dict[tuple[int, int, int], list[Polynomial]] = {}
        self._roots: dict[tuple[int, int], tuple[Row, ...]] = {}
        self._layers: list[Layer] = []  # keeps the identities that are keys above alive

    def step(self, layer: Layer, flow: Row) -> tuple[Any, Row]:
        """The probability of stopping at this depth, and the flow (most, V) into the next one, from (most, C)."""
        stop, moved = flow[0, 0] * 0, np.full((self.most, layer.target.shape[1]), flow[0, 0] * 0)
        block = max(1, BLOCK_ENTRIES // layer.target.shape[1])
        most = self.most if flow[1:].any() else 1
        for start in range(0, layer.classes, block):
            part = flow[:, start : start + block]
            if not part.any():
                continue
            laws = self._block(layer, slice(start, start + block), most)
            for paths, law in enumerate(laws, start=1):
                if part[paths - 1].any():
                    stop = stop + (part[paths - 1] @ law[0]).sum()
                    for count in range(1, paths + 1):
                        moved[count - 1] += part[paths - 1] @ law[count]
        return stop, moved

    def _block(self, layer: Layer, rows: slice, most: int) -> Iterator[Polynomial] | list[Polynomial]:
        """The joint laws for k = 1 .. most at some rows of a layer."""
        key = (id(layer), rows.start, most)
        if key in self._laws:
            return self._laws[key]
        target, draft = layer.target[rows], layer.draft[rows]
        laws = joint_laws(self.solver, target, draft, most, self._known_roots(layer, rows, most))
        if layer.classes == 1 or layer.target.size * most * (most + 3) // 2 > MOST_REMEMBERED:
            return laws
        return self._laws.setdefault(key, list(laws))

    def _known_roots(self, layer: Layer, rows: slice, most: int) -> tuple[Row, ...]:
        """The roots for k = 1 .. most, found once for each layer."""
        key = (id(layer), rows.start)
        known = self._roots.get(key, ())
        if len(known) < most:
            self._layers.append(layer)
            known = self._roots[key] = joint_law_roots(self.solver, layer.target[rows], layer.draft[rows], most)
        return known[:most]
