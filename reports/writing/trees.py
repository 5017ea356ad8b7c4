"""Draft trees drawn as SVG: what was drafted, and where a verifier stops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from veridraft.theory.rows.trees import DraftTree

from .figures import BLUE, FAINT, INK

ACROSS, DOWN, RADIUS, MARGIN = 84.0, 72.0, 15.0, 8.0
"""Pixels between leaves, between levels, of a node, and around the picture."""

BESIDE = 32.0
"""Pixels for the text at the right of the last leaf."""

STYLE = f"<style>.beside {{fill: {INK}}} @media (prefers-color-scheme: dark) {{ .beside {{fill: #e4e7eb}} }}</style>"
"""Text beside the nodes can be read on a light and on a dark page."""


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
    words: Sequence[str],
    beside: Mapping[int, str] | None = None,
    shade: Mapping[int, float] | None = None,
    label: str = "A draft tree",
) -> str:
    """An SVG element of its own, without a fixed size, that a page of any colour can hold.

    words : (V,) what a token is called
    beside : by node, some text at its right
    shade : by node, how strongly it is filled, from 0 to 1
    label : for people who do not see it
    """
    picture = _placed(tree)
    parts = [*_edges(tree, picture), *_nodes(tree, picture, words, shade or {}), *_texts(picture, beside or {})]
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


def _nodes(tree: DraftTree, picture: Picture, words: Sequence[str], shade: Mapping[int, float]) -> list[str]:
    parts = []
    for node, (x, y) in enumerate(zip(picture.x, picture.y, strict=True)):
        word = words[int(tree.tokens[node])] if node else ""
        parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{RADIUS:g}" fill="#ffffff" stroke="{INK}"/>')
        if shade.get(node):
            parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{RADIUS:g}" fill="{BLUE}" '
                         f'fill-opacity="{shade[node]:.3g}"/>')  # fmt: skip
        parts.append(f'<text x="{x:g}" y="{y + 4.5:g}" text-anchor="middle" fill="{INK}">{escape(word)}</text>')
    return parts


def _texts(picture: Picture, beside: Mapping[int, str]) -> list[str]:
    return [_text(picture.x[node] + RADIUS + 4, picture.y[node] + 4.5, text) for node, text in beside.items()]


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="beside">{escape(text)}</text>'
