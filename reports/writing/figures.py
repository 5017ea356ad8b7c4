"""Figures: matplotlib drawings as SVG text that stands inside a page, which has each figure's numbers in a table."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

from veridraft.theory.display.charts import STYLE


def drawn(name: str, width: float, height: float, paint: Callable[[Any], None]) -> str:
    """The SVG element that ``paint`` draws on a figure of the given size in inches.

    Ids are prefixed with ``name``, so that several figures can stand in one page; width and height are left
    to the page, and nothing in it points outside.
    """
    return _embedded(svg_file(width, height, paint, transparent=True), name)


def svg_file(width: float, height: float, paint: Callable[[Any], None], transparent: bool = False) -> str:
    """The same as the text of an SVG file of its own."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=transparent)
    return buffer.getvalue()


def _embedded(svg: str, name: str) -> str:
    """The bare ``<svg>`` element with its own ids and no fixed size."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(id=")', rf"\1{name}-", svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1{name}-", svg)
    return re.sub(r'(<svg[^>]*?) width="[^"]*"| height="[^"]*pt"', r"\1", svg, count=2)
