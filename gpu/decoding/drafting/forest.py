"""Drafting: trees grown level by level from the draft network, one cached pass for each level.

Several trees can be grown at one root together (the prediction needs that).  They are drawn independently,
but a context that two of them share is computed once: the union of the trees is a *forest*, and a single
tree is a forest of one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from veridraft.theory.policies.base import Policy, RecursivePolicy, WithReplacement

from ...models.backend import torch
from ...trees.sampling import draw
from ...trees.tensor_tree import TensorTree
from ..passes.tree_attention import ROOT, Feeds, Rows
from .draft_pair import LivePair


@dataclass
class Shape:
    """One tree of a forest while it grows: for each of its nodes, where it lies in the union, and its list."""

    union: list[int] = field(default_factory=lambda: [0])
    parents: list[int] = field(default_factory=lambda: [ROOT])
    lists: list[tuple[int, ...]] = field(default_factory=lambda: [()])
    sampled: list[bool] = field(default_factory=lambda: [True])


Frontier = list[tuple[Shape, int, Any]]
"""Nodes that are to get a child list: their tree, their number in it, and the policy's state there."""


@dataclass
class Forest:
    """Trees drawn at one root and the union of their nodes.

    tokens, parents : of the union's nodes; node 0 is the root, whose token is the context's last
    rows : the draft's row (V,) at every node of the union that has children
    cached : where such a node lies among the tokens fed to the draft since its last commit
    shapes : one for each tree
    """

    tokens: list[int]
    parents: list[int]
    rows: dict[int, torch.Tensor]
    cached: dict[int, int]
    shapes: list[Shape]

    def tree(self, number: int, target: torch.Tensor) -> TensorTree:
        """One of the trees, with its rows out of the target rows (U, V) of the union's nodes."""
        shape = self.shapes[number]
        union = shape.union
        rows = target if union == list(range(len(target))) else target[torch.tensor(union, device=target.device)]
        draft = torch.zeros_like(rows)
        for node, listed in enumerate(shape.lists):
            if listed:
                draft[node] = self.rows[union[node]]
        tokens = (ROOT, *(self.tokens[node] for node in union[1:]))
        sampled = None if all(shape.sampled) else tuple(shape.sampled)
        return TensorTree(tokens, tuple(shape.parents), tuple(shape.lists), rows, draft, sampled)


def grow_forest(
    model: Feeds,
    last_token: int,
    root_row: torch.Tensor,
    policy: Policy,
    rows: Rows,
    rng: np.random.Generator,
    count: int = 1,
) -> Forest:
    """``count`` independent trees of the policy at the model's committed context, which ends in ``last_token``.

    ``root_row`` (V,) is the draft's row at the root.  Each token is drawn from the very row that the forest
    keeps.  The tokens fed stay uncommitted in the model's cache, so that an accepted path can be kept.
    A policy whose lists follow from a node's state and row is drawn level by level; any other draws from the
    network as the theory has it, which costs a pass for every time that it asks for rows it has not seen.
    """
    forest = Forest([last_token], [ROOT], {0: root_row}, {}, [Shape() for _ in range(count)])
    if not isinstance(policy, RecursivePolicy):
        _sample_live(forest, policy, LivePair(model, root_row, rows), rng)
        return forest
    frontier: Frontier = [(shape, 0, policy.root_state) for shape in forest.shapes]
    frontier = [entry for entry in frontier if not policy.is_leaf(entry[2])]
    while frontier:
        frontier = _expand(forest, frontier, policy, rng)
        _fill_rows(forest, frontier, model, rows)
    return forest


def _expand(forest: Forest, frontier: Frontier, policy: RecursivePolicy, rng: np.random.Generator) -> Frontier:
    """Draw the child list of every node of the frontier; the children that have lists of their own."""
    keys = zip(forest.parents, forest.tokens, strict=True)
    known = {key: node for node, key in enumerate(keys)}
    grown: Frontier = []
    for shape, node, state in frontier:
        tokens, drawn = _child_list(policy, state, forest.rows[shape.union[node]], rng)
        first = len(shape.union)
        for token, flag in zip(dict.fromkeys(tokens), drawn, strict=True):
            _join(forest, shape, node, token, flag, known)
        children = {token: first + place for place, token in enumerate(dict.fromkeys(tokens))}
        shape.lists[node] = tuple(children[token] for token in tokens)
        states = policy.child_states(state, tokens)
        grown += [(shape, child, below) for child, below in zip(children.values(), states, strict=True)]
    return [entry for entry in grown if not policy.is_leaf(entry[2])]


def _child_list(
    policy: RecursivePolicy, state: Any, row: torch.Tensor, rng: np.random.Generator
) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """A child list as tokens, and for each distinct one whether it was drawn."""
    if isinstance(policy, WithReplacement):
        uniforms = torch.from_numpy(rng.random(policy.draws(state))).to(row.device)
        tokens = tuple(draw(row, uniforms).tolist())
        return tokens, (True,) * len(set(tokens))
    values = row.cpu().numpy()
    tokens = policy.draw_list(state, values, rng)
    return tokens, policy.is_drawn(state, values, tokens)


def _sample_live(forest: Forest, policy: Policy, live: LivePair, rng: np.random.Generator) -> None:
    """Draw every tree of the forest as the theory does, and join them."""
    known: dict[tuple[int, int], int] = {}
    for shape in forest.shapes:
        tree = policy.sample(live, rng)
        for node in range(1, tree.size):
            flag = bool(np.asarray(tree.sampled)[node])
            _join(forest, shape, int(tree.parents[node]), int(tree.tokens[node]), flag, known)
        shape.lists = list(tree.child_lists)
        for node, listed in enumerate(tree.child_lists):
            if listed and node:
                forest.rows[shape.union[node]] = live.rows[tree.context(node)]
            if tree.context(node) in live.fed:
                forest.cached[shape.union[node]] = live.fed[tree.context(node)]


def _join(
    forest: Forest, shape: Shape, node: int, token: int, drawn: bool, known: dict[tuple[int, int], int]
) -> None:
    """Add a child to a tree, and to the union unless another tree has it there."""
    key = (shape.union[node], token)
    if key not in known:
        known[key] = len(forest.tokens)
        forest.tokens.append(token)
        forest.parents.append(key[0])
    shape.union.append(known[key])
    shape.parents.append(node)
    shape.lists.append(())
    shape.sampled.append(drawn)


def _fill_rows(forest: Forest, frontier: Frontier, model: Feeds, rows: Rows) -> None:
    """Compute the draft's rows at the frontier, in one pass over the union's nodes."""
    nodes = list(dict.fromkeys(shape.union[node] for shape, node, _ in frontier))
    if not nodes:
        return
    fed = len(forest.cached)
    parents = [forest.cached.get(forest.parents[node], ROOT) for node in nodes]
    logits = model.feed([forest.tokens[node] for node in nodes], parents)
    forest.cached |= {node: fed + place for place, node in enumerate(nodes)}
    forest.rows |= dict(zip(nodes, rows(logits), strict=True))
