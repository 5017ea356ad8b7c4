"""A draft without weights of its own: the target with some of its layers left out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

from .backend import torch
from .names import check_skip


def without_layers(model: Any, layers: Sequence[int]) -> Any:
    """The same network with some decoder layers left out; it shares every weight with ``model``.

    ``layers`` are distinct indices in [0, number of layers), not all of them.  The modules are copied and
    the parameters are not, because a layer carries its place in the KV cache (``layer_idx``), and those
    that stay are numbered anew without touching the original's.
    Raises ``ValueError`` for layers out of range, repeated, or all of them.
    """
    count = model.config.num_hidden_layers
    check_skip(layers, count)
    kept = [layer for layer in range(count) if layer not in set(layers)]
    clone = shared_copy(model, {})
    _set_config(clone, _cut_config(model.config, kept))
    clone.generation_config = copy.deepcopy(model.generation_config)
    decoder, name = layer_list(clone, count)
    stack = torch.nn.ModuleList([getattr(decoder, name)[layer] for layer in kept])
    for place, layer_module in enumerate(stack):
        _renumber(layer_module, place)
    setattr(decoder, name, stack)
    return clone.eval()


def shared_copy(module: Any, seen: dict[int, Any]) -> Any:
    """The module tree copied, with every parameter and buffer shared."""
    if id(module) not in seen:
        clone = copy.copy(module)
        seen[id(module)] = clone
        tables = {name: copy.copy(value) for name, value in module.__dict__.items() if isinstance(value, dict)}
        clone.__dict__.update(tables)  # parameters, buffers and hooks: new tables, the same entries
        clone.__dict__["_modules"] = {name: shared_copy(child, seen) for name, child in module._modules.items()}
        _bind_anew(module, clone)
    return seen[id(module)]


def _bind_anew(module: Any, clone: Any) -> None:
    """Let a copy's wrapped forward (accelerate's, where weights lie on several devices) call the copy."""
    for name in ("forward", "_old_forward"):
        bound = module.__dict__.get(name)
        if isinstance(bound, partial) and bound.args[:1] == (module,):
            clone.__dict__[name] = partial(bound.func, clone, *bound.args[1:], **bound.keywords)
        elif getattr(bound, "__self__", None) is module:
            clone.__dict__[name] = bound.__func__.__get__(clone)


def _cut_config(config: Any, kept: Sequence[int]) -> Any:
    """The configuration of the network that has only the kept layers."""
    cut = copy.deepcopy(config)
    kinds = getattr(cut, "layer_types", None)
    if kinds is not None:
        cut.layer_types = [kinds[layer] for layer in kept]
    cut.num_hidden_layers = len(kept)
    return cut


def _set_config(model: Any, config: Any) -> None:
    """Give the configuration to the model and to every module that held the old one."""
    old = model.config
    for module in model.modules():
        if getattr(module, "config", None) is old:
            module.config = config


def layer_list(model: Any, count: int) -> tuple[Any, str]:
    """The module that holds the stack of decoder layers, and the name under which it does."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, torch.nn.ModuleList) and len(child) == count:
                return module, name
    raise ValueError(f"draft: {type(model).__name__} has no list of {count} layers to leave some out of")


def _renumber(layer: Any, place: int) -> None:
    """Set the cache index of a layer and of what is inside it."""
    for module in layer.modules():
        if hasattr(module, "layer_idx"):
            module.layer_idx = place
