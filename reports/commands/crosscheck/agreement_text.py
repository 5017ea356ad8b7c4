"""What ``veridraft crosscheck --from`` prints: the comparisons, the answer, what it shows and what it does not."""

from __future__ import annotations

from typing import Any

from veridraft.gpu.engines.agreement.agreement import LengthAgreement, LengthDifference, LengthOutcome
from veridraft.gpu.engines.agreement.clusters import Unit
from veridraft.gpu.engines.agreement.predictions import LengthPrediction
from veridraft.gpu.engines.runs import EngineRun

from ...writing.markdown import text_table

HEADERS = ("", "observed", "predicted", "difference", "interval", "")


def agreement_text(run: EngineRun, prediction: LengthPrediction, agreement: LengthAgreement) -> str:
    """The answer as text: what was compared, a table, the distribution's test, the outcome, its limits."""
    rows = [_row(part) for part in (*agreement.positions, agreement.mean) if part is not None]
    lines = [
        f"Run: {run.format.value}, {run.steps} steps, {_requests(run)}, up to {run.spec_tokens} tokens drafted",
        f"Prediction: {prediction.origin}",
        f"Level: {agreement.level:g} for all comparisons together; independent: {agreement.units} {_unit(agreement)}",
        "",
        text_table(HEADERS, rows),
        "",
        _whole(agreement),
        _outcome(run, agreement),
        "",
        *(f"- {limit}" for limit in limits(run, prediction, agreement)),
    ]
    return "\n".join(lines)


def _requests(run: EngineRun) -> str:
    count = len(run.requests)
    if run.pooled:
        return f"counters of {count} engine{'s' * (count != 1)}"
    return f"{count} request{'s' * (count != 1)}"


def _unit(agreement: LengthAgreement) -> str:
    if agreement.paired:
        return "steps, given their trees"
    counted = f", counted as {agreement.units / agreement.design_effect:.4g}" if agreement.design_effect > 1 else ""
    return agreement.unit.value + counted


def _row(part: LengthDifference) -> tuple[str, ...]:
    says = "holds" if part.holds else "FAILS"
    says += f", {part.impossible} impossible" if part.impossible else ""
    return (part.name, f"{part.observed:.4f}", f"{part.predicted:.4f}", f"{part.difference:+.4f}",
            f"[{part.low:+.4f}, {part.high:+.4f}]", says)  # fmt: skip


def _whole(agreement: LengthAgreement) -> str:
    if agreement.whole is None:
        return "Whole distribution: not tested (two cells of 5 expected steps, of full drafts, are needed)"
    whole = agreement.whole
    says = "holds" if whole.holds else "FAILS"
    return f"Whole distribution: {whole.cells} cells, p = {whole.p_value:.2g}, fails below {whole.error:.2g}: {says}"


def _needed(run: EngineRun, widest: LengthDifference) -> str:
    """What would narrow an interval: more steps, unless it is wide because drafts of unknown steps were short."""
    if run.widths_known:
        return "more steps are needed"
    return (
        "drafts were of unequal lengths, and more steps cannot help while sums do not say in which steps; lengths step "
        "by step would (vLLM: --per-request-spec-decode-metrics detailed), or a run with one draft length"
    )


def _outcome(run: EngineRun, agreement: LengthAgreement) -> str:
    widest = max(agreement.positions, key=lambda position: position.half_width)
    if agreement.outcome is LengthOutcome.UNDECIDED:
        return (
            f"UNDECIDED: nothing fails, but {widest.name} is known to ±{widest.half_width:.3f} only, "
            f"not ±{agreement.within:g}: {_needed(run, widest)}"
        )
    if agreement.outcome is LengthOutcome.DISAGREES:
        return "DISAGREES"
    return f"AGREES: at any position an observed difference of {widest.half_width:.3f} would have failed"


