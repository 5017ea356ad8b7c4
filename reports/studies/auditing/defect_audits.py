"""Every known defect audited, its correct counterpart and the traps beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from veridraft.simulate.auditing.auditor import audit
from veridraft.simulate.auditing.evidence import Pattern
from veridraft.simulate.auditing.findings import Finding, pattern_text
from veridraft.simulate.auditing.verdict import Audit, Verdict
from veridraft.simulate.defects.kinds import Defect, Trap
from veridraft.simulate.defects.table import DEFECTS
from veridraft.simulate.defects.traps import TRAPS
from veridraft.simulate.forms.cases import Case, default_cases
from veridraft.simulate.forms.form import Form

from ...writing.markdown import Section
from .first_departure import PLACE_TRIALS, first_departure

LEVEL = 1e-6
TRIALS = 20_000_000
"""Trials of an audit of a defect, at most; the rarest deviation, of bfloat16, takes some millions."""

KINDS = ("right", "none", "wrong")
"""What is thought of the mechanisms that are named."""

RIGHT_TRIALS = 1_000_000
"""Trials of an audit of a correct verifier."""


def cells(seeds: int) -> list[tuple[str, int]]:
    """Name and seed of every audit: each defect under every seed, its correct counterpart, then the traps."""
    defects = [(name, seed) for name in DEFECTS for seed in range(seeds)]
    return defects + [(f"correct {name}", 0) for name in DEFECTS] + [(f"trap {name}", 0) for name in TRAPS]


def measure(name: str, seed: int) -> dict[str, Any]:
    """The audits of one cell together."""
    kind, _, rest = name.partition(" ")
    if kind == "correct":
        return _correct(DEFECTS[rest])
    return _trap(TRAPS[rest]) if kind == "trap" else _broken(DEFECTS[name], seed)


def audits_of(verifier: Any, form: Form, cases: tuple[Case, ...], trials: int, seed: int) -> Iterator[Audit]:
    """The audits of a batched verifier on cases; in the form ``generate`` one audit for each case."""
    if form is not Form.GENERATE:
        yield audit(verifier, form, batched=True, cases=cases, level=LEVEL, trials=trials, seed=seed)
        return
    for case in cases:
        built = verifier(case.pair, case.policy.depth, case.contexts[0])
        yield audit(built, form, batched=True, cases=[case], level=LEVEL / len(cases), trials=trials, seed=seed)


def _broken(defect: Defect, seed: int) -> dict[str, Any]:
    """The first audit that finds the defect, its trials and seconds counted with those before it."""
    trials, seconds, last = 0, 0.0, None
    for last in audits_of(defect.broken, defect.form, defect.shown_on, TRIALS, seed):
        trials, seconds = trials + last.trials, seconds + last.seconds
        if last.verdict is Verdict.LOSSY:
            break
    assert last is not None
    finding = last.findings[0] if last.findings else None
    said = {"case": "", "pattern": [], "expected": 0.0, "observed": 0.0} if finding is None else _said(defect, finding)
    return {"verdict": last.verdict.value, "trials": trials, "seconds": round(seconds, 3)} | said


def _said(defect: Defect, finding: Finding) -> dict[str, Any]:
    """What a finding says, and what would have been right."""
    case = next(case for case in defect.shown_on if case.name == finding.case)
    first, exact = first_departure(defect, case, finding.request)
    return {
        "case": finding.case, "pattern": list(finding.pattern), "expected": finding.expected,
        "observed": finding.observed, "departs": finding.departs, "first": first, "exact": exact,
        "mechanism": likeness_of(defect, finding.mechanism),
    }  # fmt: skip


def likeness_of(defect: Defect, mechanism: str) -> str:
    """What is to be thought of the named mechanism: right, if the planted one is among those named, none or wrong."""
    if not mechanism:
        return "none"
    return "right" if f"({defect.name};" in mechanism else "wrong"


def _correct(defect: Defect) -> dict[str, Any]:
    return _passed(defect.correct, defect.form, defect.shown_on)


def _trap(trap: Trap) -> dict[str, Any]:
    return _passed(trap.verifier, trap.form, trap.cases or default_cases(trap.form, batched=True))


def _passed(verifier: Any, form: Form, cases: tuple[Case, ...]) -> dict[str, Any]:
    """What the audits of a correct verifier say together; in the form ``generate`` the trials are split over cases."""
    each = RIGHT_TRIALS // len(cases) if form is Form.GENERATE else RIGHT_TRIALS
    results = list(audits_of(verifier, form, cases, each, seed=0))
    verdicts = {result.verdict for result in results}
    return {
        "verdict": (verdicts - {Verdict.NO_DEFECT_FOUND} or verdicts).pop().value,
        "trials": sum(result.trials for result in results),
        "seconds": round(sum(result.seconds for result in results), 3),
        "smallest": min(case.smallest_total_variation for result in results for case in result.cases),
    }


def read(found: Mapping[tuple[str, int], dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The finished audits: a row for each defect with its correct counterpart, and for each trap."""
    defects = [row for defect in DEFECTS.values() if (row := _defect_row(found, defect))]
    traps = [
        {"name": trap.name, "form": trap.form.value, "looks_wrong": trap.looks_wrong, "is_right": trap.is_right} | piece
        for trap in TRAPS.values()
        if (piece := found.get((f"trap {trap.name}", 0)))
    ]
    return {"defects": defects, "traps": traps}


