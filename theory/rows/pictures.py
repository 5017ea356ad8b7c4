"""Draft trees drawn as SVG: what was drafted, and where a verifier stops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from ..display.charts import BLUE, FAINT, INK
from .trees import DraftTree

ACROSS, DOWN, RADIUS, MARGIN = 84.0, 72.0, 15.0, 8.0
"""Pixels between leaves, between levels, of a node, and around the picture."""

BESIDE = 32.0
"""Pixels for the text at the right of the last leaf."""

LETTERS = 4
"""So many stand in a node at full size."""

STYLE = (
    f"<style>.beside {{fill: {INK}}} @media (prefers-color-scheme: dark) {{ .beside {{fill: #e4e7eb}} }} "
    ".veridraft .beside {fill: currentColor}</style>"
)
"""Text beside the nodes can be read on a light and on a dark page, and in a notebook of any theme."""


@dataclass(frozen=True)
class Picture:
    """A tree's places on paper.

    x, y : (N,) of the nodes; width, height : of the whole
    """

    x: Sequence[float]
    y: Sequence[float]
    width: float
    height: float


def tree_svg(
    tree: DraftTree,
    words: Sequence[str] | None = None,
    beside: Mapping[int, str] | None = None,
    shade: Mapping[int, float] | None = None,
    label: str = "A draft tree",
) -> str:
    """An SVG element of its own, without a fixed size, that a page of any colour can hold.

    words : (V,) what a token is called, else its number
    beside : by node, some text at its right
    shade : by node, how strongly it is filled, from 0 to 1
    label : for people who do not see it
    """
    picture = _placed(tree)
    nodes = _nodes(tree, picture, _names(tree, words), shade or {})
    parts = [*_edges(tree, picture), *nodes, *_texts(picture, beside or {})]
    size = f"0 0 {picture.width:g} {picture.height:g}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img" aria-label="{escape(label)}" '
        f'font-family="sans-serif" font-size="13" style="max-width: {picture.width:g}px">{STYLE}{"".join(parts)}</svg>'
    )


def _placed(tree: DraftTree) -> Picture:
    """Leaves side by side, a parent above the middle of its children."""
    x, leaves = [0.0] * tree.size, 0
    for node in tree.post_order():
        below = tree.children[node]
        x[node] = sum(x[child] for child in below) / len(below) if below else MARGIN + RADIUS + ACROSS * leaves
        leaves += not below
    y = [MARGIN + RADIUS + DOWN * int(depth) for depth in tree.depths]
    return Picture(x, y, 2 * (MARGIN + RADIUS) + ACROSS * (leaves - 1) + BESIDE, max(y) + RADIUS + MARGIN)


def _edges(tree: DraftTree, picture: Picture) -> list[str]:
    """A line from each parent to each child, and how often the child was drawn, if more than once."""
    parts = []
    for parent, listed in enumerate(tree.child_lists):
        for child, drawn in Counter(listed).items():
            ends = picture.x[parent], picture.y[parent] + RADIUS, picture.x[child], picture.y[child] - RADIUS
            parts.append('<line x1="{:g}" y1="{:g}" x2="{:g}" y2="{:g}"'.format(*ends)
                         + f' stroke="{FAINT}" stroke-width="{1 + drawn}"/>')  # fmt: skip
            if drawn > 1:
                middle = (ends[0] + ends[2]) / 2 + 6, (ends[1] + ends[3]) / 2 + 4
                parts.append(_text(*middle, f"×{drawn}"))
    return parts


def _names(tree: DraftTree, words: Sequence[str] | None) -> list[str]:
    """(N,) what stands in each node; nothing in the root."""
    tokens = [int(token) for token in tree.tokens[1:]]
    return ["", *(str(token) if words is None else words[token] for token in tokens)]


def _nodes(tree: DraftTree, picture: Picture, names: Sequence[str], shade: Mapping[int, float]) -> list[str]:
    parts = []
    for node, (x, y, name) in enumerate(zip(picture.x, picture.y, names, strict=True)):
        parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{RADIUS:g}" fill="#ffffff" stroke="{INK}"/>')
        if shade.get(node):
            parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{RADIUS:g}" fill="{BLUE}" '
                         f'fill-opacity="{shade[node]:.3g}"/>')  # fmt: skip
        parts.append(f'<text x="{x:g}" y="{y + 4.5:g}" text-anchor="middle"{_small(name)} fill="{INK}">'
                     f"{escape(name)}</text>")  # fmt: skip
    return parts


def _small(name: str) -> str:
    """A smaller type for what is too long for a node."""
    return f' font-size="{max(6.0, LETTERS * 13 / len(name)):.3g}"' if len(name) > LETTERS else ""


def _texts(picture: Picture, beside: Mapping[int, str]) -> list[str]:
    return [_text(picture.x[node] + RADIUS + 4, picture.y[node] + 4.5, text) for node, text in beside.items()]


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="beside">{escape(text)}</text>'
