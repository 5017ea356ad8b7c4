"""Networks of a known shape with random weights: for timing only, what they write means nothing."""

from __future__ import annotations

from typing import Any

from veridraft.theory.speed.hardware import NETWORKS, Network, get_network

from .backend import torch, transformers
from .layer_skip import PREFIX as SKIP
from .layer_skip import parse_skip, without_layers
from .pairs import ModelPair, check_device, dtype_of, load_pair

PREFIX = "random:"
POSITIONS = 131072


def is_random(name: str | None) -> bool:
    """True for a name such as ``random:8B``."""
    return name is not None and name.startswith(PREFIX)


def load_timing_pair(
    target: str | None = None, draft: str | None = None, device: str = "cpu", dtype: str = "float32"
) -> ModelPair:
    """The pair of :func:`.load_pair`, or one with random weights of a published shape: ``random:8B``, ``random:1B``.

    A random target's draft is random too, or ``skip:LAYERS`` of it.  Raises ``ValueError`` for an unknown shape,
    vocabularies that differ, and a pair of which only one is random.
    """
    if not is_random(target) and not is_random(draft):
        return load_pair(target, draft, device, dtype)
    if not is_random(target) or draft is None or not (is_random(draft) or draft.startswith(SKIP)):
        raise ValueError(
            f"target {target!r} and draft {draft!r}: give {PREFIX}SHAPE for both, or skip:LAYERS for the draft; "
            f"shapes are {', '.join(NETWORKS)}"
        )
    assert target is not None
    shapes = [get_network(name.removeprefix(PREFIX)) for name in (target, draft) if is_random(name)]
    if shapes[0].vocabulary_size != shapes[-1].vocabulary_size:
        sizes = f"{shapes[0].vocabulary_size} and {shapes[-1].vocabulary_size}"
        raise ValueError(f"target and draft must share a vocabulary, but have {sizes} tokens")
    large = random_model(shapes[0], device, dtype)
    small = random_model(shapes[1], device, dtype) if is_random(draft) else without_layers(large, parse_skip(draft))
    return ModelPair(large, small, None, target, draft)


def random_model(shape: Network, device: str = "cpu", dtype: str = "float32", seed: int = 0) -> Any:
    """A Llama of that shape, its weights drawn on the device itself; ``ValueError`` for an unknown device or dtype."""
    check_device(device)
    kind = dtype_of(dtype)
    config = transformers.LlamaConfig(
        vocab_size=shape.vocabulary_size,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.cache_heads,
        head_dim=shape.head_width,
        tie_word_embeddings=shape.tied,
        max_position_embeddings=POSITIONS,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(seed)
    with torch.device(device):
        model = transformers.AutoModelForCausalLM.from_config(
            config, dtype=kind, attn_implementation="sdpa"
        )
    return model.to(device).eval()
