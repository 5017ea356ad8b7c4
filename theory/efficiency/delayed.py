"""All delayed trees at once: the reach of a top-down verifier for every (K, L1) from one pass over the layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..pairs.base import Pair
from ..pairs.layered import Layer, layer_below, require_layers
from ..policies.paths import Delayed
from ..rows.distributions import Row, check_count
from ..rows.trees import Context
from ..solvers.sequential import Solver
from ..verifiers.lifts import top_down
from ..verifiers.table import Verifier, get_verifier
from .joint_laws import BLOCK_ENTRIES, JOINT_LAWS, joint_laws


def reach_by_action(verifier: str | Verifier, pair: Pair, paths: int, depth: int, context: Context = ()) -> Row:
    """(K, L, L + 1) the probability that tau >= d, at [k - 1, L1, d], under ``Delayed(k, L1, L - L1)``.

    K = ``paths`` >= 1 and L = ``depth`` >= 1.  What happens down to depth d does not depend on what is drafted
    below it, so that ``Delayed(k, L1, L2)`` for any L2 <= L - L1 is read from the entries up to d = L1 + L2:
    its block efficiency is their sum (see :func:`efficiency_of`).  Each joint law is computed once for all of
    them: the whole table costs about what its deepest entry does.  Exact for Fractions.

    Raises ``ValueError`` for a pair that is not layered, and for a verifier that is not top-down with a known
    joint law.
    """
    entry = get_verifier(verifier)
    entry.require(Delayed(check_count("paths", paths, 1), 0, check_count("depth", depth, 1)))
    require_layers(pair)
    if entry.lift is not top_down or entry.solver not in JOINT_LAWS or entry.solver is None:
        raise ValueError(
            f"verifier {entry.name!r} is not top-down with a known joint law: ask for its trees one by one"
        )
    zero = pair.target_row(context)[0] * 0
    flow = np.full((paths, depth, paths, 1), zero)  # [k, L1, paths through the node, class]
    flow[:, :, 0, 0] = zero + 1
    reach = np.full((paths, depth, depth + 1), zero)
    for level in range(depth):
        split = np.arange(paths)
        flow[split, level, split] = flow[split, level, 0].copy()  # at its end the trunk's one path becomes k
        flow[split[1:], level, 0] = zero
        reach[..., level] = flow.sum(axis=(2, 3))
        flow = _moved(entry.solver, layer_below(pair, context, level), flow)
        if layer_below(pair, context, level + 1).classes == 1:
            flow = flow.sum(axis=3, keepdims=True)
    reach[..., depth] = flow.sum(axis=(2, 3))
    return reach


def _moved(solver: Solver, layer: Layer, flow: Row) -> Row:
    """The flow one depth on, [k, L1, paths, V]."""
    most = flow.shape[0]
    out = np.full((*flow.shape[:3], layer.target.shape[1]), flow[0, 0, 0, 0] * 0)
    block = max(1, BLOCK_ENTRIES // layer.target.shape[1])
    for start in range(0, layer.classes, block):
        rows = slice(start, start + block)
        laws = joint_laws(solver, layer.target[rows], layer.draft[rows], most)
        for paths, law in enumerate(laws, start=1):
            part = flow[:, :, paths - 1, rows]
            for count in range(1, paths + 1):
                out[:, :, count - 1] += part @ law[count]
    return out


def efficiency_of(reach: Row, policy: Delayed) -> Any:
    """E[tau + 1] of a delayed tree, from a table of :func:`reach_by_action` that is deep enough for it."""
    check_count("depth of the table", reach.shape[2] - 1, policy.depth)
    trunk = policy.L1 if policy.L2 else 0
    paths = policy.K if policy.L2 else 1
    return reach[paths - 1, trunk, : policy.depth + 1].sum()


def efficiencies_of(reach: Row, levels: int) -> Row:
    """(K, L + 1, L + 1) E[tau + 1] of every ``Delayed(k, L1, L2)`` with L1, L2 <= ``levels``, at [k - 1, L1, L2].

    From a table of :func:`reach_by_action`, or one like it, of depth 2 L or more.
    """
    actions = np.ndindex(len(reach), levels + 1, levels + 1)
    values = [efficiency_of(reach, Delayed(paths + 1, trunk, branch)) for paths, trunk, branch in actions]
    return np.array(values).reshape(len(reach), levels + 1, levels + 1)
