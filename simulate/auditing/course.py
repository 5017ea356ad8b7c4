"""The course of an audit: which case is tried next, when to stop, what is looked at beside the law, what is said."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from ..batches.intervals import Progress
from ..forms.calls import Caller
from ..forms.form import Form
from ..forms.guard import CallError, Fault
from .budget import Budget
from .case_run import FIRST_LOOK, CaseRun
from .chosen.uniforms import DRAFTS, MOST_CALLS, REPEATS, ChosenFinding
from .chosen.uniforms import chosen_uniforms as try_chosen_uniforms
from .explaining.explanation import explained
from .explaining.misuse import misuse_of
from .explaining.other_ways import other_way
from .faulty import faulty_rows
from .findings import Failure, Finding, Observation, Sign, Trait
from .traits import seen_by_replay
from .verdict import Audit, Verdict

LEADING = 2.0
"""A case with a larger log e is tried more often; a lossless verifier gets there in one case of seven at most."""

BESIDE = 20
"""One trial in so many may be replayed, and as many be given chosen uniforms."""

LEAST_REPLAYED = 240
"""Or so many trials may be replayed, if that is more, and no third of all."""

NEVER = 20.0
"""Where token-wise verification would have kept so many first drafts, a verifier that kept none is noted."""

SOME = 8
"""Where so many drafts came back with nothing behind them, and none with a token more, that is noted."""

Told = Callable[[Audit], None]
"""Told the audit as it stands when the verdict is reached, before it is explained."""


class AuditInterrupted(KeyboardInterrupt):
    """An audit was interrupted (Ctrl-C); ``partial`` holds what was seen until then."""

    def __init__(self, partial: Audit) -> None:
        super().__init__(f"interrupted after {partial.trials} trials; what was seen is kept in .partial")
        self.partial = partial


@dataclass(frozen=True)
class Wishes:
    """What is asked of an audit beside its cases; the arguments of ``audit`` by the same names."""

    level: float
    trials: int
    exhaustive: bool
    seed: int
    chosen_uniforms: bool
    mechanism: bool
    drafts: int | None
    second: Sequence[Any]
    faulty_rows: bool
    progress: Progress | None
    told: Told | None


class Course:
    """One audit, from the first call to the result."""

    def __init__(self, caller: Caller, runs: list[CaseRun], wishes: Wishes, seconds: float | None) -> None:
        self.caller, self.runs, self.wishes = caller, runs, wishes
        self.budget = Budget(caller.pace, wishes.trials, seconds)
        self.failure: Failure | None = None
        self.observations: list[Observation] = []
        self.chosen: list[Finding] = []
        self.cut_short = self._replayed = False
        self._reserved = self._for_chosen_uniforms()
        time = self.budget.seconds_left * (1 - 1 / BESIDE if self._reserved else 1.0)
        self.judging = self.budget.part(wishes.trials - self._reserved, time)

    @property
    def trials(self) -> int:
        """Judged so far."""
        return sum(run.trials for run in self.runs)

    @property
    def rejects(self) -> bool:
        """Whether the evidence of a case suffices."""
        return any(run.rejects for run in self.runs)

    def run(self, rng: np.random.Generator) -> Audit:
        """The result."""
        reached: Audit | None = None
        try:
            self._try_all(rng)
            self.cut_short = self.judging.late()
            reached = self._result()
            if self.wishes.told:
                self.wishes.told(reached)
            return self._explained(reached, rng)
        except KeyboardInterrupt:
            self.cut_short = True
            raise AuditInterrupted(reached or self._result()) from None

    def _try_all(self, rng: np.random.Generator) -> None:
        current = self.runs[0]
        try:
            for current in self._order():
                first = not self.trials
                requests = current.drawing.requests
                asked = min(current.next_step, self.judging.left // requests * requests)
                current.step(asked, self._late_for(current))
                if first and not self.rejects:
                    self.observations += self._seen_by_replay(current, rng)
                    if self.wishes.faulty_rows:
                        self.observations += faulty_rows(self.caller, current.drawing, rng)
                if self.wishes.progress:
                    self.wishes.progress(min(self.trials, self.wishes.trials), self.wishes.trials)
            if self.wishes.chosen_uniforms and not self.rejects:
                self._choose_uniforms(rng)
        except CallError as failure:
            self.failure = self._failed(failure, current, rng)

    def _order(self) -> Iterator[CaseRun]:
        """The case to try next, again and again: all of them once, then as :func:`_next` says."""
        share = max(1, (self.judging.left - self._replayable) // len(self.runs))
        for run in self.runs:
            run.first = min(FIRST_LOOK, share)
        for turn in count():
            untried = [run for run in self.runs if not run.trials]
            fitting = [run for run in self.runs if run.drawing.requests <= self.judging.left]
            if not fitting or self.judging.late() or self.rejects:
                return
            yield untried[0] if untried else _next(fitting, turn)

    def _late_for(self, run: CaseRun) -> Callable[[], bool]:
        """When a step must end: in the first pass every case has its share of half the time that is left."""
        untried = sum(not other.trials for other in self.runs)
        if run.trials or self.judging.seconds_left == float("inf"):
            return self.judging.late
        return self.judging.part(self.judging.left, self.judging.seconds_left / (2 * untried)).late

    @property
    def _replayable(self) -> int:
        """How many trials may be replayed."""
        return max(self.wishes.trials // BESIDE, min(self.wishes.trials // 3, LEAST_REPLAYED))

    def _seen_by_replay(self, run: CaseRun, rng: np.random.Generator) -> list[Observation]:
        """What a few calls made again show."""
        part = self.budget.part(self._replayable, self.budget.seconds_left / BESIDE)
        self._replayed = True
        return seen_by_replay(self.caller, run.drawing, rng, part)

    def _for_chosen_uniforms(self) -> int:
        """Trials that are kept for chosen uniforms, which come last."""
        if not self.wishes.chosen_uniforms or self.caller.arrays != "numpy":
            return 0
        return min(self.wishes.trials // BESIDE, MOST_CALLS * sum(run.drawing.requests for run in self.runs))

    def _choose_uniforms(self, rng: np.random.Generator) -> None:
        """Every case once more with chosen uniforms: what chance hardly shows."""
        not_injected: set[str] = set()
        unreached = 0
        for place, run in enumerate(self.runs):
            share = len(self.runs) - place
            part = self.budget.part(self.budget.left // share, self.budget.seconds_left / share)
            repeats = max(1, min(REPEATS, self.caller.pace.chunk // (DRAFTS * run.drawing.requests)))
            seen = try_chosen_uniforms(self.caller, run.drawing, rng, drafts=DRAFTS, repeats=repeats, left=part.allows)
            not_injected.update(seen.not_injected)
            self._keep_chosen(seen.findings, run.drawing.case.exposes)
            if seen.calls and not seen.uniforms:
                not_injected.update(() if seen.not_injected else ("no uniforms asked for",))
                break
            unreached += not seen.calls and self.caller.arrays == "numpy"
        if not_injected:
            self.observations.append(Observation(Trait.NOT_INJECTABLE, ", ".join(sorted(not_injected))))
        if unreached:
            detail = f"in {unreached} of {len(self.runs)} cases neither trials nor time were left for it"
            self.observations.append(Observation(Trait.NOT_CHOSEN_FOR, detail))

    def _keep_chosen(self, found: Sequence[ChosenFinding], exposes: str) -> None:
        """An impossible string by one chosen uniform at most is a finding; anything else is an observation."""
        for one in found:
            if one.fault is None and one.essential is not None and len(one.essential) <= 1:
                self.chosen.append(Finding(Sign.CHOSEN_UNIFORMS, one.case, one.request, one.emitted, 0.0, 1.0, 1, 0.0,
                                           place=one.text(), exposes=exposes))  # fmt: skip
            elif Trait.FAILS_AT_CHOSEN not in {seen.trait for seen in self.observations}:
                self.observations.append(Observation(Trait.FAILS_AT_CHOSEN, f"case {one.case}: {one.text()}"))

    def _failed(self, failure: CallError, run: CaseRun, rng: np.random.Generator) -> Failure:
        """What went wrong, and what would help, if that can be found out."""
        cause = failure.__cause__
        lines = traceback.format_exception(cause) if isinstance(cause, BaseException) else []
        detail = str(failure)
        if failure.fault is not Fault.TIMED_OUT:
            detail += self._help(failure.fault, run, rng)
        return Failure(failure.fault, run.drawing.case.name, detail, "".join(lines))

    def _help(self, fault: Fault, run: CaseRun, rng: np.random.Generator) -> str:
        """What the callable may have wanted, behind what went wrong; empty if nothing is likely."""
        if not self.trials and (way := other_way(self.caller, run.drawing, rng)):
            return f"; did you mean {way}?"
        if fault is Fault.OUTSIDE_VOCABULARY and self.caller.form is not Form.GENERATE:
            mistake = misuse_of(self.caller, [run.drawing], run.trials, self.budget, rng)
            return f"; likely {mistake}" if mistake else ""
        return ""

    def _result(self) -> Audit:
        findings = sorted((found for run in self.runs for found in run.findings()), key=lambda found: found.error)
        findings += self.chosen[:1]
        notes = [*self.observations, *self._notes()]
        return Audit(
            _name(self.caller.verifier), self.caller.form.value, self._verdict(bool(findings)), self.wishes.level,
            tuple(findings), self.failure, tuple(notes), tuple(result for run in self.runs for result in run.results()),
            self.trials, self.caller.pace.trials - self.trials, self.budget.seconds, self.wishes.seed,
            tuple(run.drawing.case.name for run in self.runs if not run.trials),
        )  # fmt: skip

    def _explained(self, reached: Audit, rng: np.random.Generator) -> Audit:
        """The audit with the place, the likely mistake or mechanism and a telling trial of its first finding."""
        if reached.verdict is not Verdict.LOSSY or not self.wishes.mechanism or self.cut_short:
            return reached
        if reached.findings[0].sign is Sign.CHOSEN_UNIFORMS:
            return reached
        audit = explained(reached, self.caller, self.runs, self.wishes, self.budget, rng)
        with suppress(CallError):
            notes = () if self._replayed else self._seen_by_replay(self.runs[0], rng)
            audit = replace(audit, observations=(*audit.observations, *notes))
        return replace(audit, further=self.caller.pace.trials - self.trials)

    def _verdict(self, lossy: bool) -> Verdict:
        if lossy:
            return Verdict.LOSSY
        if self.failure:
            return Verdict.ERROR
        unfinished = self.cut_short and (self.wishes.exhaustive or any(not run.trials for run in self.runs))
        return Verdict.UNDECIDED if unfinished else Verdict.NO_DEFECT_FOUND

    def _notes(self) -> list[Observation]:
        """What the cases saw of the callable beside its law."""
        between = ("parents",) if self.caller.form is Form.TREE else ()
        names = ("target", "draft", *between, "tokens")
        mutated = sorted({place for run in self.runs for place in run.mutated})
        undrafted, short = (sum(getattr(run, what) for run in self.runs) for what in ("undrafted", "ended_early"))
        bare, beyond = (sum(getattr(run, what) for run in self.runs) for what in ("bare", "beyond"))
        acceptable = sum(run.acceptable for run in self.runs)
        end = "; a token that ends texts is told by end, --end" if self.runs[0].drawing.case.end is None else ""
        said = {
            Trait.MUTATES_INPUTS: ", ".join(names[place] for place in mutated),
            Trait.UNDRAFTED: f"in {undrafted:,} of {self.trials:,} trials" if undrafted else "",
            Trait.ENDS_EARLY: f"{short:,} of {self.trials:,}{end}" if short else "",
            Trait.NEVER_ACCEPTS: f"token-wise verification would have kept {acceptable:,.0f} first drafts"
            if acceptable >= NEVER and not any(run.accepted for run in self.runs) else "",
            Trait.NO_BONUS: f"{bare:,} of {self.trials:,} answers" if bare >= SOME and not beyond else "",
        }  # fmt: skip
        return [Observation(trait, detail) for trait, detail in said.items() if detail]


def _next(runs: list[CaseRun], turn: int) -> CaseRun:
    """The case to try next: in turn the one of fewest trials, and the one of largest evidence.

    The latter only while its evidence is more than chance gives easily, and it has at most half of all trials.
    """
    leader = max(runs, key=lambda run: run.log_e)
    if turn % 2 and leader.log_e > LEADING and 2 * leader.trials <= sum(run.trials for run in runs):
        return leader
    return min(runs, key=lambda run: run.trials)


def _name(verifier: Callable[..., Any]) -> str:
    module, name = getattr(verifier, "__module__", None), getattr(verifier, "__qualname__", None)
    if name is None:
        return type(verifier).__qualname__
    return f"{module}.{name}" if module and module != "__main__" else name
