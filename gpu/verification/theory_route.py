"""The way for verifiers without a form on the device: theory's own solvers on the CPU in float64, node by node.

Slower, and it waits for the device.  Rules that solve a programme at every node (canonical decomposition, plans of
optimal transport) come this way.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from veridraft.theory.policies.base import Policy
from veridraft.theory.solvers.canonical_lists import canonical
from veridraft.theory.solvers.sequential import Solver
from veridraft.theory.solvers.transport import MOST_LISTS, OptimalTransport
from veridraft.theory.verifiers.lifts import TreeRule
from veridraft.theory.verifiers.table import get_verifier

from ..models.backend import torch
from ..trees.skeleton import skeleton_of
from ..trees.tree_batch import TreeBatch
from .lifts import Decisions
from .nodes import Node, Nodes, normalised
from .solvers import Branching, naive
from .walks import from_the_leaves, from_the_root, solved_by, walk_all

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
    """What coins (B, N) decide, node by node, with theory's solver at those that they come to.

    Errors are those of the solver, such as too many child lists for a transport plan.
    """
    rule = get_verifier(verifier).rule
    assert isinstance(rule, TreeRule)
    walker = from_the_leaves if rule.lift.asks_subtrees else from_the_root
    return Decisions(*walk_all(walker, solved_by(partial(_branching, rule.solver)), batch, coins))


def _branching(solver: Solver, node: Nodes) -> Branching:
    """Theory's branching at one node, by the places of its list."""
    assert isinstance(node, Node)
    if solver is canonical and node.width == 1:
        return naive(node)  # nothing to select
    target, draft = (normalised(row).cpu().numpy() for row in (node.target, node.draft))
    found = solver(target, draft, node.tokens, node.weight)
    shares = dict(zip(found.tokens, map(float, found.listed), strict=True))
    listed = [shares[token] if first else 0.0 for token, first in zip(node.tokens, node.distinct, strict=True)]
    residual = torch.as_tensor(np.asarray(found.residual), device=node.target.device).to(node.target.dtype)
    return Branching(listed, float(found.off), float(found.none), residual)


def theory_stopping(verifier: str, batch: TreeBatch) -> torch.Tensor:
    """(B, N) the stopping probabilities of theory's law, tree by tree."""
    stopping = torch.zeros_like(batch.tokens, dtype=batch.target.dtype)
    for number in range(batch.size):
        tree = batch.tree(number)
        if tree.target.dtype != torch.float64:
            tree = replace(tree, target=normalised(tree.target), draft=normalised(tree.draft))
        found = torch.from_numpy(np.asarray(get_verifier(verifier).law(tree.to_theory()).stopping))
        stopping[number, batch.nodes(number)] = found.to(stopping)
    return stopping
