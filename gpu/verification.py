"""The verifiers on tensors: solvers under the two lifts, decided coin by coin on the device.

A third implementation on purpose, written from the papers: nothing here asks ``veridraft.theory`` for a
law.  Both lifts read one quantity, the *hazard* of a child: its probability among what its node has not
yet given away, children in list order.  Top-down it is the chance of going to the child; bottom-up it is
the weight of the child's subtree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from veridraft.theory.verifiers import get_verifier

from .backend import torch
from .sampling import draw
from .solvers import PAD, Branching, Solver, k_seq, naive, nss, rrs, rrs_without_replacement
from .trees import TensorTree


@dataclass(frozen=True)
class DeviceVerifier:
    """A solver on tensors and the lift that makes a tree verifier of it."""

    solver: Solver
    bottom_up: bool


DEVICE_VERIFIERS: dict[str, DeviceVerifier] = {
    "naive": DeviceVerifier(naive, bottom_up=False),
    "nss": DeviceVerifier(nss, bottom_up=False),
    "naive_tree": DeviceVerifier(naive, bottom_up=False),
    "spectr": DeviceVerifier(k_seq, bottom_up=False),
    "specinfer": DeviceVerifier(rrs, bottom_up=False),
    "block": DeviceVerifier(naive, bottom_up=True),
    "traversal": DeviceVerifier(rrs_without_replacement, bottom_up=True),
    "lifted_k_seq": DeviceVerifier(k_seq, bottom_up=True),
    "lifted_rrs": DeviceVerifier(rrs, bottom_up=True),
}
"""By the names of ``veridraft.theory.VERIFIERS``."""


@dataclass(frozen=True)
class Outcome:
    """The accepted node and the token emitted after it."""

    node: int
    token: int


def verify(verifier: str, tree: TensorTree, coins: torch.Tensor) -> Outcome:
    """The accepted node of a tree and the next token, decided by the given coins.

    ``coins`` (N + 1,) are independent uniforms in [0, 1) on the tree's device: one for each node, and the
    last for the token.  Raises ``ValueError`` for an unknown verifier or a wrong number of coins.
    """
    if coins.shape != (tree.size + 1,):
        raise ValueError(f"coins must have shape (N + 1,) = ({tree.size + 1},), but have {tuple(coins.shape)}")
    entry = device_verifier(verifier)
    decide = _climb if entry.bottom_up else _descend
    node, masses = decide(entry.solver, tree, coins.to(tree.target.dtype))
    return Outcome(node, int(draw(masses, coins[-1:].to(masses.dtype))))


def stopping_probabilities(verifier: str, tree: TensorTree) -> torch.Tensor:
    """(N,) the probability that each node is the accepted one, from the quantities that :func:`verify` tosses.

    Sums to 1 up to rounding.  Raises ``ValueError`` for an unknown verifier.
    """
    entry = device_verifier(verifier)
    if entry.bottom_up:
        order = list(tree.post_order())
        accept = _acceptance(entry.solver, tree)[0][order]
        missed = torch.cumprod(1 - accept, dim=0)
        reached = torch.cat([torch.ones_like(missed[:1]), missed[:-1]])
        return torch.zeros_like(accept).index_put_((torch.tensor(order, device=accept.device),), accept * reached)
    return _entered(entry.solver, tree)


def device_verifier(name: str) -> DeviceVerifier:
    """The entry of :data:`DEVICE_VERIFIERS`; raises ``ValueError`` that lists the names for any other."""
    if name not in DEVICE_VERIFIERS:
        get_verifier(name)
        raise ValueError(f"verifier {name!r} has no form on the device; there are {', '.join(DEVICE_VERIFIERS)}")
    return DEVICE_VERIFIERS[name]


def _descend(solver: Solver, tree: TensorTree, coins: torch.Tensor) -> tuple[int, torch.Tensor]:
    """Top-down: where the walk from the root ends, and the masses of the next token there."""
    node = 0
    while tree.child_lists[node]:
        branching = _solve(solver, tree, [node], torch.ones_like(coins[:1]))
        children = torch.tensor(_child_places(tree, node), device=coins.device)
        enters = coins[list(tree.children[node])] < hazards(branching)[0, children]
        if not bool(enters.any()):
            return node, branching.residual[0]
        node = tree.children[node][int(enters.to(torch.int8).argmax())]
    return node, tree.target[node]


def _climb(solver: Solver, tree: TensorTree, coins: torch.Tensor) -> tuple[int, torch.Tensor]:
    """Bottom-up: the first node in post-order whose coin accepts it, and the masses of the next token there."""
    accept, residuals = _acceptance(solver, tree)
    order = list(tree.post_order())
    accepted = coins[order] < accept[order]
    node = order[int(accepted.to(torch.int8).argmax())] if bool(accepted.any()) else 0
    return node, residuals.get(node, tree.target[node])


def _acceptance(solver: Solver, tree: TensorTree) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    """(N,) the chance of accepting each node once its subtrees have been rejected; residuals of inner nodes."""
    weights = torch.zeros_like(tree.target[:, 0])
    weights[0] = 1
    accept, residuals = torch.zeros_like(weights), {}
    for level, branching in _levels(solver, tree, weights):
        shares = hazards(branching)
        end = branching.off + branching.none
        accept[level] = torch.where(end > 0, branching.off / torch.where(end > 0, end, 1), 0)
        for row, node in enumerate(level):
            residuals[node] = branching.residual[row]
            weights[list(tree.children[node])] = shares[row, _child_places(tree, node)]
    leaves = [node for node, listed in enumerate(tree.child_lists) if not listed]
    accept[leaves] = weights[leaves]
    return accept, residuals


def _entered(solver: Solver, tree: TensorTree) -> torch.Tensor:
    """(N,) stopping probabilities of the top-down walk."""
    reach = torch.zeros_like(tree.target[:, 0])
    reach[0] = 1
    stopping = reach.clone()
    for level, branching in _levels(solver, tree, torch.ones_like(reach)):
        for row, node in enumerate(level):
            children = list(tree.children[node])
            reach[children] = reach[node] * branching.listed[row, _child_places(tree, node)]
            stopping[children] = reach[children]
            stopping[node] = reach[node] * branching.off[row]
    return stopping


def _levels(solver: Solver, tree: TensorTree, weights: torch.Tensor) -> Iterator[tuple[list[int], Branching]]:
    """The inner nodes of positive weight level by level, solved together; weights are read as they are filled."""
    for level in tree.levels():
        alive = (weights[list(level)] > 0).tolist()
        nodes = [node for node, lives in zip(level, alive, strict=True) if lives]
        if nodes:
            yield nodes, _solve(solver, tree, nodes, weights[nodes])


def _solve(solver: Solver, tree: TensorTree, nodes: Sequence[int], weights: torch.Tensor) -> Branching:
    """The branching of some nodes with the given weights."""
    lists = [tree.tokens_at(tree.child_lists[node]) for node in nodes]
    width = max(map(len, lists))
    padded = torch.tensor([[*tokens, *[PAD] * (width - len(tokens))] for tokens in lists], device=weights.device)
    index = torch.tensor(nodes, device=weights.device)
    return solver(tree.target[index], tree.draft[index], padded, weights)


def hazards(branching: Branching) -> torch.Tensor:
    """(M, K) each listed token's share of what is not yet given away, in list order; 0 where nothing is left.

    What is left is summed, never subtracted from 1.
    """
    end = (branching.off + branching.none)[:, None]
    left = branching.listed.flip(1).cumsum(dim=1).flip(1) + end
    return torch.where(left > 0, branching.listed / torch.where(left > 0, left, 1), 0)


def _child_places(tree: TensorTree, node: int) -> list[int]:
    """The places in the node's list at which its distinct children first stand."""
    listed = tree.child_lists[node]
    return [listed.index(child) for child in tree.children[node]]
