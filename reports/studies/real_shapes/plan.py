"""The cells of the study: Sequoia's rates at each sampling, and the trees of each text.  No torch is needed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from veridraft.theory.rows.distributions import check_count

from ..shapes.plan import SAMPLINGS

RATES = -1
"""Stands in a text's place for the rates of acceptance by rank, measured on other texts."""

LEAST = {"texts": 2, "roots": 1, "spacing": 1, "budget": 8, "seed": 0}
"""Of fewer than two texts no interval is known."""


@dataclass(frozen=True)
class RealShapePlan:
    """So many texts at each of the study's samplings, some roots along each, trees of one budget of nodes.

    Raises ``ValueError`` for a number below its least.
    """

    texts: int = 48
    roots: int = 4
    spacing: int = 16
    budget: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            check_count(name, getattr(self, name), least)

    @property
    def tokens(self) -> int:
        """Of a text: as many as its roots need."""
        return self.spacing * (self.roots - 1) + 1

    def settings(self) -> dict[str, Any]:
        """What determines the numbers; the samplings take turns, so that a stopped run tells of all of them."""
        cells = [[*sampling, text] for text in (RATES, *range(self.texts)) for sampling in SAMPLINGS]
        return asdict(self) | {"cells": cells}
