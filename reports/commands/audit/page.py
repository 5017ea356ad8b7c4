"""The page of an audit: the verdict, the counterexample, a picture of where the laws differ, the evidence by case."""

from __future__ import annotations

import platform
from importlib import metadata
from math import log
from pathlib import Path
from typing import Any

from veridraft.simulate.auditing.case_result import CaseResult, departures
from veridraft.simulate.auditing.findings import Finding, Sign, pattern_text
from veridraft.simulate.auditing.verdict import Audit, Verdict

from ...writing.html import rendered
from ...writing.tables import ABSENT, Table, number
from . import figures as audit_figures

LEADS = {
    Verdict.LOSSY: "No: the text that it emits does not have the target’s law.",
    Verdict.NO_DEFECT_FOUND: "No defect was found. A pass is no proof: below stands what would have been found.",
    Verdict.UNDECIDED: "Undecided: the trials were cut short before anything was found.",
    Verdict.ERROR: "It could not be audited: it does not do what its form asks.",
}


def write_audit_page(audit: Audit, command: str, path: Path) -> Path:
    """The path, after the page has been written there."""
    path.write_text(render(audit, command), encoding="utf-8")
    return path


def render(audit: Audit, command: str) -> str:
    """The page as HTML text."""
    return rendered("audit.html", **_values(audit, command))


def _values(audit: Audit, command: str) -> dict[str, Any]:
    """Everything that the template shows."""
    shown = audit.strongest
    return {
        "audit": audit, "command": command, "lead": LEADS[audit.verdict], "facts": headlines(audit), "shown": shown,
        "by_chance": by_chance(audit),
        "strings_svg": audit_figures.strings_figure(shown, audit.level) if shown else "",
        "tokens_svg": audit_figures.tokens_figure(shown, audit.level) if shown else "",
        "strings": strings_table(shown) if shown else None,
        "evidence_svg": audit_figures.evidence_figure(audit.cases) if audit.cases else "",
        "cases": case_table(audit), "needed": max((case.sufficient for case in audit.cases), default=0.0) / log(10),
        "worth": worth(audit),
        "versions": {name: metadata.version(name) for name in ("veridraft", "numpy", "scipy")}
        | {"Python": platform.python_version()},
    }  # fmt: skip


def headlines(audit: Audit) -> list[tuple[str, str, bool]]:
    """(figure, what it says, whether all is well) for the top of the page."""
    well = audit.verdict is Verdict.NO_DEFECT_FOUND
    facts = [(audit.verdict.value.upper(), f"form {audit.form}", well)]
    facts += [_finding_fact(finding) for finding in audit.findings[:1]]
    facts.append((f"{audit.trials:,}", f"trials {audit.where}", True))
    facts.append((f"{audit.level:.1e}", "at most this is the probability of calling a lossless verifier lossy", True))
    if well:
        sure = [case.smallest_total_variation for case in audit.cases]
        text = "total variation that would surely have been found, by case"
        facts.append((f"{min(sure):.2g} to {max(sure):.2g}", text, True))
    return facts


def _finding_fact(finding: Finding) -> tuple[str, str, bool]:
    """The two numbers of a counterexample, and what they are."""
    what = pattern_text(finding.pattern) if finding.pattern else finding.place or "a string"
    if finding.sign is Sign.CHOSEN_UNIFORMS:
        return "0", f"is the target’s probability of {what}, which a chosen uniform brings out", False
    said = f"expected and observed frequency of {what}"
    if finding.sign is Sign.LENGTH:
        said = "accepted tokens per trial: the most that a lossless verifier reaches, and what was seen"
    return f"{finding.expected:.3g} → {finding.observed:.3g}", said, False


def by_chance(audit: Audit) -> bool:
    """Whether drawn frequencies alone show that the verifier is lossy."""
    return any(finding.sign is not Sign.CHOSEN_UNIFORMS for finding in audit.findings)


def worth(audit: Audit) -> tuple[str, ...]:
    """What the verdict says and what it does not, in paragraphs."""
    if audit.verdict is Verdict.LOSSY and not by_chance(audit):
        return (
            "Nothing was left to chance here: the call is repeated with the chosen uniform, and emits what the target "
            "cannot. How often a real generator draws such a uniform stands with the counterexample.",
        )
    if audit.verdict is Verdict.LOSSY:
        return (
            f"A lossless verifier would be called lossy with probability at most {audit.level:.1e}, over all cases and "
            "looks together. The frequencies are those at which the audit stopped: they tend to overstate.",
        )
    if audit.verdict is Verdict.NO_DEFECT_FOUND:
        return (
            "A pass is no proof. Smaller deviations than those in the table’s “sure” columns may be there, and other "
            "rows, longer drafts and other vocabularies than these were not tried.",
            "More trials find smaller deviations: four times as many halve them.",
        )
    said = "The trials were cut short" if audit.verdict is Verdict.UNDECIDED else "The callable could not be audited"
    return (f"{said}: nothing is said about its law.",)


def strings_table(case: CaseResult) -> Table:
    """The strings that depart most, in numbers."""
    rows = tuple(
        (" ".join(map(str, string)), number(law, 5), number(seen, 5), f"{seen - law:+.5f}")
        for string, law, seen in departures(case)
    )
    return Table("The strings that depart most", ("string", "expected", "observed", "difference"), rows)


def case_table(audit: Audit) -> Table:
    """Every case and request that was tried."""
    columns = ("case", "drafts", "V", "tokens", "trials", "evidence", "TV", "sure TV", "sure token", "accepted", "most")
    return Table("Cases", columns, tuple(_row(case) for case in audit.cases), names=2)


def _row(case: CaseResult) -> tuple[str, ...]:
    return (
        case.name, case.policy or ABSENT, str(case.vocabulary_size), str(case.length), f"{case.trials:,}",
        f"{case.log_e / log(10):.1f}", number(case.total_variation, 3),
        number(case.smallest_total_variation, 3), number(case.smallest_token_deviation, 3),
        number(case.mean_acceptance_length, 3), number(case.optimum, 3),
    )  # fmt: skip
