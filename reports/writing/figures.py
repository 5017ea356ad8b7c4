"""Figures: matplotlib drawings as SVG text that stands inside a page, which has each figure's numbers in a table."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

BLUE, VERMILION, GREEN, INK, FAINT = "#0072B2", "#D55E00", "#009E73", "#1f2933", "#c3cad1"
"""Of Okabe and Ito's palette, which colour-blind readers can tell apart; two greys."""

STYLE = {
    "svg.fonttype": "path",
    "svg.hashsalt": "veridraft",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": "#e4e7eb",
}


def drawn(name: str, width: float, height: float, paint: Callable[[Any], None]) -> str:
    """The SVG element that ``paint`` draws on a figure of the given size in inches.

    Ids are prefixed with ``name``, so that several figures can stand in one page; width and height are left
    to the page, and nothing in it points outside.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return _embedded(buffer.getvalue(), name)


def _embedded(svg: str, name: str) -> str:
    """The bare ``<svg>`` element with its own ids and no fixed size."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(id=")', rf"\1{name}-", svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1{name}-", svg)
    return re.sub(r'(<svg[^>]*?) width="[^"]*"| height="[^"]*pt"', r"\1", svg, count=2)
