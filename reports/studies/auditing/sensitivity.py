"""Sensitivity of the auditor: trials until a planted deviation is found, beside what any test must spend.

No test that stops with a false alarm of probability at most a can find a law Q against P in fewer trials, on average,
than log(1/a) / KL(Q, P) (Wald; the log-likelihood ratio grows by KL a trial, and must come to log(1/a)).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from veridraft.simulate.auditing.auditor import audit
from veridraft.simulate.auditing.verdict import Verdict
from veridraft.simulate.batches.batch import Outcome
from veridraft.simulate.batches.row_tables import tabulate
from veridraft.simulate.batches.rows import Floats, Ints, draw
from veridraft.simulate.forms.cases import Case
from veridraft.simulate.forms.drawing import MOST_JUDGED, string_law
from veridraft.simulate.procedures.table import PROCEDURES
from veridraft.theory.pairs.base import MarkovPair
from veridraft.theory.policies.paths import Chain
from veridraft.theory.rows.distributions import NO_TOKEN

from ...writing.markdown import Section

VOCABULARY, DEPTH, LEVEL = 50, 3, 1e-6
VARIATIONS = (0.02, 0.01, 0.005)
TRIALS = 4_000_000


@cache
def pair() -> MarkovPair:
    """Fifty tokens, Dirichlet rows after each; the draft is half the target."""
    rng = np.random.default_rng(50)
    target = rng.dirichlet(np.ones(VOCABULARY), size=VOCABULARY)
    draft = (target + rng.dirichlet(np.ones(VOCABULARY), size=VOCABULARY)) / 2
    return MarkovPair(target, draft)


@dataclass(frozen=True)
class Plant:
    """A deviation: with some probability the first token is drawn from another row, and nothing is accepted.

    row : (V,) the other row; words : what it is
    """

    words: str
    row: Callable[[Floats], Floats]


def _one_token(target: Floats) -> Floats:
    row = np.zeros_like(target)
    row[np.argsort(target)[len(target) // 2]] = 1.0
    return row


def _colder(target: Floats) -> Floats:
    return target**2 / (target**2).sum()


PLANTS = {
    "one token": Plant("one token of median probability is emitted first too often", _one_token),
    "all tokens": Plant("the first row is mixed with itself at temperature 1/2", _colder),
}


def share(plant: Plant, variation: float) -> float:
    """The probability of throwing the outcome away that gives the total variation."""
    first = pair().start[0]
    return variation / (float(np.abs(plant.row(first) - first).sum()) / 2.0)


def planted(plant: Plant, variation: float) -> Callable[..., Outcome]:
    """A procedure with the deviation planted into speculative sampling; exact total variation over strings."""
    row, epsilon = plant.row(pair().start[0]), share(plant, variation)

    def run(
        target: ArrayLike, draft: ArrayLike, paths: ArrayLike, rng: np.random.Generator, trunk: int = 0
    ) -> Outcome:
        outcome = PROCEDURES["naive"](target, draft, paths, rng, trunk=trunk)
        thrown = np.flatnonzero(rng.random(len(outcome.accepted)) < epsilon)
        tokens, accepted = outcome.tokens.copy(), outcome.accepted.copy()
        tokens[thrown], accepted[thrown] = NO_TOKEN, 0
        tokens[thrown, 0] = _drawn(row, len(thrown), rng)
        return Outcome(accepted, tokens)

    run.__name__ = f"naive_with_{variation:g}_planted"
    return run


def _drawn(row: Floats, count: int, rng: np.random.Generator) -> Ints:
    return draw(np.broadcast_to(row, (count, len(row))), rng) if count else np.zeros(0, dtype=np.int64)


def divergence(plant: Plant, variation: float) -> float:
    """KL(Q, P) in nats of the planted law of strings against the target's: behind the first token the two agree."""
    first = pair().start[0]
    epsilon = share(plant, variation)
    law = (1 - epsilon) * first + epsilon * plant.row(first)
    return float((law * np.log(law / first)).sum())


def cells(seeds: int) -> list[tuple[str, int]]:
    """Name and seed of every audit."""
    return [(name, seed) for name in deviations() for seed in range(seeds)]


def deviations() -> dict[str, tuple[str, float]]:
    """What is planted, and the total variation, by the name of both."""
    return {f"{plant} {variation:g}": (plant, variation) for plant in PLANTS for variation in VARIATIONS}


def measure(name: str, seed: int) -> dict[str, Any]:
    """One audit of a planted deviation."""
    plant, variation = deviations()[name]
    case = Case("planted", pair(), Chain(DEPTH), "a planted deviation")
    result = audit(
        planted(PLANTS[plant], variation), "paths", batched=True, cases=[case], level=LEVEL, trials=TRIALS, seed=seed,
        call_seconds=None, mechanism=False,
    )  # fmt: skip
    return {"found": result.verdict is Verdict.LOSSY, "trials": result.trials, "seconds": round(result.seconds, 2)}


def read(found: Mapping[tuple[str, int], dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each plant and total variation: the floor, and the median trials to detection."""
    rows = []
    for name, (plant, variation) in deviations().items():
        pieces = [piece for (deviation, _), piece in found.items() if deviation == name]
        if pieces:
            rows.append(_row(plant, PLANTS[plant], variation, pieces))
    return rows


def _row(name: str, plant: Plant, variation: float, pieces: list[dict[str, Any]]) -> dict[str, Any]:
    divergent = divergence(plant, variation)
    trials = [piece["trials"] for piece in pieces]
    floor = float(np.log(1 / LEVEL) / divergent)
    return {
        "plant": name, "words": plant.words, "total_variation": variation, "divergence": divergent,
        "floor": floor, "audits": len(pieces), "found": sum(piece["found"] for piece in pieces),
        "median": float(np.median(trials)), "least": min(trials), "most": max(trials),
        "seconds": float(np.median([piece["seconds"] for piece in pieces])),
    }  # fmt: skip


def section(rows: list[dict[str, Any]]) -> Section:
    """The study in words."""
    headers = (
        "planted", "TV", "KL, nats", "floor, trials", "median trials", "least to most", "median / floor", "found",
        "median s",
    )  # fmt: skip
    return Section(
        "Sensitivity",
        (
            f"A deviation of known total variation is planted into speculative sampling on {VOCABULARY} tokens and a "
            f"chain of {DEPTH}, strings of {DEPTH + 1} tokens ({VOCABULARY ** (DEPTH + 1):,} of them), and audited at "
            f"the level {LEVEL:g}. The floor is log(1/level) / KL, which no valid sequential test beats on average, "
            "even one that knows the deviation; the auditor does not know it, and looks after every fifth more trials.",
        ),
        headers,
        tuple(
            (
                row["words"], f"{row['total_variation']:g}", f"{row['divergence']:.3g}", f"{row['floor']:,.0f}",
                f"{row['median']:,.0f}", f"{row['least']:,} to {row['most']:,}", f"{row['median'] / row['floor']:.2f}",
                f"{row['found']} of {row['audits']}", f"{row['seconds']:.1f}",
            )
            for row in rows
        ),
    )  # fmt: skip


def check_divergence(plant: Plant, variation: float) -> float:
    """The same divergence from the whole law of strings, term by term: the two must agree."""
    tables = tabulate(pair(), DEPTH, most=MOST_JUDGED)
    law = string_law(tables).reshape(VOCABULARY, -1)
    epsilon, first = share(plant, variation), pair().start[0]
    other = law * ((1 - epsilon) + epsilon * plant.row(first) / first)[:, None]
    return float((other * np.log(other / law)).sum())
