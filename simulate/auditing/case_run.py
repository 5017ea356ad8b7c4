"""One case under audit: its trials, its evidence by request, what it shows of the callable."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from veridraft.theory.policies.paths import Delayed
from veridraft.theory.rows.distributions import NO_TOKEN

from ..batches.rows import Ints
from ..forms.calls import Caller, check_vocabulary
from ..forms.drawing import Drawing, drafted, string_law, token_wise_acceptance, whole
from ..forms.form import Form
from ..forms.trials import decided
from .case_result import CaseResult
from .evidence import Evidence
from .explaining.places import departure, place_text
from .findings import Finding, Sign

FIRST_LOOK = 64
"""Trials of a case before it is first looked at; then it is looked at whenever it has a fifth more."""

WATCHED = 1024
"""Trials of a case in which it is seen whether inputs are written to."""


class CaseRun:
    """One case under audit: its draws, its evidence by request, the strings so far."""

    def __init__(self, caller: Caller, drawing: Drawing, level: float, rng: np.random.Generator) -> None:
        self.caller, self.drawing, self.rng = caller, drawing, rng
        self.evidence = [
            Evidence(string_law(tables).reshape(drawing.shape), level, optimum)
            for tables, optimum in zip(drawing.tables, _optima(drawing), strict=True)
        ]
        self.undrafted, self.mutated, self.outside = 0, set[int](), 0
        self.ended_early, self.first = 0, FIRST_LOOK
        self.bare = self.beyond = 0

    @property
    def trials(self) -> int:
        """Trials of all requests."""
        return self.outside + sum(evidence.trials for evidence in self.evidence)

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
        return self.drawing.whole_rounds(max(self.first, self.trials // 5))

    def step(self, asked: int, late: Callable[[], bool]) -> None:
        """Run that many trials and look; fewer, but some, if it is late."""
        done = 0
        for size in self.caller.pace.chunks(asked, self.drawing.requests, self.drawing.chunk):
            if done and late():
                break
            self._chunk(size)
            done += size
        for evidence in self.evidence:
            evidence.look(planned=done >= asked)

    def _chunk(self, trials: int) -> None:
        """Run and count some trials."""
        tokens, accepted = self._emitted(trials)
        check_vocabulary(tokens, self.drawing.columns)
        inside = (tokens < self.drawing.vocabulary_size).all(axis=1)
        self.outside += int((~inside).sum())
        tokens[~inside] = NO_TOKEN
        strings = self.drawing.complete(tokens, self.rng)
        requests = np.arange(trials) % self.drawing.requests
        for request, evidence in enumerate(self.evidence):
            mine = inside & (requests == request)
            evidence.count(strings[mine], accepted[mine])

    def _emitted(self, trials: int) -> tuple[Ints, Ints]:
        """The emitted tokens (T, L + 1) of some trials, and how many of them were drafted and accepted (T,)."""
        if self.caller.form is Form.GENERATE:
            tokens = self.caller.generate(trials, self.rng, self.drawing.length)
            self.ended_early += self.drawing.ended_early(tokens)
            return tokens, np.zeros(trials, dtype=np.int64)
        inputs, paths = self.drawing.draw(trials, self.rng)
        written = self.mutated if self.trials < WATCHED else None
        tokens = decided(self.caller, inputs, self.rng, self.drawing.length, written)
        accepted = (tokens != NO_TOKEN).sum(axis=1) - 1
        if paths is None:
            return tokens, accepted
        self._count_whole(tokens, paths)
        followed = drafted(tokens, paths)
        self.undrafted += int((followed < accepted).sum())
        return tokens, followed

    def _count_whole(self, tokens: Ints, paths: Ints) -> None:
        """Count answers that are a draft and nothing behind it, and those that are longer than their draft."""
        bare, beyond = whole(tokens, paths)
        self.bare += int(bare.sum())
        self.beyond += int(beyond.sum())

    def results(self) -> list[CaseResult]:
        """What was seen, by request."""
        return [self._result(request) for request in range(self.drawing.requests) if self.evidence[request].trials]

    def _result(self, request: int) -> CaseResult:
        evidence, case, drafts = self.evidence[request], self.drawing.case, self.caller.form is not Form.GENERATE
        return CaseResult(
            case.name, request, case.policy.name if drafts else "", self.drawing.vocabulary_size, self.drawing.length,
            evidence.trials, evidence.log_e, evidence.total_variation, evidence.smallest_total_variation,
            evidence.needed, evidence.mean_acceptance_length if drafts else None, evidence.optimum,
            _token_wise(self.drawing, request), evidence.level, evidence.law, evidence.counts,
        )  # fmt: skip

    @property
    def accepted(self) -> int:
        """Drafted tokens that were kept, in all."""
        return sum(int(evidence.depths @ np.arange(evidence.length)) for evidence in self.evidence)

    @property
    def acceptable(self) -> float:
        """Trials times what one draft verified at the root keeps of itself, the requests' mean."""
        if self.caller.form is Form.GENERATE or self.drawing.length == 1:
            return 0.0
        overlaps = [np.minimum(tables.target[0], tables.draft[0]).sum() for tables in self.drawing.tables]
        return float(self.trials * np.mean(overlaps))

    def findings(self) -> list[Finding]:
        """A counterexample for each request that is lossy."""
        found = [self._finding(request) for request, evidence in enumerate(self.evidence) if evidence.rejects]
        return found + ([self._padding()] if self.outside else [])

    def _finding(self, request: int) -> Finding:
        evidence, case = self.evidence[request], self.drawing.case
        cell, first = evidence.most_telling(), departure(evidence)
        place, departs = place_text(first, evidence, self.drawing, request), None if first is None else first + 1
        if evidence.length_exceeds() and cell.expected > 0:
            seen = evidence.optimum or 0.0, evidence.mean_acceptance_length, evidence.trials, evidence.error
            telling = f"the string above comes with frequency {cell.observed:.6g}, and should with {cell.expected:.6g}"
            return Finding(Sign.LENGTH, case.name, request, cell.pattern, *seen, exposes=case.exposes,
                           place="; ".join(filter(None, [telling, place])), departs=departs)  # fmt: skip
        sign = Sign.FREQUENCY if cell.expected > 0 else Sign.IMPOSSIBLE
        error = evidence.error if cell.expected > 0 else 0.0
        return Finding(sign, case.name, request, cell.pattern, cell.expected, cell.observed, cell.trials, error, place,
                       exposes=case.exposes, departs=departs)  # fmt: skip

    def _padding(self) -> Finding:
        observed, case = self.outside / max(1, self.trials), self.drawing.case
        return Finding(Sign.IMPOSSIBLE, case.name, 0, (), 0.0, observed, self.trials, 0.0, exposes=case.exposes,
                       place=f"a token of the padding, {self.drawing.vocabulary_size} or above")  # fmt: skip


def _optima(drawing: Drawing) -> Sequence[float | None]:
    """For each request the greatest E[tau] of a lossless verifier; None where it is not known, or nothing drafted."""
    return [None] * drawing.requests if drawing.form is Form.GENERATE else drawing.case.optima


def _token_wise(drawing: Drawing, request: int) -> float | None:
    """E[tau] of token-wise verification of one path, where paths are drawn."""
    case = drawing.case
    if drawing.form is Form.GENERATE or not isinstance(case.policy, Delayed):
        return None
    depth = case.policy.depth if case.lengths is None else case.lengths[request]
    return token_wise_acceptance(drawing.tables[request], depth)
