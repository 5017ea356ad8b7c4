"""A tiny random pair for the tests of veridraft.gpu: three layers, 64 tokens, rows peaked enough to tell apart."""

from __future__ import annotations

import torch
import transformers

from veridraft.gpu.models.layer_skip import without_layers
from veridraft.gpu.models.pairs import ModelPair

PROMPTS = ([3, 1, 4, 1, 5], [9, 2, 6], [7])


def tiny_model(
    seed: int = 0, vocabulary_size: int = 64, layers: int = 3, sharpness: float = 1.0, end=None, positions: int = 1024
):
    config = transformers.LlamaConfig(
        vocab_size=vocabulary_size,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=end,
        pad_token_id=0,
        attn_implementation="sdpa",
    )
    torch.manual_seed(seed)
    model = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.lm_head.weight *= sharpness
    return model


def tiny_pair(seed: int = 0, skipped=(1,), **options) -> ModelPair:
    """The draft leaves out the given layers; with none it is the target itself."""
    target = tiny_model(seed, **options)
    draft = without_layers(target, skipped) if skipped else target
    return ModelPair(target, draft, None, "tiny", f"skip:{skipped}")
