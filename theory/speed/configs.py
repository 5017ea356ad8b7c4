"""Shapes out of a model's own ``config.json``, as Hugging Face's transformers writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..rows.near_names import did_you_mean
from .networks import Network

KINDS = ("llama", "mistral", "ministral", "qwen2", "qwen3", "smollm3", "granite", "olmo2", "gemma", "gemma2",
         "gemma3_text", "phi3", "mixtral", "qwen3_moe")  # fmt: skip
"""Values of ``model_type`` whose layers are counted here: grouped attention, and three matrices of feed-forward."""

TIED = ("gemma", "gemma2", "gemma3_text")
"""Kinds whose tables are tied unless the configuration says otherwise."""

WITH_BIASES, WITH_NORMS = ("qwen2",), ("qwen3", "qwen3_moe", "gemma3_text")
"""Kinds with biases on queries, keys and values; and with a norm of queries and one of keys."""


def network_of_config(place: str | Path | Mapping[str, Any], name: str | None = None) -> Network:
    """The shape that a ``config.json``, its folder, or its contents describe; ``name`` stands in tables.

    Raises ``FileNotFoundError`` for a missing file, ``ValueError`` that names what is missing, no number, or a kind of
    network that is not counted here.  Layers that look back through a window are taken to look at everything.
    """
    where, held = _contents(place)
    config: Mapping[str, Any] = {**held, **held["text_config"]} if isinstance(held.get("text_config"), dict) else held
    kind = config.get("model_type")
    if kind not in KINDS:
        raise ValueError(f"{where}: model_type {kind!r} is not one that is counted: {', '.join(KINDS)}"
                         f"{did_you_mean(str(kind), KINDS)}")  # fmt: skip
    layers, width, heads, size = (
        _count(where, config, key)
        for key in ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")
    )
    cache_heads = _count(where, config, "num_key_value_heads", heads)
    head_width = _count(where, config, "head_dim", width // heads)
    experts, active, inner = _experts(where, config, str(kind))
    extras = (heads + 2 * cache_heads) * head_width if kind in WITH_BIASES else 0
    extras += 2 * head_width if kind in WITH_NORMS else 0
    tied = bool(config.get("tie_word_embeddings", kind in TIED))
    return Network(name or _name(where), layers, width, heads, cache_heads, head_width, inner, size, tied,
                   experts, active, extras)  # fmt: skip


def _experts(where: str, config: Mapping[str, Any], kind: str) -> tuple[int, int, int]:
    """Experts of a layer, those of a token, and the inner width of one."""
    if kind == "mixtral":
        names = "num_local_experts", "num_experts_per_tok", "intermediate_size"
    elif kind == "qwen3_moe":
        names = "num_experts", "num_experts_per_tok", "moe_intermediate_size"
        if config.get("mlp_only_layers") or config.get("decoder_sparse_step", 1) != 1:
            raise ValueError(f"{where}: some of its layers have experts and some have not, which is not counted here")
    else:
        return 1, 1, _count(where, config, "intermediate_size")
    experts, active, inner = (_count(where, config, name) for name in names)
    return experts, active, inner


def _contents(place: str | Path | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """What it is called in errors, and the configuration."""
    if isinstance(place, Mapping):
        return "config", place
    path = Path(place) / "config.json" if Path(place).is_dir() else Path(place)
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    if not isinstance(held, dict):
        raise ValueError(f"{path} must hold a JSON object, but holds {type(held).__name__}")
    return str(path), held


def _count(where: str, config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """The whole number of at least 1 that a key holds; the default where the key is missing or null."""
    value = config.get(key)
    value = default if value is None else value
    if value is None:
        raise ValueError(f"{where} lacks {key!r}")
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{where}: {key} must be a whole number of at least 1, but is {value!r}")
    return value


def _name(where: str) -> str:
    """The folder's name, or the file's where it has another name than config.json."""
    path = Path(where)
    return path.resolve().parent.name if path.name == "config.json" else path.stem
