"""Models small enough for an audit: rows of a pair in the dress of a causal language model, and tiny Llamas.

torch and transformers are imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from veridraft.simulate.adapters.torch_tools import logits, tensor
from veridraft.theory.pairs.base import Pair
from veridraft.theory.rows.distributions import Row
from veridraft.theory.rows.trees import Context

PROMPT = 0
"""The one token that stands before every context of a :class:`RowModel`."""


class RowModel:
    """A causal language model whose logits are the logarithms of given rows.

    row : from a context, the tokens after the one of the prompt, to a row (V,).  Called with ids (1, n) it returns
    an object with ``logits`` (1, n, V) and ``past_key_values``; with ``as_tuple`` the pair of both.  The cache, in the
    old form ``((ids, ids),)`` with ids (1, 1, n, 1), holds the tokens of earlier calls.
    """

    def __init__(self, row: Callable[[Context], Row], as_tuple: bool = False, caches: bool = False) -> None:
        self.row, self.as_tuple, self.caches = lru_cache(maxsize=None)(row), as_tuple, caches
        self.config, self.device = SimpleNamespace(eos_token_id=None), "cpu"

    def eval(self) -> RowModel:
        """The model itself."""
        return self

    def parameters(self) -> Any:
        """One parameter, for code that asks a model where it lies."""
        return iter([tensor([0.0], "float32")])

    def __call__(self, input_ids: Any, past_key_values: Any = None, **ignored: Any) -> Any:
        """The logits at every position of the ids, and the cache."""
        past = [] if past_key_values is None else [int(token) for token in past_key_values[0][0].ravel()]
        ids = past + [int(token) for token in input_ids[0]]
        rows = [self.row(tuple(ids[1 : place + 1])) for place in range(len(past), len(ids))]
        kept = tensor([[[[token] for token in ids]]], "int64")
        cache = ((kept, kept.clone()),) if self.caches else None
        scores = logits(np.stack(rows), "float32")[None]
        return (scores, cache) if self.as_tuple else SimpleNamespace(logits=scores, past_key_values=cache)


def row_models(pair: Pair, **options: Any) -> tuple[RowModel, RowModel]:
    """The target and the draft of a pair as models."""
    return RowModel(pair.target_row, **options), RowModel(pair.draft_row, **options)


def prompt() -> Any:
    """The prompt of a row model, ids (1, 1)."""
    return tensor([[PROMPT]], "int64")


def tiny_llama(seed: int, layers: int = 2, vocabulary_size: int = 6) -> Any:
    """A Llama with random weights, 16 wide, without special tokens, in float32."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary_size, hidden_size=16, intermediate_size=16, num_hidden_layers=layers,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64, initializer_range=0.4,
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval().float()


def tiny_gemma4(seed: int, vocabulary_size: int = 6) -> Any:
    """A Gemma 4 with random weights, 16 wide, four layers of which two share keys and values, in float32."""
    import torch
    from transformers import Gemma4ForCausalLM, Gemma4TextConfig

    config = Gemma4TextConfig(
        vocab_size=vocabulary_size, vocab_size_per_layer_input=vocabulary_size, hidden_size=16,
        hidden_size_per_layer_input=4, intermediate_size=16, num_attention_heads=2, num_key_value_heads=1, head_dim=8,
        global_head_dim=8, max_position_embeddings=64, sliding_window=16, num_hidden_layers=4, num_kv_shared_layers=2,
        layer_types=["sliding_attention", "full_attention"] * 2, enable_moe_block=False, use_double_wide_mlp=False,
        initializer_range=0.25, bos_token_id=None, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Gemma4ForCausalLM(config).eval().float()


def gemma4_drafter(row: Row) -> Any:
    """A drafter of the class name that transformers asks for beside a Gemma 4, with one row (V,) at every context.

    The class of that name in transformers 5.23.0 cannot be built from a configuration (its two checks contradict each
    other), so that this one stands in.
    """
    import torch
    from transformers import GenerationConfig, LlamaConfig

    class Gemma4AssistantForCausalLM(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.config, self.device = LlamaConfig(vocab_size=len(row)), torch.device("cpu")
            self.generation_config = GenerationConfig(num_assistant_tokens=2)

        def forward(self, inputs_embeds: Any, **ignored: Any) -> Any:
            hidden = torch.zeros(1, 1, inputs_embeds.shape[-1] // 2)
            return SimpleNamespace(logits=logits(row, "float32")[None, None], last_hidden_state=hidden)

    return Gemma4AssistantForCausalLM()


def dflash_drafter(seed: int, vocabulary_size: int = 6) -> Any:
    """A block-diffusion drafter of transformers with random weights, three tokens a block, for a :func:`tiny_llama`."""
    import torch
    from transformers import MuseGlimmerAssistantConfig, MuseGlimmerAssistantModel

    config = MuseGlimmerAssistantConfig(
        block_size=3, mask_token_id=0, target_layer_ids=[0], hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, intermediate_size=16, vocab_size=vocabulary_size, initializer_range=0.4,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MuseGlimmerAssistantModel(config).eval().float()


def letter_tokenizer(letters: str, ascending: bool = False) -> Any:
    """A tokenizer of single letters, numbered as they stand; the last one stands for all others.

    ascending : ``get_vocab`` lists the letters by number; otherwise in the order of the tokenizer's hash table, which
    differs from process to process
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    class Ascending(PreTrainedTokenizerFast):
        def get_vocab(self) -> dict[str, int]:
            return {letter: number for number, letter in enumerate(letters)}

    words = models.WordLevel({letter: number for number, letter in enumerate(letters)}, unk_token=letters[-1])
    tokenizer = Tokenizer(words)
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Split("", "isolated"), decoders.Fuse()
    return (Ascending if ascending else PreTrainedTokenizerFast)(tokenizer_object=tokenizer)
