"""Figures: matplotlib drawings as SVG text that stands inside a page, which has each figure's numbers in a table."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

from veridraft.theory.display.charts import STYLE

MARKS = re.compile(
    r"""<g( clip-path="[^"]*")>\n((?:<use [^>]*? style="([^"]*)"/>\n)(?:<use [^>]*? style="\3"/>\n)*)</g>"""
)
"""A row of marks of one style."""


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
    svg = _renamed(svg, name)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"| height="[^"]*pt"', r"\1", svg, count=2)
    return _light(svg)


def _renamed(svg: str, name: str) -> str:
    """The SVG with the name and a number as ids, those that nothing refers to left out."""
    used = dict.fromkeys(re.findall(r'(?:href="#|url\(#)([^")]*)', svg))
    short = {id_: f"{name}-{number}" for number, id_ in enumerate(used)}
    svg = re.sub(r' id="([^"]*)"', lambda found: f' id="{short[found[1]]}"' if found[1] in short else "", svg)
    return re.sub(r'(href="#|url\(#)([^")]*)', lambda found: f"{found[1]}{short[found[2]]}", svg)


def _light(svg: str) -> str:
    """The same in fewer bytes: places to a hundredth of a point, no indentation, the style of a row of marks once."""
    svg = re.sub(r' [xyd]="[^"]*"', lambda place: re.sub(r"(\.\d\d)\d+", r"\1", place[0]), svg)
    return MARKS.sub(_with_one_style, re.sub(r"\n +", "\n", svg))


def _with_one_style(row: re.Match[str]) -> str:
    style = f' style="{row[3]}"'
    return f"<g{row[1]}{style}>\n{row[2].replace(style, '')}</g>"
