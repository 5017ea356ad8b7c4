"""One case under audit: its trials, its evidence by request, what it shows of the callable."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from veridraft.theory.bounds.tree import tree_optimum
from veridraft.theory.policies.base import Delayed, Policy
from veridraft.theory.rows.distributions import NO_TOKEN

from ..batches.rows import Ints
from ..forms.calls import Caller, check_vocabulary
from ..forms.drawing import Drawing, drafted, string_law
from ..forms.form import Form
from ..forms.trials import decided
from .evidence import Evidence
from .verdict import CaseResult, Finding, Sign

FIRST_LOOK = 64
"""Trials of a case before it is first looked at; then it is looked at whenever it has a fifth more."""

BETWEEN_LOOKS = {False: 256, True: 16_384}
"""Trials between two looks at the clock, one call each and batched in one call."""

WATCHED = 1024
"""Trials of a case in which it is seen whether inputs are written to."""


class CaseRun:
    """One case under audit: its draws, its evidence by request, the strings so far."""

    def __init__(self, caller: Caller, drawing: Drawing, level: float, rng: np.random.Generator) -> None:
        self.caller, self.drawing, self.rng = caller, drawing, rng
        self.evidence = [
            Evidence(string_law(tables), drawing.vocabulary_size, level, _optimum(drawing, context))
            for tables, context in zip(drawing.tables, drawing.case.contexts, strict=True)
        ]
        self.undrafted, self.mutated, self.outside = 0, set[int](), 0

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
        return self.drawing.whole_rounds(max(FIRST_LOOK, self.trials // 5))

    def step(self, asked: int, late: Callable[[], bool]) -> None:
        """Run that many trials and look; fewer if it is late."""
        done = 0
        chunk = min(self.drawing.chunk, BETWEEN_LOOKS[self.caller.batched])
        while done < asked and not (done and late()):
            size = min(asked - done, self.drawing.whole_rounds(chunk))
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
        written = self.mutated if self.trials < WATCHED else None
        tokens = decided(self.caller, inputs, self.rng, self.drawing.length, written)
        if paths is not None:
            self.undrafted += int((~drafted(tokens, paths)).sum())
        return tokens

    def results(self) -> list[CaseResult]:
        """What was seen, by request."""
        return [self._result(request) for request in range(self.drawing.requests) if self.evidence[request].trials]

    def _result(self, request: int) -> CaseResult:
        evidence, case = self.evidence[request], self.drawing.case
        drafts = self.caller.form is not Form.GENERATE
        mean = evidence.mean_acceptance_length if drafts else None
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
            seen = evidence.optimum or 0.0, evidence.mean_acceptance_length, evidence.trials, evidence.error
            return Finding(Sign.LENGTH, name, request, (), *seen)
        sign = Sign.FREQUENCY if cell.expected > 0 else Sign.IMPOSSIBLE
        error = evidence.error if cell.expected > 0 else 0.0
        place = _place(evidence.first_departure(), self.drawing.length)
        return Finding(sign, name, request, cell.pattern, cell.expected, cell.observed, cell.trials, error, place)

    def _padding(self) -> Finding:
        observed = self.outside / max(1, self.trials)
        return Finding(Sign.IMPOSSIBLE, self.drawing.case.name, 0, (), 0.0, observed, self.trials, 0.0,
                       place=f"a token of the padding, {self.drawing.vocabulary_size} or above")  # fmt: skip


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
    before = "" if first == 0 else "; nothing is seen before it"
    last = ", which stands behind a draft accepted whole" if first == length - 1 and first else ""
    return f"the law departs at token {first + 1} of {length}{last}{before}"
