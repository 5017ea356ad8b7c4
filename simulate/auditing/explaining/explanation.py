"""What a finding means, found out by further trials within the budget: place, mistake or mechanism, a telling trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...forms.calls import Caller, CallError
from ...forms.choice import known_draft
from ...forms.drawing import Drawing
from ...forms.form import Form
from ..budget import Budget
from ..case_run import CaseRun
from ..evidence import Evidence
from ..findings import Finding, Observation, Sign, Trait
from ..verdict import Audit
from .mechanisms import likely_mechanism
from .misuse import misuse_of
from .places import departure, place_text
from .sample import Sample, mean_law
from .telling import telling_trial

CERTAIN = 1e-6
"""A target that leaves this to all strings but one is at temperature 0."""

NEAR = 0.04
"""A loop whose strings depart by no more than this for each token may have rows of its own, such as in bfloat16."""

TELL_ROWS = "the rows of its own pass, as a second target (second_target, --second-target), tell which it is"

LOCATED = {False: 10_000, True: 20_000}
"""Further trials by which a departure is located, one at a time and batched; four times what the
finding took, if that is more."""

LOCATED_LATER = {False: 40_000, True: 400_000}
"""So many in all where no departure is seen at the first token."""

OF_BUDGET = 3
"""They are no more than this part of what is left, in trials and in time: the others are to name and to show."""

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
        before = own.evidence[finding.request]
        _locate(sample, finding.request, before, own.trials)
        telling = telling_trial(caller, own.drawing, finding, sample.evidence(finding.request, before), part, rng)
        found = _placed(finding, sample.evidence(finding.request, before), own)
        mechanism = _mechanism(sample, [run.drawing for run in order], own.trials, wishes.drafts, found.departs)
        found = replace(_placed(found, sample.evidence(finding.request, before), own), mechanism=mechanism)
        notes = _second_rows(sample, wishes.second) or _other_rows(finding, own.drawing, sample, bool(mechanism))
        notes += _untold(own.drawing)
    except CallError:
        return audit
    observations = (*audit.observations, *notes)
    return replace(audit, findings=(found, *audit.findings[1:]), observations=observations, telling=telling)


def _locate(sample: Sample, request: int, before: Evidence, found_after: int) -> None:
    """Draw until the departure is located: more, if it is behind the first token, for one that is small before it."""
    whole, batched = sample.budget, sample.caller.batched
    sample.budget = part = whole.part(whole.left // OF_BUDGET, whole.seconds_left / OF_BUDGET)
    sample.grow(min(max(LOCATED[batched], 4 * found_after), part.left))
    if departure(sample.evidence(request, before)) != 0:
        sample.grow(min(LOCATED_LATER[batched], part.left))
    sample.budget = whole


def _placed(finding: Finding, evidence: Evidence, run: CaseRun) -> Finding:
    """The finding with where the law departs, behind what it says of its place already."""
    first = departure(evidence)
    place = place_text(first, evidence, run.drawing, finding.request, run.undrafted > 0)
    if first is None or not finding.pattern:
        return finding
    kept = finding.place.split("; the law departs")[0] if finding.sign is Sign.LENGTH else ""
    return replace(finding, place="; ".join(filter(None, [kept, place])), departs=first + 1)


def _mechanism(
    sample: Sample, drawings: list[Drawing], trials: int, drafts: int | None, departs: int | None
) -> str:
    """The mistake of calling, or the known mechanism, in words; empty if none was told from the others."""
    caller, budget = sample.caller, sample.budget
    mistake = "" if caller.form is Form.GENERATE else misuse_of(caller, drawings, trials, budget, sample.rng)
    return mistake or likely_mechanism(sample, drawings[1:], drafts, departs)


def _untold(drawing: Drawing) -> list[Observation]:
    """That a loop whose draft is not known was not compared with any mechanism."""
    if drawing.form is not Form.GENERATE or known_draft(drawing.case.pair):
        return []
    return [Observation(Trait.NOT_COMPARED, "the draft's rows are not known: draft and drafts, --draft and --drafts, "
                        "tell them")]  # fmt: skip


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


def _other_rows(finding: Finding, drawing: Drawing, sample: Sample, named: bool) -> list[Observation]:
    """That rows computed in another way may part the texts of a loop, where they are as likely as a wrong rule.

    At temperature 0 any near-tie does so; above it rows that differ by little, where no mechanism is named.
    """
    if drawing.form is not Form.GENERATE:
        return []
    law = mean_law(drawing)
    if finding.sign is Sign.IMPOSSIBLE and law.max() > 1.0 - CERTAIN:
        tokens = " ".join("*" if token is None else str(token) for token in finding.pattern)
        return [Observation(Trait.NEAR_TIE, f"string {tokens}; {TELL_ROWS}")]
    apart = float(np.abs(sample.together / max(1, sample.trials) - law).sum() / 2.0)
    if named or finding.sign is Sign.IMPOSSIBLE or apart > NEAR * drawing.length:
        return []
    return [Observation(Trait.NEAR_ROWS, f"total variation {apart:.2g} over {drawing.length} tokens; {TELL_ROWS}")]
