"""The synthetic part of a report: exact block efficiencies on random families of pairs, every tree counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from veridraft.theory.efficiency import block_efficiency
from veridraft.theory.families import dirichlet_pair, diverging_pair, zipf_pair
from veridraft.theory.policies import Iid, Policy
from veridraft.theory.sources import Pair

from .data import League, LeagueRow, Profile
from .progress import Progress
from .settings import Settings, fitting_policy
from .store import Store, make_key

VOCABULARY_SIZE = 4
POLICY: Policy = Iid(3, 3)
PAIRS = 4
"""Pairs of each family; the league table shows their mean."""


@dataclass(frozen=True)
class Family:
    """A random family of pairs: ``make(vocabulary_size, seed)`` is one of them."""

    name: str
    description: str
    make: Callable[[int, int], Pair]


FAMILIES = (
    Family(
        "near",
        "Dirichlet rows; the draft is 0.7 times the target plus 0.3 times an independent row",
        lambda size, seed: dirichlet_pair(size, seed, concentration=1.0, closeness=0.7),
    ),
    Family(
        "far",
        "Dirichlet rows; the draft is 0.2 times the target plus 0.8 times an independent row",
        lambda size, seed: dirichlet_pair(size, seed, concentration=1.0, closeness=0.2),
    ),
    Family(
        "peaked",
        "Dirichlet rows of concentration 0.3, most mass on a token or two; the draft is half the target and half an "
        "independent row",
        lambda size, seed: dirichlet_pair(size, seed, concentration=0.3, closeness=0.5),
    ),
    Family(
        "zipf",
        "Zipf rows of exponent 1.2; the draft’s log weights are the target’s plus normal noise of deviation 0.7",
        lambda size, seed: zipf_pair(size, seed, exponent=1.2, noise=0.7),
    ),
    Family(
        "parting",
        "Divergence grows with depth: the share of an independent row in the draft is 0.1, 0.4, 0.7",
        lambda size, seed: diverging_pair(size, seed, near=0.1, growth=0.3),
    ),
)
"""The families of the league table, from its left to its right."""

PROFILE_FAMILY = FAMILIES[-1]
"""The family whose depth profiles are shown."""


def family_pair(family: Family, settings: Settings, index: int) -> Pair:
    """Pair number ``index`` of the family, with the settings' temperature and top-p, seeded by their seed."""
    pair = family.make(VOCABULARY_SIZE, settings.seed * PAIRS + index)
    return pair.transformed(temperature=settings.temperature, top_p=settings.top_p)


def mean_profile(verifier: str, family: Family, settings: Settings) -> list[float]:
    """(L + 1,) the probability that exactly d tokens are accepted, exact, mean over the family's pairs."""
    policy = fitting_policy(verifier, POLICY)
    profiles = [
        np.asarray(block_efficiency(verifier, policy, family_pair(family, settings, index)).by_depth, dtype=float)
        for index in range(PAIRS)
    ]
    return np.mean(profiles, axis=0).tolist()


def profile_key(verifier: str, family: Family, settings: Settings) -> str:
    """The key of one finished profile: everything that determines its numbers."""
    drawn = {"seed": settings.seed, "temperature": settings.temperature, "top_p": settings.top_p}
    return make_key("profile", verifier=verifier, family=family.name, policy=POLICY.name, **drawn)


def run_synthetic(settings: Settings, store: Store) -> None:
    """Compute what is not yet in the store: one piece per verifier and family."""
    progress = Progress("synthetic pairs", len(settings.verifiers) * len(FAMILIES))
    for verifier in settings.verifiers:
        for family in FAMILIES:
            key = profile_key(verifier, family, settings)
            store.piece(key, lambda v=verifier, f=family: mean_profile(v, f, settings))  # type: ignore[misc]
            progress.step(f"{verifier}, {family.name}")
    progress.close()


def read_league(settings: Settings, store: Store) -> League:
    """The league table of the finished pieces, ``None`` where one is missing."""
    rows = []
    for verifier in settings.verifiers:
        profiles = (store.get(profile_key(verifier, family, settings)) for family in FAMILIES)
        values = tuple(None if profile is None else _efficiency(profile) for profile in profiles)
        rows.append(LeagueRow(verifier, fitting_policy(verifier, POLICY).name, values))
    families = tuple((family.name, family.description) for family in FAMILIES)
    return League(VOCABULARY_SIZE, PAIRS, families, tuple(rows))


def _efficiency(stopping: list[float]) -> float:
    """E[tau + 1] from the law of tau."""
    return sum((depth + 1) * probability for depth, probability in enumerate(stopping))


def read_profiles(settings: Settings, store: Store) -> tuple[Profile, ...]:
    """The finished depth profiles on the family that parts with depth."""
    found: list[tuple[str, Any]] = [
        (verifier, store.get(profile_key(verifier, PROFILE_FAMILY, settings))) for verifier in settings.verifiers
    ]
    return tuple(
        Profile(verifier, fitting_policy(verifier, POLICY).name, tuple(stopping))
        for verifier, stopping in found
        if stopping is not None
    )
