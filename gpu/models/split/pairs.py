"""Pairs whose target does not fit one device: placed over those of a process, or split over the ranks of several."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .. import embedded
from ..backend import torch, transformers
from ..heads.card import is_head_name
from ..layer_skip import without_layers
from ..names import SKIP, check_names, parse_skip
from ..pairs import ModelPair, check_vocabularies, dtype_of, load_network, locate


def load_split_pair(
    target: str | None = None,
    draft: str | None = None,
    dtype: str = "float32",
    *,
    device_map: str | Mapping[str, Any] | None = None,
    offload_folder: str | None = None,
    tensor_parallel: bool = False,
) -> ModelPair:
    """A pair as :func:`.load_pair` loads it, whose target lies on several devices.

    device_map : transformers' own (``auto``, or modules to devices): layers lie on the devices of this process, on
        the host or in ``offload_folder``, and are passed one after the other
    tensor_parallel : every rank of a run under ``torchrun`` takes its share of every layer's heads; decode with
        :func:`.on_all_ranks`
    draft : a folder, a name or a GGUF file is loaded whole beside the target's inputs (by rank 0 alone on a GPU);
        ``skip:17,18`` shares the target's weights wherever they lie; ``None`` with the embedded target is
        ``skip:17,18,16,14``, as a head needs a target in one piece

    Raises ``ValueError`` as :func:`.load_pair` does, for both ways or neither, outside ``torchrun``, for heads that
    the ranks cannot share evenly, and for embeddings that are not in memory.
    """
    if tensor_parallel == (device_map is not None):
        raise ValueError("give either device_map or tensor_parallel, to say how the target is split")
    check_names(target, draft, dtype)
    kind, draft = dtype_of(dtype), draft or embedded.LAYERS_LEFT_OUT
    if is_head_name(draft):
        raise ValueError(f"draft {draft!r} is a head, which needs a target in one piece")
    skipped = parse_skip(draft) if draft.startswith(SKIP) else None
    placement = tensor_parallel_placement(target) if tensor_parallel else {"device_map": device_map}
    if offload_folder is not None:
        placement["offload_folder"] = offload_folder
    model, tokenizer = load_network("target", target, kind, None, **placement)
    device = next(model.parameters()).device
    if device.type == "meta":
        raise ValueError("device_map puts the target's embeddings on the disk: they must be in memory")
    if skipped is not None:
        small, words = without_layers(model, skipped), tokenizer
    else:
        small, words = load_network("draft", draft, kind, _draft_device(device, tensor_parallel))
    check_vocabularies(model, small, tokenizer, words)
    return ModelPair(model, small, tokenizer, target or embedded.NAME, draft)


def tensor_parallel_placement(target: str | None) -> dict[str, Any]:
    """What ``from_pretrained`` is told to split a network over all ranks by its own plan (``tp_plan`` "auto").

    Raises ``ValueError`` outside ``torchrun``, or for heads that the ranks cannot share evenly.
    """
    if "WORLD_SIZE" not in os.environ:
        raise ValueError("tensor_parallel needs several processes: start the command with torchrun")
    ranks = int(os.environ["WORLD_SIZE"])
    source, options = locate("target", target)
    config = transformers.AutoConfig.from_pretrained(source, **options)
    heads = {"attention": config.num_attention_heads, "key-value": config.num_key_value_heads}
    for kind, count in heads.items():
        if count % ranks:
            raise ValueError(f"{ranks} ranks cannot share the target's {count} {kind} heads evenly")
    try:
        return {"distributed_config": transformers.DistributedConfig(tp_size=ranks)}
    except (AttributeError, TypeError):  # transformers before DistributedConfig knew tensor parallelism
        return {"tp_plan": "auto"}


def _draft_device(device: torch.device, tensor_parallel: bool) -> str:
    """Where a draft of its own goes: beside the target's inputs, but on ranks that never call it to the host."""
    return "cpu" if tensor_parallel and int(os.environ.get("RANK", "0")) else str(device)
