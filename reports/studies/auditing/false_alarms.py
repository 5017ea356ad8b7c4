"""False alarms of the auditor: many audits of correct verifiers, at a level at which alarms would show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import scipy

from veridraft.simulate.auditing.auditor import audit
from veridraft.simulate.auditing.verdict import Verdict
from veridraft.simulate.forms.cases import Case
from veridraft.simulate.procedures.table import PROCEDURES
from veridraft.theory.pairs.families import dirichlet_pair
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Chain, Iid

from ...writing.markdown import Section

LEVEL = 0.01
TRIALS, PIECE = 4_000, 100
"""Trials of each audit, and audits in one cell of the study."""

SINGLE_PATH = ("naive", "block")
POLICIES: tuple[Policy, ...] = (Iid(2, 1), Iid(3, 1), Iid(2, 2), Iid(3, 2))


def one_audit(number: int) -> Verdict:
    """The verdict on a correct verifier: which, with which policy and on which two pairs, the number decides."""
    names = list(PROCEDURES)
    name, kind = names[number % len(names)], number // len(names)
    policy = Chain(1 + kind % 3) if name in SINGLE_PATH else POLICIES[kind % len(POLICIES)]
    pairs = (dirichlet_pair(3, seed=2 * number + place, concentration=0.7) for place in range(2))
    cases = [Case(f"pair {place}", pair, policy, "a random pair") for place, pair in enumerate(pairs)]
    result = audit(
        PROCEDURES[name], "paths", batched=True, cases=cases, level=LEVEL, trials=TRIALS, seed=number, call_seconds=None
    )
    return result.verdict


def cells(audits: int) -> list[tuple[str, int]]:
    """Name and first number of every piece."""
    return [("correct procedures", first) for first in range(0, audits, PIECE)]


def measure(name: str, first: int) -> dict[str, int]:
    """How often each verdict came, of PIECE audits."""
    verdicts = [one_audit(number).value for number in range(first, first + PIECE)]
    return {verdict.value: verdicts.count(verdict.value) for verdict in Verdict}


def read(found: Mapping[tuple[str, int], dict[str, Any]]) -> dict[str, Any]:
    """The finished pieces together: audits, alarms, others, and a 95 % interval of the rate of alarms."""
    counts = {verdict.value: sum(piece[verdict.value] for piece in found.values()) for verdict in Verdict}
    done = sum(counts.values())
    alarms = counts[Verdict.LOSSY.value]
    interval = scipy.stats.binomtest(alarms, done).proportion_ci(0.95, "exact") if done else (0.0, 1.0)
    return {"audits": done, "alarms": alarms, "verdicts": counts, "level": LEVEL, "trials": TRIALS,
            "interval": [float(interval[0]), float(interval[1])]}  # fmt: skip


def section(found: dict[str, Any]) -> Section:
    """The study in words."""
    low, high = found["interval"]
    rate = found["alarms"] / found["audits"]
    return Section(
        "False alarms",
        (
            f"{found['audits']:,} audits of the nine correct procedures, each on two random pairs of three tokens with "
            f"{found['trials']:,} trials, at the level {found['level']:g}: {found['alarms']:,} alarms, a rate of "
            f"{rate:.4f}, exact 95 % interval [{low:.4f}, {high:.4f}]. The level is an upper bound at every stopping "
            "time; the price is that the rate lies below it.",
        ),
        ("verdict", "audits"),
        tuple((name, f"{count:,}") for name, count in found["verdicts"].items()),
    )
