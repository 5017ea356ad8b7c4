"""False alarms of the auditor: many audits of correct verifiers, at a level at which alarms would show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import scipy

from veridraft.simulate.auditing.auditor import audit
from veridraft.simulate.auditing.verdict import Verdict
from veridraft.simulate.forms.cases import Case
from veridraft.simulate.procedures.table import PROCEDURES
from veridraft.theory.pairs.families import dirichlet_pair
from veridraft.theory.policies.base import Chain, Iid, Policy

from ...running.store import Store, make_key
from ...writing.markdown import Section

LEVEL = 0.01
AUDITS, TRIALS, PIECE = 10_000, 4_000, 100
"""Audits in the committed study, trials of each, and audits in one piece of the store."""

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


def run(store: Store, audits: int) -> Iterator[str]:
    """Compute the pieces that are missing; says what was done after each."""
    for first in range(0, audits, PIECE):
        store.piece(_key(first), lambda first=first: _piece(first))  # type: ignore[misc]
        yield f"audits {first} to {first + PIECE - 1}"


def _key(first: int) -> str:
    return make_key("false alarms", first=first, audits=PIECE, trials=TRIALS, level=LEVEL)


def _piece(first: int) -> dict[str, int]:
    """How often each verdict came, of PIECE audits."""
    verdicts = [one_audit(number).value for number in range(first, first + PIECE)]
    return {verdict.value: verdicts.count(verdict.value) for verdict in Verdict}


def read(store: Store, audits: int) -> dict[str, Any]:
    """The finished pieces together: audits, alarms, others, and a 95 % interval of the rate of alarms."""
    pieces = [piece for first in range(0, audits, PIECE) if (piece := store.get(_key(first))) is not None]
    counts = {verdict.value: sum(piece[verdict.value] for piece in pieces) for verdict in Verdict}
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
