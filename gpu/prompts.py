"""The prompts of a cross-check, fixed so that a run can be repeated."""

from __future__ import annotations

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
