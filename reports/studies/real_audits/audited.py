"""Code that is audited: what it is, how it is run, and the record that stays of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import metadata
from typing import Any

import numpy as np

from veridraft.simulate.auditing.auditor import audit
from veridraft.simulate.auditing.findings import Trait, pattern_text
from veridraft.simulate.auditing.verdict import Audit
from veridraft.simulate.forms.cases import Case
from veridraft.simulate.forms.form import Form

EXACT_LEVEL = 1e-9
"""The probability with which a law that is right is excluded by an exact case, at most."""


BATCHED = 200_000
"""Trials of a batched verifier."""

Built = tuple[Callable[..., Any], Sequence[Case] | None]
"""A verifier, and its cases; ``None`` for the default ones of its form."""

TOLD = (Trait.MUTATES_INPUTS, Trait.NOT_A_FUNCTION, Trait.DETERMINISTIC, Trait.UNDRAFTED)
"""What is told of a callable; that seeded global generators take no chosen uniforms is the adapters' doing."""


@dataclass(frozen=True)
class ExactCase:
    """A case small enough for paper: what must come out, and what does.

    Fields
    ------
    text : the case in words: rows, what is done with them, why what comes out does
    outcomes : names of what is counted, such as "token 0"
    target : the probability of each under the target, exact
    comes_out : likewise for the code as it is written, worked out by hand; ``None`` if it is not
    run : ``run(rng)``, the audited code itself on the case: the number of an outcome
    trials : how often it is run
    """

    text: str
    outcomes: tuple[str, ...]
    target: tuple[Fraction, ...]
    comes_out: tuple[Fraction, ...] | None
    run: Callable[[np.random.Generator], int]
    trials: int = 4000


@dataclass(frozen=True)
class Auditee:
    """Something to audit.

    Fields
    ------
    key : one of its kind in the study
    package : the distribution that it comes from, as pip names it
    what, settings : the function, and how it is called
    form, batched : the form of the audit
    build : makes the verifier, and the cases, ``None`` for the default ones
    trials : at most
    claim : what its own documentation says where it is not that it is lossless
    remark : what a reader of the verdict should know
    exact : the case that confirms a verdict LOSSY
    """

    key: str
    package: str
    what: str
    settings: str
    form: Form
    build: Callable[[], Built]
    batched: bool = False
    trials: int = 20_000
    claim: str = ""
    remark: str = ""
    exact: Callable[[], ExactCase] | None = None


def version_of(package: str) -> str | None:
    """The installed version of a distribution, or ``None``."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def record_of(auditee: Auditee, trials: int | None = None) -> dict[str, Any]:
    """The audit of something installed, as JSON's kinds of values; a lossy verdict comes with its exact case.

    trials : instead of the auditee's own number
    """
    said = {name: getattr(auditee, name) for name in ("key", "package", "what", "settings", "claim", "remark")}
    result = _audited(auditee, trials)
    lossy = result.exit_status == 1
    exact = confirmed(auditee.exact()) if lossy and auditee.exact else None
    return said | {"version": version_of(auditee.package), "exact": exact} | _summary(result)


def _audited(auditee: Auditee, trials: int | None) -> Audit:
    verifier, cases = auditee.build()
    return audit(
        verifier, auditee.form, batched=auditee.batched, cases=cases, trials=trials or auditee.trials, call_seconds=60.0
    )


def _summary(result: Audit) -> dict[str, Any]:
    findings = [
        {
            "case": found.case, "sign": found.sign.value, "string": pattern_text(found.pattern),
            "expected": found.expected, "observed": found.observed, "trials": found.trials, "error": found.error,
        }
        for found in result.findings
    ]  # fmt: skip
    sure = [case.smallest_total_variation for case in result.cases]
    return {
        "form": result.form, "verdict": result.verdict.value, "trials": result.trials,
        "seconds": round(result.seconds, 1), "cases": len(result.cases), "findings": findings,
        "failure": f"{result.failure.fault.value}: {_without_place(result.failure.detail)}" if result.failure else "",
        "observations": [f"{seen.trait.value} ({seen.detail})" for seen in result.observations if seen.trait in TOLD],
        "would_have_found": [min(sure, default=1.0), max(sure, default=1.0)],
        "largest_log_e": max((min(case.log_e, 1e6) for case in result.cases), default=0.0),
    }  # fmt: skip


def _without_place(detail: str) -> str:
    """What a failure says, without the file and line in which it happened."""
    return re.sub(r" \([^()]*, line \d+, in [^()]*\)", "", detail)


def confirmed(case: ExactCase, trials: int | None = None, seed: int = 1) -> dict[str, Any]:
    """The frequencies of an exact case beside its two laws, and what they exclude at ``EXACT_LEVEL``.

    ``target_excluded``, ``comes_out_excluded`` : whether a count leaves its Bernstein bound, shared over outcomes
    """
    rng, runs = np.random.default_rng(seed), trials or case.trials
    counts = np.bincount([case.run(rng) for _ in range(runs)], minlength=len(case.target))
    return {
        "text": case.text, "outcomes": list(case.outcomes), "trials": runs, "counts": counts.tolist(),
        "target": [str(value) for value in case.target],
        "comes_out": [str(value) for value in case.comes_out] if case.comes_out else None,
        "total_variation": str(total_variation(case.target, case.comes_out)) if case.comes_out else None,
        "target_excluded": excluded(counts, case.target),
        "comes_out_excluded": excluded(counts, case.comes_out) if case.comes_out else None,
    }  # fmt: skip


def total_variation(first: Sequence[Fraction], second: Sequence[Fraction]) -> Fraction:
    """Half the sum of absolute differences of two laws; exact in Fractions."""
    return sum((abs(one - other) for one, other in zip(first, second, strict=True)), Fraction(0)) / 2


def excluded(counts: Any, law: Sequence[Fraction], level: float = EXACT_LEVEL) -> bool:
    """Whether counts (n,) of a multinomial are farther from a law than chance goes, with probability ``level`` at most.

    Bernstein's bound for each count, the level shared over them; an outcome that the law forbids excludes it alone.
    """
    observed, expected = np.asarray(counts, dtype=np.float64), np.array([float(value) for value in law])
    runs, log = observed.sum(), math.log(2 * len(expected) / level)
    bound = np.sqrt(2 * runs * expected * (1 - expected) * log + log**2 / 9) + log / 3
    forbidden = (expected == 0) & (observed > 0)
    return bool((forbidden | (np.abs(observed - runs * expected) > bound)).any())
