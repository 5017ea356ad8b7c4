"""Layered pairs for tests: exact rows of every kind, one layer per depth."""

from __future__ import annotations

from strategies import KINDS, ExactPair

from veridraft.theory.pairs.layered import LayeredPair


def exact_layers(vocabulary_size: int, kind: str, seed: int, depth: int = 3, classes: bool = True) -> LayeredPair:
    """A layered pair of small fractions of one kind; without ``classes`` rows depend on the depth alone."""
    rows = ExactPair(vocabulary_size, kind, seed)
    layers = [(rows.target_row(()), rows.draft_row(()))]
    for level in range(1, depth + 1):
        ends = [(0,) * (level - 1) + (token,) for token in range(vocabulary_size if classes else 1)]
        target, draft = [rows.target_row(end) for end in ends], [rows.draft_row(end) for end in ends]
        layers.append((target, draft) if classes else (target[0], draft[0]))
    return LayeredPair(layers)


def layered_pairs(count: int) -> list[LayeredPair]:
    """Layered pairs of every kind in turn, of 2 and 3 tokens, with and without classes."""
    return [
        exact_layers(2 + index // len(KINDS) % 2, KINDS[index % len(KINDS)], index, classes=index % 5 != 0)
        for index in range(count)
    ]
