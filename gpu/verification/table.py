"""The verifiers on tensors: solvers under the two lifts, decided coin by coin on the device, many trees at once.

A third implementation on purpose, written from the papers: nothing here asks ``veridraft.theory`` for a
law.  Both lifts read one quantity, the *hazard* of a child: its probability among what its node has not
yet given away, children in list order.  Top-down it is the chance of going to the child; bottom-up it is
the weight of the child's subtree.

Where reading is free, on a CPU, the coins lead from node to node, and only those that they come to are solved
(:mod:`.walks`).  Else all nodes of a level, over all trees of a batch, are solved together, and no result is read back
on the way (:mod:`.lifts`; but for :mod:`.optimal`, which reads once a level).  Rules, coins and decisions are the same.
Verifiers of the theory's table that have no form here are decided by its solvers (:mod:`.theory_route`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from veridraft.theory.verifiers.table import get_verifier

from ..models.backend import torch
from ..trees.sampling import draw_each
from ..trees.tensor_tree import TensorTree
from ..trees.tree_batch import Layout, TreeBatch, batched
from . import lifts, path_rules
from .by_rule import greedy, hub
from .optimal import optimal
from .solvers import k_seq, naive, nss, rrs, rrs_without_replacement
from .symmetrised import symmetrised
from .theory_route import theory_decisions, theory_stopping


@dataclass(frozen=True)
class DeviceVerifier:
    """What decides batches: ``decide(batch, coins)`` and the law of its decisions, ``stopping(batch)``."""

    decide: Callable[[TreeBatch, torch.Tensor], lifts.Decisions]
    stopping: Callable[[TreeBatch], torch.Tensor]


def _under(lift: lifts.Lift, solver: lifts.Solver) -> DeviceVerifier:
    rule = lift(solver)
    return DeviceVerifier(rule.decide, rule.stopping)


def _of_path(path_rule: path_rules.PathRule) -> DeviceVerifier:
    rule = path_rules.AlongPaths(path_rule)
    return DeviceVerifier(rule.decide, rule.stopping)


DEVICE_VERIFIERS: dict[str, DeviceVerifier] = {
    "naive": _under(lifts.TopDown, naive),
    "nss": _under(lifts.TopDown, nss),
    "naive_tree": _under(lifts.TopDown, naive),
    "spectr": _under(lifts.TopDown, k_seq),
    "specinfer": _under(lifts.TopDown, rrs),
    "rrsw": _under(lifts.TopDown, rrs_without_replacement),
    "greedy": _under(lifts.TopDown, greedy),
    "spechub": _under(lifts.TopDown, hub),
    "optimal": _under(lifts.TopDown, optimal),
    "block": _under(lifts.BottomUpSolver, naive),
    "hierarchical": _of_path(path_rules.hierarchical),
    "traversal": _under(lifts.BottomUpSolver, rrs_without_replacement),
    "gbv": _of_path(path_rules.greedy_multi_path),
    "univer": _under(lifts.BottomUpSolver, greedy),
    "lifted_naive": _under(lifts.BottomUpSolver, naive),
    "lifted_k_seq": _under(lifts.BottomUpSolver, k_seq),
    "lifted_rrs": _under(lifts.BottomUpSolver, rrs),
    "lifted_spechub": _under(lifts.BottomUpSolver, hub),
    "lifted_optimal": _under(lifts.BottomUpSolver, optimal),
    "symmetric_naive": _under(lifts.BottomUpSolver, symmetrised(naive)),
    "symmetric_k_seq": _under(lifts.BottomUpSolver, symmetrised(k_seq)),
    "symmetric_rrs": _under(lifts.BottomUpSolver, symmetrised(rrs)),
    "symmetric_traversal": _under(lifts.BottomUpSolver, symmetrised(rrs_without_replacement)),
}
"""By the names of ``veridraft.theory.VERIFIERS``."""


@dataclass(frozen=True)
class Accepted:
    """The accepted node and the token emitted after it."""

    node: int
    token: int


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The accepted column of each of B trees and the token emitted after it: integers (B,) on the device."""

    columns: torch.Tensor
    tokens: torch.Tensor


