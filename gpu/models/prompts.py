"""The prompts of a cross-check, fixed so that a run can be repeated."""

from __future__ import annotations

from typing import Any

import numpy as np

PROMPTS: tuple[str, ...] = (
    "Explain to a child why the moon changes its shape.",
    "Write a Python function that merges two sorted lists.",
    "List five ways to save water at home, one sentence each.",
    "Tell a short story about a lighthouse keeper who finds a map.",
    "What is the difference between speed and velocity?",
    "Translate into French: the train to Lyon leaves at nine.",
    "Summarise the plot of Romeo and Juliet in four sentences.",
    "A shop sells pens at 3 for 2 euros. What do 12 pens cost, and why?",
)
"""Everyday requests: explanation, code, lists, fiction, translation, arithmetic."""

RANDOM_TOKENS = 32
"""The length of the prompts of a pair without a tokenizer."""


def prompts_of(pair: Any) -> tuple[tuple[int, ...], ...]:
    """The prompts as the pair's tokens; as many of random tokens, always the same, for a pair without a tokenizer."""
    if pair.tokenizer is not None:
        return tuple(pair.encode(prompt) for prompt in PROMPTS)
    tokens = np.random.default_rng(0).integers(pair.vocabulary_size, size=(len(PROMPTS), RANDOM_TOKENS))
    return tuple(tuple(row) for row in tokens.tolist())
