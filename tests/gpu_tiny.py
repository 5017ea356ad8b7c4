"""A tiny random pair for the tests of veridraft.gpu: two layers, 64 tokens, rows peaked enough to tell apart."""

from __future__ import annotations

from itertools import count

import numpy as np
import torch
import transformers

from veridraft.gpu.decoding.passes.stopwatch import Stopwatch
from veridraft.gpu.decoding.step_watch import Watcher
from veridraft.gpu.models.heads.network import Head
from veridraft.gpu.models.layer_skip import without_layers
from veridraft.gpu.models.pairs import ModelPair

PROMPTS = ([3, 1, 4, 1, 5], [9, 2, 6], [7])


def tiny_model(
    seed: int = 0,
    vocabulary_size: int = 64,
    layers: int = 3,
    sharpness: float = 1.0,
    end=None,
    positions: int = 1024,
    hidden: int = 32,
):
    config = transformers.LlamaConfig(
        vocab_size=vocabulary_size,
        hidden_size=hidden,
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


def tiny_pair(seed: int = 0, skipped=(1,), layers: int = 2, **options) -> ModelPair:
    """The draft leaves out the given layers; with none it is the target itself."""
    target = tiny_model(seed, layers=layers, **options)
    draft = without_layers(target, skipped) if skipped else target
    return ModelPair(target, draft, None, "tiny", f"skip:{skipped}")


class Words:
    """A tokenizer without a chat template: the lengths of the words."""

    def __call__(self, text):
        return {"input_ids": [len(word) for word in text.split()]}


class Steps(Watcher):
    """Keeps what the steps of one text were: trees, blocks, times."""

    def __init__(self) -> None:
        self.trees, self.blocks, self.spent = [], [], []

    def after(self, batch, blocks, spent):
        self.trees.append(batch.tree(0))
        self.blocks += blocks
        self.spent.append(spent)


def counted_clock(monkeypatch) -> None:
    """Let both clocks of all stopwatches advance by 1 with every reading, CPU time by half as much."""
    readings = count()

    def now(stopwatch):
        reading = float(next(readings))
        return np.array([reading, reading / 2])

    monkeypatch.setattr(Stopwatch, "now", now)


class Letters:
    """A tokenizer with a chat template: a token for each letter, token 1 at the end of every turn."""

    chat_template = "turns"

    def __call__(self, text, add_special_tokens=True):
        return {"input_ids": [1 if letter == "|" else 2 + ord(letter) % 62 for letter in text]}

    def apply_chat_template(self, messages, tokenize=True, add_generation_prompt=False):
        text = "".join(f"{one['role'][0]}:{one['content']}|" for one in messages) + "a:" * add_generation_prompt
        return self(text) if tokenize else text


def tiny_head(target, layers: int = 1, tokens=range(0, 64, 2), seed: int = 1):
    """A head on a tiny target whose projection is no longer a plain sum."""
    head = Head(target, layers, list(tokens))
    torch.manual_seed(seed)
    with torch.no_grad():
        head.projection.weight += 0.1 * torch.randn_like(head.projection.weight)
    return head