def verify_batch(verifier: str, batch: TreeBatch, coins: torch.Tensor) -> Outcomes:
    """The accepted column of every tree and its next token, decided by the given coins.

    ``coins`` (B, N + 1) are independent uniforms in [0, 1) on the batch's device: one for each column, and the
    last for the token; what rounds to 1 in the rows' type counts as the number before it.  Rows in half precision
    are decided in float32, each over its own sum.  A verifier without a form on the device is decided on the CPU,
    node by node, with theory's solver.  Raises ``ValueError`` for an unknown verifier or a wrong shape.
    """
    if coins.shape != (batch.size, batch.columns + 1):
        wanted = (batch.size, batch.columns + 1)
        raise ValueError(f"coins must have shape (B, N + 1) = {wanted}, but have {tuple(coins.shape)}")
    batch, entry = _in_full_precision(batch), _entry(verifier)
    coins = coins.to(batch.target.dtype).clamp(max=1 - torch.finfo(batch.target.dtype).eps / 2)
    decided = entry.decide(batch, coins[:, :-1]) if entry else theory_decisions(verifier, batch, coins[:, :-1])
    return Outcomes(decided.columns, draw_each(decided.masses, coins[:, -1]))


def stopping_in_batch(verifier: str, batch: TreeBatch) -> torch.Tensor:
    """(B, N) the probability that each column is the accepted one, from the quantities that the coins are held against.

    Rows sum to 1 up to rounding; those in half precision are taken as in :func:`verify_batch`.  Raises ``ValueError``
    for an unknown verifier.
    """
    batch, entry = _in_full_precision(batch), _entry(verifier)
    return entry.stopping(batch) if entry else theory_stopping(verifier, batch)


def _in_full_precision(batch: TreeBatch) -> TreeBatch:
    """The batch, rows in half precision widened to float32 and divided by their own sums."""
    if batch.target.dtype.itemsize >= 4:
        return batch
    wide = [rows.float() for rows in (batch.target, batch.draft)]
    sums = [rows.sum(dim=-1, keepdim=True) for rows in wide]
    target, draft = (rows / torch.where(total > 0, total, 1) for rows, total in zip(wide, sums, strict=True))
    return replace(batch, target=target, draft=draft)


def verify(verifier: str, tree: TensorTree, coins: torch.Tensor) -> Accepted:
    """The accepted node of one tree and the next token, decided by the given coins.

    ``coins`` (N + 1,) are independent uniforms in [0, 1) on the tree's device: one for each node, and the
    last for the token.  Raises ``ValueError`` for an unknown verifier or a wrong number of coins.
    """
    if coins.shape != (tree.size + 1,):
        raise ValueError(f"coins must have shape (N + 1,) = ({tree.size + 1},), but have {tuple(coins.shape)}")
    layout = Layout.of([tree])
    columns = layout.columns[0]
    place = [columns.index(column) for column in range(len(columns))]
    outcomes = verify_batch(verifier, batched([tree], layout), coins[[*place, tree.size]][None])
    return Accepted(place[int(outcomes.columns)], int(outcomes.tokens))


def stopping_probabilities(verifier: str, tree: TensorTree) -> torch.Tensor:
    """(N,) the probability that each node of one tree is the accepted one; see :func:`stopping_in_batch`."""
    layout = Layout.of([tree])
    return stopping_in_batch(verifier, batched([tree], layout))[0, list(layout.columns[0])]


def is_native(verifier: str) -> bool:
    """True for a verifier that decides on the device, False for one that the theory's solvers decide on the CPU.

    Raises ``ValueError`` for an unknown name.
    """
    return _entry(verifier) is not None


def _entry(verifier: str) -> DeviceVerifier | None:
    """The form on the device, or ``None``; raises ``ValueError`` for a name that the theory does not know either."""
    if verifier not in DEVICE_VERIFIERS:
        get_verifier(verifier)
    return DEVICE_VERIFIERS.get(verifier)
