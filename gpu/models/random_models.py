"""Networks of a known shape with random weights: for timing only, what they write means nothing."""

from __future__ import annotations

from typing import Any

from veridraft.theory.speed.networks import Network, get_network

from .backend import torch, transformers
from .layer_skip import without_layers
from .names import RANDOM, check_names, is_random, parse_skip
from .pairs import ModelPair, check_device, dtype_of, load_pair

POSITIONS = 131072


def load_timing_pair(
    target: str | None = None, draft: str | None = None, device: str = "cpu", dtype: str = "float32"
) -> ModelPair:
    """The pair of :func:`.load_pair`, or one with random weights of a published shape: ``random:8B``, ``random:1B``.

    A random target's draft is random too, or ``skip:LAYERS`` of it.  Raises ``ValueError`` for an unknown shape,
    vocabularies that differ, and a pair of which only one is random.
    """
    check_names(target, draft, dtype, timing=True)
    if not is_random(target):
        return load_pair(target, draft, device, dtype)
    assert target is not None and draft is not None, "as they were checked"
    large = random_model(get_network(target.removeprefix(RANDOM)), device, dtype)
    own = random_model(get_network(draft.removeprefix(RANDOM)), device, dtype) if is_random(draft) else None
    small = own or without_layers(large, parse_skip(draft))
    return ModelPair(large, small, None, target, draft)


def random_model(shape: Network, device: str = "cpu", dtype: str = "float32", seed: int = 0) -> Any:
    """A Llama of that shape, its weights drawn on the device itself.

    Raises ``ValueError`` for an unknown device or dtype, and a shape with experts.  Biases are left out.
    """
    if shape.experts > 1:
        raise ValueError(f"shape {shape.name} is a mixture of experts: random weights are those of a dense network")
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
