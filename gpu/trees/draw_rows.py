"""The rows that the tokens of a child list were drawn from, one draw after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from veridraft.theory.policies.base import DraftLaw, Policy

from ..models.backend import torch
from .tensor_tree import TensorTree

Draw = tuple[torch.Tensor, int]
"""A row (V,) that sums to 1, and the token drawn from it."""

IN_TURN = {DraftLaw.WITHOUT_REPLACEMENT, DraftLaw.ADAPTIVE}


def draws(tree: TensorTree, policy: Policy) -> Iterator[Draw]:
    """Every draw of a tree of the policy, given the draws before it; tokens put there by rule are no draws."""
    for node, listed in enumerate(tree.child_lists):
        if listed:
            yield from _of_list(tree, policy, node)


def _of_list(tree: TensorTree, policy: Policy, node: int) -> Iterator[Draw]:
    """The draws of one node's child list."""
    row, listed = tree.draft[node], tree.child_lists[node]
    tokens, laws = tree.tokens_at(listed), policy.draft_laws
    if DraftLaw.TOP_PLUS_ONE in laws:
        return iter([(_without(row, tokens[:-1]), tokens[-1])] if tree.is_sampled(listed[-1]) else [])
    if DraftLaw.HUB_PAIRS in laws:
        return _of_pair(row, tokens)
    if laws & IN_TURN and DraftLaw.IID not in laws:
        return ((_without(row, tokens[:place]), token) for place, token in enumerate(tokens))
    return iter([] if laws == {DraftLaw.DETERMINISTIC} else [(row, token) for token in tokens])


def _of_pair(row: torch.Tensor, tokens: Sequence[int]) -> Iterator[Draw]:
    """The first token, and the second where the first is the hub."""
    yield row, tokens[0]
    if tokens[0] == int(row.argmax()) and len(tokens) > 1:
        yield _without(row, tokens[:1]), tokens[1]


def _without(row: torch.Tensor, tokens: Sequence[int]) -> torch.Tensor:
    """(V,) the row without some tokens, normalised."""
    if not tokens:
        return row
    rest = row.clone()
    rest[list(tokens)] = 0
    return rest / rest.sum()
