"""Small networks with a target's vocabulary, to be taught by it: of their own shape, or made of some of its layers."""

from __future__ import annotations

import copy
from typing import Any

from ..models.backend import torch, transformers
from ..models.layer_skip import without_layers
from .plan import Embeddings, StudentShape, check_layers


def make_student(target: Any, shape: StudentShape, seed: int) -> Any:
    """A student of the target in float32, on its device, that transformers saves and loads as any other network.

    It is in evaluation mode, in which it learns too, without dropout.  The random values depend on the seed alone.
    Raises ``ValueError`` for a shape that the target cannot give.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        student = _of_layers(target, shape.from_layers) if shape.from_layers else _llama(target, shape)
    student = student.to(device=next(target.parameters()).device, dtype=torch.float32)
    student.config.dtype = torch.float32
    student.generation_config = copy.deepcopy(target.generation_config)
    if shape.embeddings is Embeddings.SHARED:
        for module in (student.get_input_embeddings(), student.get_output_embeddings()):
            module.requires_grad_(False)
    return student.eval()


def _of_layers(target: Any, layers: tuple[int, ...]) -> Any:
    """A copy of the target that has only these layers."""
    count = target.config.num_hidden_layers
    check_layers(layers, count)
    dropped = [layer for layer in range(count) if layer not in layers]
    student = copy.deepcopy(without_layers(target, dropped) if dropped else target)
    return student.requires_grad_(True)


def _llama(target: Any, shape: StudentShape) -> Any:
    """A Llama of the shape, its embeddings set as the shape says."""
    config = llama_config(target.config, shape)
    student = transformers.LlamaForCausalLM(config)
    if shape.embeddings is Embeddings.RANDOM:
        return student
    wide = target.get_input_embeddings().weight.shape[1]
    if config.hidden_size > wide or (shape.embeddings is Embeddings.SHARED and config.hidden_size != wide):
        kind = shape.embeddings.value
        raise ValueError(f"embeddings {kind!r} of a target of width {wide} do not fit width {config.hidden_size}")
    for own, source in (
        (student.get_input_embeddings(), target.get_input_embeddings()),
        (student.get_output_embeddings(), target.get_output_embeddings()),
    ):
        own.weight.data.copy_(narrowed(source.weight.detach().float(), config.hidden_size))
    return student


def llama_config(target: Any, shape: StudentShape) -> Any:
    """The configuration of a student of its own shape, for a target's configuration.

    Heads are 64 wide, below a width of 128 they are 16 wide.  Raises ``ValueError`` for a width that they do not fill.
    """
    width = shape.width or _half(target.hidden_size)
    head = _head(width)
    if width % head:
        raise ValueError(f"width must be a multiple of {head}, the width of a head, but is {width}")
    rope = getattr(target, "rope_parameters", None) or {}
    return transformers.LlamaConfig(
        vocab_size=target.vocab_size,
        hidden_size=width,
        intermediate_size=-(-8 * width // (3 * head)) * head,
        num_hidden_layers=shape.layers or 4,
        num_attention_heads=width // head,
        num_key_value_heads=width // head,
        max_position_embeddings=target.max_position_embeddings,
        rope_parameters={"rope_type": "default", "rope_theta": rope.get("rope_theta", 10000.0)},
        tie_word_embeddings=bool(target.tie_word_embeddings),
        bos_token_id=target.bos_token_id,
        eos_token_id=target.eos_token_id,
        pad_token_id=target.pad_token_id,
        attn_implementation="sdpa",
    )


def _head(width: int) -> int:
    """How wide the heads of a student are."""
    return 64 if width >= 128 else 16


def _half(width: int) -> int:
    """Half a width, at least one head, in whole heads."""
    head = _head(width // 2)
    return max(head, width // 2 // head * head)


def narrowed(weights: torch.Tensor, width: int) -> torch.Tensor:
    """(V, width) the weights (V, d) themselves for width d, else their coordinates along the leading directions.

    These are the eigenvectors of the Gram matrix (d, d) with the largest eigenvalues, which keep the products
    between rows as well as so many directions can.
    """
    if weights.shape[1] == width:
        return weights
    directions = torch.linalg.eigh(weights.double().T @ weights.double()).eigenvectors[:, -width:]
    return weights @ directions.to(weights.dtype)
