"""What the tables of the study have in common: ratios with intervals, and the number of settings."""

from __future__ import annotations

from ...writing.tables import ABSENT
from .leads import LEVEL, Lead
from .rows import Wins

INTERVAL = f"{100 * LEVEL:g} % together"


def factor(found: Lead | None) -> tuple[str, str]:
    """A ratio and its interval."""
    if found is None:
        return ABSENT, ABSENT
    return f"{found.ratio.value:.3f}", f"{found.ratio.low:.3f} to {found.ratio.high:.3f}"


def against(lead: Lead | None) -> tuple[str, str, str]:
    """A ratio, its interval, and what it says."""
    return *factor(lead), lead.standing.value if lead else ABSENT


def settings_of(run: Wins) -> str:
    """How many settings."""
    return f"{len(run.settings)} setting" + "s" * (len(run.settings) != 1)
