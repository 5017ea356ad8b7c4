"""The auditor: is this verifier, seen from outside, lossless?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from veridraft.theory.policies.base import Policy
from veridraft.theory.rows.distributions import check_count

from ..batches.intervals import Progress, check_level
from ..forms.calls import Caller
from ..forms.cases import Case, chosen_cases
from ..forms.drawing import Drawing
from ..forms.form import Form, form_named
from ..forms.guard import CallError, Guard
from .case_run import CaseRun
from .chosen.uniforms import ChosenFinding
from .chosen.uniforms import chosen_uniforms as try_chosen_uniforms
from .diagnosis import likely_mechanism
from .traits import seen_by_replay
from .verdict import Audit, Failure, Finding, Observation, Sign, Trait, Verdict

TRIALS = {False: 200_000, True: 2_000_000}
"""Trials of an audit that says nothing of them, one at a time and batched."""


LEADING = 2.0
"""A case with a larger log e is tried more often; a lossless verifier gets there in one case of seven at most."""


class AuditInterrupted(KeyboardInterrupt):
    """An audit was interrupted (Ctrl-C); ``partial`` holds what was seen until then."""

    def __init__(self, partial: Audit) -> None:
        super().__init__(f"interrupted after {partial.trials} trials; what was seen is kept in .partial")
        self.partial = partial


def audit(
    verifier: Callable[..., Any],
    form: str | Form = "chain",
    *,
    batched: bool = False,
    arrays: str = "numpy",
    dtype: str = "float64",
    cases: Sequence[Case] | None = None,
    policy: Policy | str | None = None,
    target: Any = None,
    length: int | None = None,
    multiplicity: bool = True,
    pad_to: int | None = None,
    level: float = 1e-6,
    trials: int | None = None,
    seconds: float | None = None,
    call_seconds: float | None = 10.0,
    chosen_uniforms: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Audit:
    """The evidence on whether a verifier preserves the target's law of strings.

    Drafts are drawn, the verifier is called, and what it emits, completed by the target to strings of L + 1 tokens,
    is held against the target's law: see :mod:`.evidence` for the test, which stops as soon as it
    can tell and is valid whenever it stops.

    Parameters
    ----------
    verifier, form, batched : a callable under a contract of :mod:`veridraft.simulate.forms.form`
    arrays, dtype : "numpy" or "torch", and the name of the rows' type; the law that strings are held against is that
        of the rows in float64, so that rows in a coarse type are a deviation by themselves
    cases : the instances to try; by default those of :func:`veridraft.simulate.forms.cases.default_cases`
    policy : instead of cases: how drafts are drawn (a policy, or a text such as "Static(2x2)"), on the rows of the
        default cases that it fits
    target, length : instead of cases, in the form ``generate``, which knows its own models: what has
        ``vocabulary_size`` and ``target_row(context)``, the law that strings of ``length`` tokens are judged against
    multiplicity : in the form ``tree``, whether equal siblings are repeated nodes (True) or one node
    pad_to : rows are padded with zeros up to this many columns
    level : the probability with which a lossless verifier is called lossy, at most; split over cases and requests
    trials : how many in all, at most (200,000; batched 2,000,000)
    seconds : stop after about this long; without a finding the verdict is then UNDECIDED
    call_seconds : the time limit of one call; ``None`` for none
    chosen_uniforms : try the extreme uniforms too, if the callable takes a NumPy generator and nothing else was found
    seed : from which all randomness comes
    progress : told after each look (trials done, trials asked for)

    Raises ``ValueError`` and ``TypeError`` for what is asked wrongly, before any call.  What the callable does wrongly
    is not raised but said in the result: verdict ERROR.  Raises :class:`AuditInterrupted` on Ctrl-C.
    """
    kind = form_named(form)
    caller = Caller(verifier, kind, batched, arrays, dtype, Guard(call_seconds))
    chosen = chosen_cases(kind, batched, cases, policy, target, length)
    asked = check_count("trials", TRIALS[batched] if trials is None else trials, 1)
    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds must be above 0, but is {seconds}")
    share = check_level("level", level) / sum(case.requests for case in chosen)
    streams = np.random.SeedSequence(check_count("seed", seed, 0)).spawn(len(chosen) + 1)
    runs = [
        CaseRun(caller, Drawing(case, kind, multiplicity, pad_to), share, np.random.default_rng(stream))
        for case, stream in zip(chosen, streams[:-1], strict=True)
    ]
    whole = _Whole(caller, runs, level, asked, seconds, seed, progress, chosen_uniforms)
    return whole.run(np.random.default_rng(streams[-1]))


class _Whole:
    """All cases of an audit: which is tried next, when to stop, what to say."""

    def __init__(
        self, caller: Caller, runs: list[CaseRun], level: float, asked: int, seconds: float | None, seed: int,
        progress: Progress | None, chooses: bool,
    ) -> None:  # fmt: skip
        self.caller, self.runs, self.level, self.asked, self.chooses = caller, runs, level, asked, chooses
        self.seconds, self.seed, self.progress = seconds, seed, progress
        self.start = time.monotonic()
        self.failure: Failure | None = None
        self.observations: list[Observation] = []
        self.chosen: list[Finding] = []

    @property
    def trials(self) -> int:
        """Done so far."""
        return sum(run.trials for run in self.runs)

    def late(self) -> bool:
        """Whether the time is over."""
        return self.seconds is not None and time.monotonic() - self.start > self.seconds

    def run(self, rng: np.random.Generator) -> Audit:
        """The result."""
        try:
            self._try_all(rng)
            return self._result(cut_short=self.late())
        except KeyboardInterrupt:
            raise AuditInterrupted(self._result(cut_short=True)) from None

    def _try_all(self, rng: np.random.Generator) -> None:
        current = self.runs[0]
        try:
            self.observations += seen_by_replay(self.caller, current.drawing, rng, self.late)
            for turn in count():
                fitting = [run for run in self.runs if run.next_step <= self.asked - self.trials]
                if not fitting or self.late() or any(run.rejects for run in self.runs):
                    break
                current = _next(fitting, turn)
                current.step(current.next_step, self.late)
                if self.progress:
                    self.progress(min(self.trials, self.asked), self.asked)
            if self.chooses and not self.late() and not any(run.rejects for run in self.runs):
                self._choose_uniforms(rng)
        except CallError as failure:
            self.failure = Failure(failure.fault, current.drawing.case.name, str(failure))

    def _choose_uniforms(self, rng: np.random.Generator) -> None:
        """Every case once more with chosen uniforms: what chance hardly shows."""
        not_injected: set[str] = set()
        for run in self.runs:
            if self.late():
                return
            seen = try_chosen_uniforms(self.caller, run.drawing, rng)
            not_injected.update(seen.not_injected if seen.uniforms else seen.not_injected or ("no uniforms asked for",))
            self._keep_chosen(seen.findings)
        if not_injected:
            self.observations.append(Observation(Trait.NOT_INJECTABLE, ", ".join(sorted(not_injected))))

    def _keep_chosen(self, found: Sequence[ChosenFinding]) -> None:
        """An impossible string by one chosen uniform at most is a finding; anything else is an observation."""
        for one in found:
            if one.fault is None and one.essential is not None and len(one.essential) <= 1:
                self.chosen.append(Finding(Sign.CHOSEN_UNIFORMS, one.case, one.request, one.emitted, 0.0, 1.0, 1, 0.0,
                                           place=one.text()))  # fmt: skip
            elif Trait.FAILS_AT_CHOSEN not in {seen.trait for seen in self.observations}:
                self.observations.append(Observation(Trait.FAILS_AT_CHOSEN, f"case {one.case}: {one.text()}"))

    def _result(self, cut_short: bool) -> Audit:
        seconds = time.monotonic() - self.start
        findings = sorted((found for run in self.runs for found in run.findings()), key=lambda found: found.error)
        findings += self.chosen[:1]
        if findings and findings[0].sign is not Sign.CHOSEN_UNIFORMS and not cut_short:
            findings[0] = replace(findings[0], mechanism=self._mechanism(findings[0].case))
        self._note_traits()
        return Audit(
            _name(self.caller.verifier), self.caller.form.value, self._verdict(bool(findings), cut_short), self.level,
            tuple(findings), self.failure, tuple(self.observations),
            tuple(result for run in self.runs for result in run.results()), self.trials,
            seconds, self.seed,
        )  # fmt: skip

    def _mechanism(self, case: str) -> str:
        """The likely mechanism, from the cases with the most evidence, the one that was found lossy first."""
        order = sorted(self.runs, key=lambda run: (run.drawing.case.name != case, -run.log_e, -run.drawing.length))
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(0, 0)))
        first = max((evidence.first_departure() for evidence in order[0].evidence if evidence.rejects), default=None,
                    key=lambda place: -1 if place is None else place)  # fmt: skip
        tokens = None if first is None else first + 1
        return likely_mechanism(self.caller, [run.drawing for run in order], order[0].trials, rng, tokens)

    def _verdict(self, lossy: bool, cut_short: bool) -> Verdict:
        if lossy:
            return Verdict.LOSSY
        if self.failure:
            return Verdict.ERROR
        return Verdict.UNDECIDED if cut_short else Verdict.NO_DEFECT_FOUND

    def _note_traits(self) -> None:
        """What the cases saw of the callable beside its law."""
        between = ("parents",) if self.caller.form is Form.TREE else ()
        names = ("target", "draft", *between, "tokens")
        mutated = sorted({place for run in self.runs for place in run.mutated})
        if mutated:
            detail = ", ".join(names[place] for place in mutated)
            self.observations.append(Observation(Trait.MUTATES_INPUTS, detail))
        undrafted = sum(run.undrafted for run in self.runs)
        if undrafted:
            self.observations.append(Observation(Trait.UNDRAFTED, f"in {undrafted:,} of {self.trials:,} trials"))


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


def assert_lossless(verifier: Callable[..., Any], form: str | Form = "chain", **options: Any) -> Audit:
    """The audit of a verifier in which no defect was found; ``AssertionError`` for every other verdict.

    The error's message is the audit's text: the counterexample if the verifier is lossy, and if the audit was cut
    short or the callable cannot be audited, that nothing was shown.  ``options`` are those of
    :func:`~veridraft.simulate.auditing.auditor.audit`, which raises ``ValueError`` or ``TypeError`` for wrong ones.
    """
    __tracebackhide__ = True
    result = audit(verifier, form, **options)
    if result.verdict is not Verdict.NO_DEFECT_FOUND:
        raise AssertionError(result.text())
    return result
