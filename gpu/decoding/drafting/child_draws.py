"""How the children of nodes are drawn from their rows on the device, one uniform for each."""

from __future__ import annotations

from ...models.backend import torch
from ...trees.sampling import draw_each
from ...trees.skeleton import ChildDraw
from ...trees.tree_batch import NONE
from ...verification.nodes import erase

Tensor = torch.Tensor


def _independent(rows: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """(M, C) tokens, each drawn from its row (M, V), and which of them were drawn: all."""
    return draw_each(rows, uniforms), torch.ones_like(uniforms, dtype=torch.bool)


def _successive(rows: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens drawn one after the other, each from what the earlier ones left; ``NONE`` where nothing is left."""
    tokens, rest = [], rows
    for place in range(uniforms.shape[1]):
        token = draw_each(rest, uniforms[:, place])[:, None]
        token = torch.where(rest.gather(1, token) > 0, token, NONE)
        tokens.append(token)
        if place + 1 < uniforms.shape[1]:
            rest = erase(rest.clone(), token)
    return torch.cat(tokens, dim=1), torch.ones_like(uniforms, dtype=torch.bool)


def _top_plus_one(rows: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """The top tokens, then one drawn from the rest, with the last uniform."""
    top = rows.topk(uniforms.shape[1] - 1, dim=1).indices
    rest = erase(rows.clone(), top)
    token = draw_each(rest, uniforms[:, -1])[:, None]
    token = torch.where(rest.gather(1, token) > 0, token, NONE)
    drawn = torch.zeros_like(uniforms, dtype=torch.bool)
    drawn[:, -1] = True
    return torch.cat([top, token], dim=1), drawn


def _hub_pair(rows: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """A token, then the hub; where the token is the hub, one drawn from the rest."""
    hub = rows.argmax(dim=1, keepdim=True)
    first = draw_each(rows, uniforms[:, 0])[:, None]
    rest = rows.scatter(1, hub, 0)
    other = draw_each(rest, uniforms[:, 1])[:, None]
    other = torch.where(rest.gather(1, other) > 0, other, NONE)
    second = torch.where(first == hub, other, hub)
    return torch.cat([first, second], dim=1), torch.cat([first, second], dim=1) != hub


DRAWS = {
    ChildDraw.INDEPENDENT: _independent,
    ChildDraw.SUCCESSIVE: _successive,
    ChildDraw.TOP_PLUS_ONE: _top_plus_one,
    ChildDraw.HUB_PAIR: _hub_pair,
}
"""By how a skeleton says that children are drawn: rows (M, V) and uniforms (M, C) to tokens (M, C), and which of
them were drawn."""