def limits(run: EngineRun, prediction: LengthPrediction, agreement: LengthAgreement) -> tuple[str, ...]:
    """What the answer rests on and cannot show, in sentences."""
    return (
        *run.notes,
        *(note for note in prediction.notes if note not in run.notes),
        *_dependence(run, agreement),
        *_contexts(prediction, agreement),
        *_short_drafts(run, agreement),
        "Lengths alone were compared: which tokens were emitted, and so whether the engine is lossless, they do not "
        "show.",
    )


def _dependence(run: EngineRun, agreement: LengthAgreement) -> tuple[str, ...]:
    """About steps that depend on each other."""
    if agreement.paired:
        return ("The differences are those of the verifier's coins given each tree: nothing is assumed of the text.",)
    if run.pooled:
        return (
            "Counters are sums: as every step accepts a prefix they fix how many steps accepted each length, but not "
            "which steps belong to one request, nor how much those depend on each other: " + _counted(agreement),
        )
    if agreement.unit is Unit.STEPS:
        return (
            "Too few requests, and no order of steps, to see how steps depend on each other: " + _counted(agreement),
        )
    return (f"The intervals take {agreement.unit.value} as independent.",)


def _counted(agreement: LengthAgreement) -> str:
    effect = agreement.design_effect
    counted = f"{effect:g} steps count as one independent step" if effect > 1 else "each step counts as independent"
    return f"{counted} (--design-effect); if they depend more than that, a difference may be chance."


def _contexts(prediction: LengthPrediction, agreement: LengthAgreement) -> tuple[str, ...]:
    """About the texts on which prediction and run were made."""
    if agreement.paired:
        return ("Rows and lengths are of the same steps: a difference is the verifier's, or the rows are not those "
                "that it used.",)  # fmt: skip
    if prediction.steps == 0:
        return ("The given rates are taken as exact, and as those of this run's prompts.",)
    return ("The recorded steps are not matched to the run's: if their contexts are others, a difference can be one of "
        "prompts, temperature or model, not of the verifier.",)  # fmt: skip


def _short_drafts(run: EngineRun, agreement: LengthAgreement) -> tuple[str, ...]:
    """About steps that drafted less than the most."""
    if not run.missing or agreement.paired:
        return ()
    if run.widths_known:
        return ("Steps that drafted fewer tokens count at the positions that they drafted; mean and distribution are "
                "those of full drafts. That drafts are as good when they are short is assumed.",)  # fmt: skip
    return (f"{run.missing} tokens were drafted less than in full drafts, and the file does not say in which steps: "
            "the intervals cover every possibility, and mean and distribution are not compared.",)  # fmt: skip


def agreement_json(run: EngineRun, prediction: LengthPrediction, agreement: LengthAgreement) -> dict[str, Any]:
    """The same answer as JSON values."""
    whole, mean = agreement.whole, agreement.mean
    return {
        "outcome": agreement.outcome.value,
        "level": agreement.level,
        "within": agreement.within,
        "format": run.format.value,
        "steps": run.steps,
        "requests": None if run.pooled else len(run.requests),
        "histogram": run.histogram.tolist(),
        "prediction": prediction.origin,
        "independent": _unit(agreement),
        "design_effect": agreement.design_effect,
        "units": agreement.units,
        "positions": [_difference(part) for part in agreement.positions],
        "mean": None if mean is None else _difference(mean),
        "whole": None if whole is None else {"cells": whole.cells, "p_value": whole.p_value, "fails_below": whole.error,
                                             "holds": whole.holds},
        "limits": list(limits(run, prediction, agreement)),
    }  # fmt: skip


def _difference(part: LengthDifference) -> dict[str, Any]:
    return {
        "name": part.name,
        "observed": part.observed,
        "predicted": part.predicted,
        "difference": part.difference,
        "interval": [part.low, part.high],
        "steps": part.steps,
        "impossible_steps": part.impossible,
        "holds": part.holds,
    }
