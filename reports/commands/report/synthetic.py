"""The synthetic part of a report: exact block efficiencies on random families of pairs, every tree counted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from veridraft.theory.efficiency.efficiency import block_efficiency
from veridraft.theory.pairs.base import Pair
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Iid
from veridraft.theory.verifiers.fitting import fitting_policy

from ...running.families import FAMILIES, VOCABULARY_SIZE, Family
from .data import League, LeagueRow, Profile
from .settings import Settings

POLICY: Policy = Iid(3, 3)
PAIRS = 4
"""Pairs of each family; the league table shows their mean."""


PROFILE_FAMILY = FAMILIES[-1]
"""The family whose depth profiles are shown."""

Found = Mapping[tuple[str, str], list[float]]
"""Verifier and family to the finished profile."""


def family_pair(family: Family, settings: Settings, index: int) -> Pair:
    """Pair number ``index`` of the family, with the settings' temperature and top-p, seeded by their seed."""
    pair = family.make(VOCABULARY_SIZE, settings.seed * PAIRS + index)
    return pair.transformed(temperature=settings.temperature, top_p=settings.top_p)


def mean_profile(verifier: str, family: Family, settings: Settings) -> list[float]:
    """(L + 1,) the probability that exactly d tokens are accepted, exact, mean over the family's pairs."""
    policy = fitting_policy(verifier, POLICY)
    profiles = [
        np.asarray(
            block_efficiency(verifier, policy, family_pair(family, settings, index), "enumerate").by_depth, dtype=float
        )
        for index in range(PAIRS)
    ]
    return np.mean(profiles, axis=0).tolist()


def read_league(settings: Settings, found: Found) -> League:
    """The league table of the finished profiles, ``None`` where one is missing."""
    rows = []
    for verifier in settings.verifiers:
        profiles = (found.get((verifier, family.name)) for family in FAMILIES)
        values = tuple(None if profile is None else _efficiency(profile) for profile in profiles)
        rows.append(LeagueRow(verifier, fitting_policy(verifier, POLICY).name, values))
    families = tuple((family.name, family.description) for family in FAMILIES)
    return League(VOCABULARY_SIZE, PAIRS, families, tuple(rows))


def _efficiency(stopping: list[float]) -> float:
    """E[tau + 1] from the law of tau."""
    return sum((depth + 1) * probability for depth, probability in enumerate(stopping))


def read_profiles(settings: Settings, found: Found) -> tuple[Profile, ...]:
    """The finished depth profiles on the family that parts with depth."""
    return tuple(
        Profile(verifier, fitting_policy(verifier, POLICY).name, tuple(found[verifier, PROFILE_FAMILY.name]))
        for verifier in settings.verifiers
        if (verifier, PROFILE_FAMILY.name) in found
    )
