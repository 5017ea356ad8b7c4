"""The page of the explorer: numbers of a grid, formulas of time, and what draws them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from veridraft.theory.policies.base import DraftLaw
from veridraft.theory.verifiers.table import get_verifier

from ...writing.html import rendered
from .grid import EXPONENT, UNITS, Grid, as_text
from .machines import constants

CONTEXTS = (512, 2048, 8192, 32768)
"""Tokens before a step, of which one can be chosen."""


def render(grid: Grid, blocks: list[bytes]) -> str:
    """The page as HTML text, from the grid's numbers by point; ``ValueError`` if its packages are missing."""
    values = {"values": values_of(grid, blocks), "time": constants(), "contexts": CONTEXTS}
    return rendered("explore.html", grid=grid, exponent=EXPONENT, **values)


def values_of(grid: Grid, blocks: list[bytes]) -> str:
    """All that the script reads, as JSON that can stand in a page."""
    entries = [get_verifier(name) for name in grid.verifiers]
    told = [{"name": one.name, "title": one.title, "source": one.source,
             "single": one.draft_laws == {DraftLaw.SINGLE}} for one in entries]  # fmt: skip
    values: dict[str, Any] = asdict(grid) | {
        "verifiers": told, "time": constants(), "units": UNITS, "survival": as_text(blocks),
    }  # fmt: skip
    return json.dumps(values, separators=(",", ":")).replace("<", "\\u003c")
