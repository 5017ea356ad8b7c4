"""What a finding means, found out by further trials within the budget: place, mistake or mechanism, a telling trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...forms.calls import Caller, CallError
from ...forms.drawing import Drawing
from ...forms.form import Form
from ..budget import Budget
from ..case_run import CaseRun
from ..evidence import Evidence
from ..findings import Finding, Observation, Sign, Trait
from ..verdict import Audit
from .mechanisms import likely_mechanism
from .misuse import misuse_of
from .places import place_text
from .sample import Sample, mean_law
from .telling import telling_trial

CERTAIN = 1e-6
"""A target that leaves this to all strings but one is at temperature 0."""

LOCATED = {False: 10_000, True: 20_000}
"""Further trials by which a departure is located, one at a time and batched; four times what the
finding took, if that is more."""

OF_BUDGET = 3
"""They are no more than this part of what is left: the others are to name and to show."""

SECONDS = 30.0
"""How long an explanation may be sought, beside the audit's own limit."""


def explained(
    audit: Audit, caller: Caller, runs: Sequence[CaseRun], wishes: Any, budget: Budget, rng: np.random.Generator
) -> Audit:
    """The audit with its first finding explained as far as the budget goes; nothing of the verdict changes."""
    finding, part = audit.findings[0], budget.part(budget.left, SECONDS)
    order = sorted(runs, key=lambda run: (run.drawing.case.name != finding.case, -run.log_e, -run.drawing.length))
    own = order[0]
    sample = Sample(caller, own.drawing, part, rng)
    try:
        sample.grow(min(max(LOCATED[caller.batched], 4 * own.trials), part.left // OF_BUDGET))
        before = own.evidence[finding.request]
        telling = telling_trial(caller, own.drawing, finding, sample.evidence(finding.request, before), part, rng)
        mechanism = _mechanism(sample, [run.drawing for run in order], own.trials, wishes.drafts)
        place = _place(finding, sample.evidence(finding.request, before), own)
        found = replace(finding, place=place, mechanism=mechanism)
        notes = _second_rows(sample, wishes.second) or _near_tie(finding, own.drawing)
    except CallError:
        return audit
    observations = (*audit.observations, *notes)
    return replace(audit, findings=(found, *audit.findings[1:]), observations=observations, telling=telling)


def _place(finding: Finding, evidence: Evidence, run: CaseRun) -> str:
    """Where the law departs, behind what the finding says of its place already."""
    place = place_text(evidence, run.drawing, finding.request, run.undrafted > 0)
    if not place:
        return finding.place
    kept = finding.place.split("; the law departs")[0] if finding.sign is Sign.LENGTH else ""
    return "; ".join(filter(None, [kept, place]))


def _mechanism(sample: Sample, drawings: list[Drawing], trials: int, drafts: int | None) -> str:
    """The mistake of calling, or the known mechanism, in words; empty if none was told from the others."""
    caller, budget = sample.caller, sample.budget
    mistake = "" if caller.form is Form.GENERATE else misuse_of(caller, drawings, trials, budget, sample.rng)
    return mistake or likely_mechanism(sample, drawings[1:], drafts)


def _second_rows(sample: Sample, second: Sequence[Drawing]) -> list[Observation]:
    """Whether the strings have the law of a second target."""
    for drawing in second:
        counts = sample.counts[0]
        law = np.asarray(Sample(sample.caller, drawing, sample.budget, sample.rng).evidence(0).law)
        one = Evidence(law.reshape(drawing.shape), 1e-3)
        one.counts += counts
        one.look(planned=False)
        if counts.sum() and not one.rejects:
            return [Observation(Trait.SECOND_ROWS, f"no departure from it in {int(counts.sum()):,} trials")]
    return []


def _near_tie(finding: Finding, drawing: Drawing) -> list[Observation]:
    """A loop that departs by an impossible token where its target is at temperature 0."""
    certain = mean_law(drawing).max() > 1.0 - CERTAIN
    if drawing.form is Form.GENERATE and finding.sign is Sign.IMPOSSIBLE and certain:
        return [Observation(Trait.NEAR_TIE, f"string {' '.join(map(str, finding.pattern))}")]
    return []
