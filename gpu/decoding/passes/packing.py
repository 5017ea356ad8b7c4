"""Linear layers whose weights are laid out for few rows, on a CPU: what a tree's pass mostly consists of.

An ordinary float32 product with 2 to 16 rows re-arranges the weight each time, which costs as much as using it.
Here the arrangement is made once (oneDNN, through torch); values differ from the ordinary product in rounding only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...models.backend import torch
from ...models.layer_skip import shared_copy
from ...models.pairs import ModelPair
from ...models.split.ranks import is_split

FEW_ROWS = 32
"""Products of more rows take the ordinary way, whose arrangement pays then."""

LARGE = 8192
"""A single row takes the ordinary way too, unless there are more columns than this."""


class PackedLinear(torch.nn.Module):
    """A linear layer that keeps a second, packed copy of its weight for products of 1 to 32 rows.

    The ordinary weight and bias stay under their names, for longer inputs and for whoever reads them.
    """

    def __init__(self, linear: torch.nn.Linear, packed: torch.Tensor) -> None:
        super().__init__()
        self.weight, self.bias, self._packed = linear.weight, linear.bias, packed
        self.in_features, self.out_features = linear.in_features, linear.out_features

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(..., out) for states (..., in)."""
        rows = states.reshape(-1, self.in_features)
        if len(rows) > FEW_ROWS or (len(rows) == 1 and self.out_features <= LARGE):
            return torch.nn.functional.linear(states, self.weight, self.bias)
        out = torch.ops.mkldnn._linear_pointwise(rows, self._packed, self.bias, "none", [], "")
        return out.view(*states.shape[:-1], self.out_features)


def can_pack() -> bool:
    """True if this build of torch has the operations."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")


def is_packed(pair: ModelPair) -> bool:
    """True for a pair that :func:`packed_pair` made."""
    return any(isinstance(module, PackedLinear) for module in pair.target.modules())


def packed_pair(pair: ModelPair) -> ModelPair:
    """The pair with its linear layers packed, for float32 on a CPU; any other pair as it is.

    Takes as much memory again as the layers' weights do; weights that target and draft share are packed once.  The
    given pair's networks are left as they are.  Raises ``ValueError`` for a network that is split over ranks, or whose
    weights lie on several devices or on the disk.
    """
    for role, model in (("target", pair.target), ("draft", pair.draft)):
        require_whole(role, model, "packed")
    if pair.device.type != "cpu" or pair.dtype != "float32" or not can_pack():
        return pair
    known: dict[int, PackedLinear] = {}
    target = _packed(pair.target, known)
    draft = target if pair.draft is pair.target else pair.draft and _packed(pair.draft, known)
    return replace(pair, target=target, draft=draft)


def require_whole(role: str, model: Any | None, wanted: str) -> None:
    """Raise ``ValueError`` unless a network, if there is one, is in one piece; ``wanted`` is what was to be done."""
    if model is None:
        return
    if is_split(model):
        raise ValueError(f"{role} is split over ranks: only a network in one piece can be {wanted}")
    places = sorted({str(one.device) for one in model.parameters()})
    if len(places) > 1:
        said = ", ".join(places).replace("meta", "meta (offloaded)")
        raise ValueError(f"{role} lies on {said}: only a network in one piece can be {wanted}")


def _packed(model: Any, known: dict[int, PackedLinear]) -> Any:
    """A copy of the network that shares its parameters, with packed layers."""
    clone = shared_copy(model, {})
    for module in list(clone.modules()):
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear:
                module._modules[name] = _layer(child, known)
    return clone


def _layer(linear: torch.nn.Linear, known: dict[int, PackedLinear]) -> PackedLinear:
    """The packed layer of a weight, made once."""
    key = linear.weight.data_ptr()
    if key not in known:
        with torch.no_grad():
            packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), 4)
        known[key] = PackedLinear(linear, packed)
    return known[key]