def _defect_row(found: Mapping[tuple[str, int], dict[str, Any]], defect: Defect) -> dict[str, Any] | None:
    pieces = [piece for (name, _), piece in sorted(found.items()) if name == defect.name]
    if not pieces:
        return None
    trials = [piece["trials"] for piece in pieces]
    return pieces[0] | {
        "number": defect.number, "name": defect.name, "seen_in": defect.seen_in, "mechanism": defect.mechanism,
        "form": defect.form.value, "audits": len(pieces), "least": min(trials), "most": max(trials),
        "found": sum(piece["verdict"] == Verdict.LOSSY.value for piece in pieces),
        "placed": sum(piece.get("departs") is not None and piece["departs"] == piece["first"] for piece in pieces),
        "mechanisms": {kind: sum(piece.get("mechanism") == kind for piece in pieces) for kind in KINDS},
        "median": float(np.median(trials)),
        "median_seconds": float(np.median([piece["seconds"] for piece in pieces])),
        "correct": found.get((f"correct {defect.name}", 0)),
    }  # fmt: skip


def sections(found: dict[str, list[dict[str, Any]]]) -> tuple[Section, ...]:
    """The study in words."""
    return _found(found["defects"]), _mechanisms(found["defects"]), _traps(found["traps"])


def _found(defects: list[dict[str, Any]]) -> Section:
    numbers = ("found", "trials", "least to most", "s", "place right", "mechanism right / none / wrong", "string",
               "expected", "observed", "correct one")  # fmt: skip
    words = (_caught(defects), _placed(defects))
    return Section("Defects", words, ("row", "defect", *numbers), tuple(_cells(row) for row in defects))


def _caught(defects: list[dict[str, Any]]) -> str:
    caught = sum(row["found"] == row["audits"] for row in defects)
    passed = sum(bool(row["correct"]) and row["correct"]["verdict"] == Verdict.NO_DEFECT_FOUND.value for row in defects)
    return (
        f"{caught} of {len(defects)} defects are found under every seed at the level {LEVEL:g}, and of the correct "
        f"procedures beside them {passed} of {len(defects)} pass {RIGHT_TRIALS:,} trials. Trials and seconds are "
        "medians; string, expected and observed frequency are those of the first seed's finding, and belong to the "
        "case that is named."
    )


def _placed(defects: list[dict[str, Any]]) -> str:
    audits, placed = (sum(row[what] for row in defects) for what in ("audits", "placed"))
    right, none, wrong = (sum(row["mechanisms"][kind] for row in defects) for kind in KINDS)
    sampled = sum(not row.get("exact", True) for row in defects)
    return (
        f"The token at which the audit says that the law departs is the first at which it does in {placed} of {audits} "
        "audits. The first is known from the exact law of the verifier, every draft and decision of which is "
        f"enumerated; for {sampled} of the defects, whose decisions cannot be listed, from {PLACE_TRIALS:,} trials. "
        f"The likely mechanism that is named is the planted one, or one of two, in {right} of {audits} audits, another "
        f"in {wrong}; none is named in {none}."
    )


def _mechanisms(defects: list[dict[str, Any]]) -> Section:
    return Section(
        "What the defects are",
        ("Each mechanism, and where it was seen.",),
        ("row", "defect", "form", "mechanism", "seen in"),
        tuple((str(row["number"]), row["name"], row["form"], row["mechanism"], row["seen_in"]) for row in defects),
    )


def _traps(traps: list[dict[str, Any]]) -> Section:
    return Section(
        "Traps: correct, however they look",
        ("Verifiers that are lossless and were taken, or may be taken, for lossy.",),
        ("trap", "form", "looks wrong because", "is right because", "verdict", "trials"),
        tuple(
            (row["name"], row["form"], row["looks_wrong"], row["is_right"], row["verdict"], f"{row['trials']:,}")
            for row in traps
        ),
    )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    pattern: Pattern = tuple(row["pattern"])
    correct = row["correct"]["verdict"] if row["correct"] else "not run"
    return (
        str(row["number"]), row["name"], f"{row['found']} of {row['audits']}",
        f"{row['median']:,.0f}", f"{row['least']:,} to {row['most']:,}", f"{row['median_seconds']:.2f}",
        f"{row['placed']} of {row['audits']}", " / ".join(str(row["mechanisms"][kind]) for kind in KINDS),
        f"{row['case']}: {pattern_text(pattern) if pattern else 'mean length'}", f"{row['expected']:.4g}",
        f"{row['observed']:.4g}", correct,
    )  # fmt: skip
