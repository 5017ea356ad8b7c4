"""The auditor: is this verifier, seen from outside, lossless?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from veridraft.theory import Delayed, Policy, tree_optimum
from veridraft.theory.distributions import NO_TOKEN, check_count

from .calls import Caller, changed, check_vocabulary
from .cases import Case
from .choice import chosen_cases
from .diagnosis import likely_mechanism
from .drawing import Drawing, drafted, string_law
from .evidence import Evidence
from .forms import Form, check_form
from .guard import CallError, Guard
from .intervals import check_level
from .montecarlo import Progress
from .rows import Ints
from .traits import seen_by_replay
from .verdict import Audit, CaseResult, Failure, Finding, Observation, Sign, Trait, Verdict

TRIALS = {False: 200_000, True: 2_000_000}
"""Trials of an audit that says nothing of them, one at a time and batched."""

FIRST_LOOK = 64
"""Trials of a case before it is first looked at; then it is looked at whenever it has a fifth more."""

CHUNK = {False: 256, True: 16_384}
"""Trials between two looks at the clock, one call each and batched in one call."""

WATCHED = 1024
"""Trials of a case in which it is seen whether inputs are written to."""


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
    seed: int = 0,
    progress: Progress | None = None,
) -> Audit:
    """The evidence on whether a verifier preserves the target's law of strings.

    Drafts are drawn, the verifier is called, and what it emits, completed by the target to strings of L + 1 tokens,
    is held against the target's law: see :mod:`veridraft.simulate.evidence` for the test, which stops as soon as it
    can tell and is valid whenever it stops.

    Parameters
    ----------
    verifier, form, batched : a callable under a contract of :mod:`veridraft.simulate.forms`
    arrays, dtype : "numpy" or "torch", and the name of the rows' type
    cases : the instances to try; by default those of :func:`veridraft.simulate.cases.default_cases`
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
    seed : from which all randomness comes
    progress : told after each look (trials done, trials asked for)

    Raises ``ValueError`` and ``TypeError`` for what is asked wrongly, before any call.  What the callable does wrongly
    is not raised but said in the result: verdict ERROR.  Raises :class:`AuditInterrupted` on Ctrl-C.
    """
    kind = Form(form) if isinstance(form, Form) else check_form_name(form)
    caller = Caller(verifier, kind, batched, arrays, dtype, Guard(call_seconds))
    chosen = chosen_cases(kind, batched, cases, policy, target, length)
    asked = check_count("trials", TRIALS[batched] if trials is None else trials, 1)
    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds must be above 0, but is {seconds}")
    share = check_level("level", level) / sum(case.requests for case in chosen)
    streams = np.random.SeedSequence(check_count("seed", seed, 0)).spawn(len(chosen) + 1)
    runs = [
        _Run(caller, Drawing(case, kind, multiplicity, pad_to), share, np.random.default_rng(stream))
        for case, stream in zip(chosen, streams[:-1], strict=True)
    ]
    whole = _Whole(caller, runs, level, asked, seconds, seed, progress)
    return whole.run(np.random.default_rng(streams[-1]))


def check_form_name(form: str) -> Form:
    """The form of that name; raises ``ValueError`` that lists the names."""
    return check_form(form, Delayed(1, 0, 1))


class _Run:
    """One case under audit: its draws, its evidence by request, the strings so far."""

    def __init__(self, caller: Caller, drawing: Drawing, level: float, rng: np.random.Generator) -> None:
        self.caller, self.drawing, self.rng = caller, drawing, rng
        self.evidence = [
            Evidence(string_law(tables), drawing.vocabulary_size, level, _optimum(drawing, context))
            for tables, context in zip(drawing.tables, drawing.case.contexts, strict=True)
        ]
        self.undrafted, self.mutated, self.outside = 0, frozenset[int](), 0

    @property
    def trials(self) -> int:
        """Trials of all requests."""
        return sum(evidence.trials for evidence in self.evidence)

    @property
    def log_e(self) -> float:
        """The largest evidence of a request."""
        return max(evidence.log_e for evidence in self.evidence)

    @property
    def rejects(self) -> bool:
        """Whether a request's evidence suffices."""
        return self.outside > 0 or any(evidence.rejects for evidence in self.evidence)

    @property
    def next_step(self) -> int:
        """How many trials lead to the next look: a fifth more, whole rounds of requests."""
        requests = self.drawing.requests
        return -(-max(FIRST_LOOK, self.trials // 5) // requests) * requests

    def step(self, asked: int, late: Callable[[], bool]) -> None:
        """Run that many trials and look; fewer if it is late."""
        done = 0
        chunk = min(self.drawing.chunk, CHUNK[self.caller.batched])
        while done < asked and not (done and late()):
            size = min(asked - done, -(-chunk // self.drawing.requests) * self.drawing.requests)
            self._chunk(size)
            done += size
        for evidence in self.evidence:
            evidence.look(planned=done == asked)

    def _chunk(self, trials: int) -> None:
        """Run and count some trials."""
        tokens = self._emitted(trials)
        check_vocabulary(tokens, self.drawing.columns)
        inside = (tokens < self.drawing.vocabulary_size).all(axis=1)
        self.outside += int((~inside).sum())
        tokens[~inside] = np.where(np.arange(tokens.shape[1]) == 0, 0, NO_TOKEN)
        strings, accepted = self.drawing.complete(tokens, self.rng)
        for request, evidence in enumerate(self.evidence):
            mine = slice(request, None, self.drawing.requests)
            evidence.count(strings[mine], accepted[mine])

    def _emitted(self, trials: int) -> Ints:
        """The emitted tokens (T, L + 1) of some trials."""
        if self.caller.form is Form.GENERATE:
            return self.caller.generate(trials, self.rng, self.drawing.length)
        inputs, paths = self.drawing.draw(trials, self.rng)
        tokens = np.full((trials, self.drawing.length), NO_TOKEN, dtype=np.int64)
        for one in inputs:
            before = self.caller.handed(one.arrays) if self.trials < WATCHED else ()
            tokens[one.trials], after = self.caller.decide(one, self.rng, self.drawing.length)
            self.mutated |= frozenset(changed(before, after)) if before else frozenset()
        if paths is not None:
            self.undrafted += int((~drafted(tokens, paths)).sum())
        return tokens

    def results(self) -> list[CaseResult]:
        """What was seen, by request."""
        return [self._result(request) for request in range(self.drawing.requests) if self.evidence[request].trials]

    def _result(self, request: int) -> CaseResult:
        evidence, case = self.evidence[request], self.drawing.case
        drafts = self.caller.form is not Form.GENERATE
        mean = float(evidence.depths @ np.arange(len(evidence.depths)) / evidence.trials) if drafts else None
        return CaseResult(
            case.name, request, case.policy.name if drafts else "", self.drawing.vocabulary_size, self.drawing.length,
            evidence.trials, evidence.log_e, evidence.total_variation, evidence.smallest_total_variation,
            evidence.needed, mean, evidence.optimum, evidence.level, evidence.law, evidence.counts,
        )  # fmt: skip

    def findings(self) -> list[Finding]:
        """A counterexample for each request that is lossy."""
        found = [self._finding(request) for request, evidence in enumerate(self.evidence) if evidence.rejects]
        return found + ([self._padding()] if self.outside else [])

    def _finding(self, request: int) -> Finding:
        evidence, name = self.evidence[request], self.drawing.case.name
        cell = evidence.most_telling()
        if evidence.length_exceeds() and cell.expected > 0:
            mean = float(evidence.depths @ np.arange(len(evidence.depths)) / evidence.trials)
            seen = evidence.optimum or 0.0, mean, evidence.trials, evidence.error
            return Finding(Sign.LENGTH, name, request, (), *seen)
        sign = Sign.FREQUENCY if cell.expected > 0 else Sign.IMPOSSIBLE
        error = evidence.error if cell.expected > 0 else 0.0
        seen = cell.pattern, cell.expected, cell.observed, cell.trials, error
        return Finding(sign, name, request, *seen, place=_place(evidence.first_departure(), self.drawing.length))

    def _padding(self) -> Finding:
        observed = self.outside / max(1, self.trials)
        return Finding(Sign.IMPOSSIBLE, self.drawing.case.name, 0, (), 0.0, observed, self.trials, 0.0,
                       place=f"a token of the padding, {self.drawing.vocabulary_size} or above")  # fmt: skip


class _Whole:
    """All cases of an audit: which is tried next, when to stop, what to say."""

    def __init__(
        self, caller: Caller, runs: list[_Run], level: float, asked: int, seconds: float | None, seed: int,
        progress: Progress | None,
    ) -> None:  # fmt: skip
        self.caller, self.runs, self.level, self.asked = caller, runs, level, asked
        self.seconds, self.seed, self.progress = seconds, seed, progress
        self.start = time.monotonic()
        self.failure: Failure | None = None
        self.observations: list[Observation] = []

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
        except KeyboardInterrupt:
            raise AuditInterrupted(self._result(cut_short=True)) from None
        return self._result(cut_short=self.late())

    def _try_all(self, rng: np.random.Generator) -> None:
        current = self.runs[0]
        try:
            self.observations += seen_by_replay(self.caller, current.drawing, rng, self.late)
            for turn in range(10**9):
                fitting = [run for run in self.runs if run.next_step <= self.asked - self.trials]
                if not fitting or self.late() or any(run.rejects for run in self.runs):
                    return
                current = _next(fitting, turn)
                current.step(current.next_step, self.late)
                if self.progress:
                    self.progress(min(self.trials, self.asked), self.asked)
        except CallError as failure:
            self.failure = Failure(failure.fault, current.drawing.case.name, str(failure))

    def _result(self, cut_short: bool) -> Audit:
        seconds = time.monotonic() - self.start
        findings = sorted((found for run in self.runs for found in run.findings()), key=lambda found: found.error)
        if findings and not cut_short:
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
        return likely_mechanism(self.caller, [run.drawing for run in order], order[0].trials, rng)

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


def _next(runs: list[_Run], turn: int) -> _Run:
    """The case to try next: in turn the one of fewest trials, and the one of largest evidence if there is any."""
    leader = max(runs, key=lambda run: run.log_e)
    if turn % 2 and leader.log_e > 0:
        return leader
    return min(runs, key=lambda run: run.trials)


def _optimum(drawing: Drawing, context: tuple[int, ...]) -> float | None:
    """The greatest E[tau] of a lossless verifier, where independent paths are drawn."""
    policy: Policy = drawing.case.policy
    if drawing.form is Form.GENERATE or drawing.case.lengths is not None or not isinstance(policy, Delayed):
        return None
    if drawing.vocabulary_size**policy.depth > 2_000:
        return None
    return float(tree_optimum(policy, drawing.case.pair.as_float(), context).upper) - 1.0


def _place(first: int | None, length: int) -> str:
    """Where the law departs, in words."""
    if first is None:
        return ""
    before = "" if first == 0 else f"; the {first} before it show nothing by themselves"
    last = ", which stands behind a draft accepted whole" if first == length - 1 and first else ""
    return f"the law departs at token {first + 1} of {length}{last}{before}"


def _name(verifier: Callable[..., Any]) -> str:
    module, name = getattr(verifier, "__module__", None), getattr(verifier, "__qualname__", None)
    if name is None:
        return type(verifier).__qualname__
    return f"{module}.{name}" if module and module != "__main__" else name
