"""The way for verifiers without a form on the device: their exact law, tree by tree, on the CPU in float64.

Slower, and it waits for the device; the same law, since it is the theory's own.  Rules that solve a programme
at every node (canonical decomposition, optimal transport) come this way.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from veridraft.theory.policies.base import Policy
from veridraft.theory.solvers.transport import MOST_LISTS, OptimalTransport
from veridraft.theory.verifiers.lifts import TreeLaw
from veridraft.theory.verifiers.table import get_verifier

from ..models.backend import torch
from ..trees.skeleton import skeleton_of
from ..trees.tree_batch import TreeBatch
from .lifts import Decisions

MOST_CELLS = 2**18
"""Child lists times tokens: a plan of this size takes some 50 ms, and a run makes one at every node."""


def too_large(verifier: str, policy: Policy, vocabulary_size: int) -> str | None:
    """Why a verifier is left out of runs at this vocabulary (V): it lists every child list; ``None`` where it is not.

    All V tokens are taken to have mass: rows that top-p or top-k cut short may be in reach where this says no.
    """
    if not isinstance(get_verifier(verifier).solver, OptimalTransport):
        return None
    skeleton = skeleton_of(policy, vocabulary_size)
    longest = max(skeleton.widths(), default=0) if skeleton else 2
    if vocabulary_size**longest <= min(MOST_LISTS, MOST_CELLS // vocabulary_size):
        return None
    said = f"lists every child list, {vocabulary_size}^{longest} with {policy.name}"
    return f"{verifier} {said}: it is for small vocabularies"


def theory_decisions(verifier: str, batch: TreeBatch, coins: torch.Tensor) -> Decisions:
    """The accepted column of each tree, drawn with one coin (B,) from the law, and the next token's law there.

    Errors are those of the theory's law, such as too many child lists for a transport plan.
    """
    columns, masses = [], []
    for number in range(batch.size):
        nodes, law = batch.nodes(number), _law(verifier, batch, number, rows=True)
        reached = np.cumsum(law.stopping)
        node = int(np.searchsorted(reached, float(coins[number]) * reached[-1], side="right"))
        node = min(node, int(np.flatnonzero(law.stopping)[-1]))
        columns.append(nodes[node])
        masses.append(torch.from_numpy(np.asarray(law.next_token[node])))
    device = batch.target.device
    return Decisions(torch.tensor(columns, device=device), torch.stack(masses).to(device, batch.target.dtype))


def theory_stopping(verifier: str, batch: TreeBatch) -> torch.Tensor:
    """(B, N) the law's stopping probabilities."""
    stopping = torch.zeros_like(batch.tokens, dtype=batch.target.dtype)
    for number in range(batch.size):
        found = torch.from_numpy(np.asarray(_law(verifier, batch, number).stopping))
        stopping[number, batch.nodes(number)] = found.to(stopping)
    return stopping


def _law(verifier: str, batch: TreeBatch, number: int, rows: bool = False) -> TreeLaw:
    """The law given one of the trees; float32 rows are normalised again in float64 first."""
    tree = batch.tree(number)
    if tree.target.dtype != torch.float64:
        target, draft = tree.target.double(), tree.draft.double()
        total = draft.sum(dim=1, keepdim=True)
        draft = draft / torch.where(total > 0, total, 1)
        tree = replace(tree, target=target / target.sum(dim=1, keepdim=True), draft=draft)
    return get_verifier(verifier).law(tree.to_theory(), rows)
