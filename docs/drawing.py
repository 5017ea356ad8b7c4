"""The pictures of the documentation, drawn by the library: ``python docs/drawing.py docs/pictures``."""

from __future__ import annotations

import sys
from pathlib import Path

from veridraft.theory import DraftTree, MarkovPair, get_verifier
from veridraft.theory.rows.pictures import tree_svg

WORDS = ("the", "a", "cat", "dog")
TARGET = [[0.4, 0.15, 0.3, 0.15], [0.1, 0.1, 0.4, 0.4], [0.3, 0.3, 0.2, 0.2], [0.35, 0.35, 0.1, 0.2]]
DRAFT = [[0.2, 0.6, 0.1, 0.1], [0.05, 0.05, 0.7, 0.2], [0.2, 0.6, 0.1, 0.1], [0.7, 0.1, 0.1, 0.1]]
PATHS = [[1, 2, 1], [1, 3, 0], [0, 3, 0]]
"""Three drafted paths: two agree in their first token."""


def example() -> DraftTree:
    """A tree of three paths of three tokens on a small pair."""
    pair = MarkovPair(TARGET, DRAFT)
    return DraftTree.from_paths(PATHS, pair.target_row, pair.draft_row)


def tree_picture() -> str:
    """What was drafted."""
    return tree_svg(example(), WORDS, label="Three drafted paths as a tree; two share their first token")


def step_picture(verifier: str) -> str:
    """Where a verifier stops, as it is before any of its coins falls."""
    tree = example()
    law = get_verifier(verifier).law(tree)
    shares = {node: float(share) for node, share in enumerate(law.stopping)}
    label = f"The probability that {verifier} stops at each node; {float(law.block_efficiency):.3f} tokens on average"
    return tree_svg(tree, WORDS, {node: f"{share:.2f}" for node, share in shares.items()}, shares, label)


PICTURES = {
    "tree.svg": tree_picture,
    "top-down.svg": lambda: step_picture("specinfer"),
    "bottom-up.svg": lambda: step_picture("lifted_rrs"),
}


def draw(folder: Path) -> None:
    """Write every picture into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        (folder / name).write_text(picture() + "\n", encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
