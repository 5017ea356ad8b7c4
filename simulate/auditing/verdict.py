"""What an audit says: findings, what was seen beside them, and what a pass is worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import Enum
from functools import cached_property
from math import log
from textwrap import wrap
from typing import Any

import numpy as np

from ..batches.intervals import MISS
from ..batches.rows import Floats, Ints
from ..forms.guard import Fault
from .evidence import MIXTURE_SHARE, Pattern, smallest_excess

TEXT_WIDTH = 108
"""The most characters of a line of a finding's text."""


class Verdict(Enum):
    """The outcome of an audit."""

    NO_DEFECT_FOUND = "no defect found"
    LOSSY = "lossy"
    UNDECIDED = "undecided"
    ERROR = "error"

    @property
    def exit_status(self) -> int:
        """0 for no defect found, 1 for lossy, 2 for undecided or error."""
        return {Verdict.NO_DEFECT_FOUND: 0, Verdict.LOSSY: 1}.get(self, 2)


class Sign(Enum):
    """By what a verifier was seen to be lossy."""

    FREQUENCY = "a string is not as frequent as the target makes it"
    IMPOSSIBLE = "a string came out to which the target gives probability 0"
    LENGTH = "more tokens are accepted than any lossless verifier can accept"
    CHOSEN_UNIFORMS = "chosen uniforms bring out a string to which the target gives probability 0"


class Trait(Enum):
    """What was seen of a callable, whatever its law."""

    MUTATES_INPUTS = "writes into the arrays that it is given"
    NOT_A_FUNCTION = "answers differently to equal inputs and equal seeds: it keeps state, or draws from elsewhere"
    GLOBAL_RANDOMNESS = "draws from a global generator, not from the one that it is given"
    DETERMINISTIC = "answers alike whatever the seed: it draws nothing"
    UNDRAFTED = "accepts tokens that were not drafted"
    NOT_INJECTABLE = "could not be tried with chosen uniforms in all that it draws"
    FAILS_AT_CHOSEN = "fails at chosen uniforms, several of them at once or by an exception"


@dataclass(frozen=True)
class Finding:
    """A counterexample.

    Fields
    ------
    sign : what kind of evidence it is
    case, request : where
    pattern : the string, or its beginning; ``None`` in it stands for any token
    expected, observed : the pattern's probability under the target, and its frequency; for LENGTH the greatest
        mean acceptance length of a lossless verifier, and the mean that was seen
    trials : of the request, when it was found
    error : the probability of such evidence from a lossless verifier is at most this (0: impossible)
    place : where in the string the law departs, in words
    mechanism : the likely mechanism, in words; empty if none is likely
    """

    sign: Sign
    case: str
    request: int
    pattern: Pattern
    expected: float
    observed: float
    trials: int
    error: float
    place: str = ""
    mechanism: str = ""

    def lines(self) -> Iterator[str]:
        """The finding in words, long lines wrapped behind their labels."""
        for label, text in self.rows():
            yield from wrap(f"{label:<10} {text}", TEXT_WIDTH, subsequent_indent=" " * 11, break_long_words=False)

    def rows(self) -> Iterator[tuple[str, str]]:
        """The finding in words, as labels and texts."""
        yield "case", self.case + (f", request {self.request}" if self.request else "")
        yield "seen", self.sign.value
        if self.pattern:
            yield "string", pattern_text(self.pattern)
        if self.sign is not Sign.CHOSEN_UNIFORMS:
            expected, observed = ("at most", "mean") if self.sign is Sign.LENGTH else ("expected", "observed")
            yield expected, f"{self.expected:.6g}"
            yield observed, f"{self.observed:.6g} in {self.trials:,} trials"
            yield "chance", f"at most {self.error:.1e} if the verifier were lossless"
        if self.place:
            yield "where", self.place
        if self.mechanism:
            yield "likely", self.mechanism


@dataclass(frozen=True)
class Observation:
    """Something about the callable that a user should know; it decides nothing by itself."""

    trait: Trait
    detail: str


@dataclass(frozen=True)
class Failure:
    """Why the audit could not go on: the fault, the case, what happened."""

    fault: Fault
    case: str
    detail: str


@dataclass(frozen=True, eq=False)
class CaseResult:
    """What was seen in one request of one case.

    Fields
    ------
    case, request, policy, vocabulary_size, length : what was tried; judged strings have ``length`` tokens
    trials : how many
    log_e : the natural logarithm of the largest evidence so far; its exponential exceeds 1/a with probability <= a
    total_variation : of frequencies to the law; above 0 by chance alone
    smallest_total_variation : any deviation of this size would have been found with probability 0.999; 1: none surely
    needed : what the logarithm of a first token's own e-process must reach for the evidence to suffice
    mean_acceptance_length : accepted tokens per trial; ``None`` where nothing is known to be drafted
    optimum : the greatest mean acceptance length of any lossless verifier, if known
    level : the share of the audit's level that the request has
    law, counts : (V ** length,) the target's probability of every string, and how often it came
    """

    case: str
    request: int
    policy: str
    vocabulary_size: int
    length: int
    trials: int
    log_e: float
    total_variation: float
    smallest_total_variation: float
    needed: float
    mean_acceptance_length: float | None
    optimum: float | None
    level: float
    law: Floats = field(repr=False)
    counts: Ints = field(repr=False)

    @property
    def sufficient(self) -> float:
        """The ``log_e`` at which the verifier is called lossy."""
        return -log(MIXTURE_SHARE * self.level)

    @cached_property
    def smallest_token_deviation(self) -> float:
        """A first token too frequent by this much would have been found with probability 0.999; 1: none surely."""
        first = self.law.reshape(self.vocabulary_size, -1).sum(axis=1)
        return smallest_excess(first, self.trials, self.needed)


@dataclass(frozen=True, eq=False)
class Audit:
    """The result of an audit.

    Fields
    ------
    verifier, form : what was audited
    verdict : LOSSY at the stated level, NO_DEFECT_FOUND after all trials, UNDECIDED if they were cut short, ERROR if
        the callable does not do what its form asks
    level : a lossless verifier is called LOSSY with probability at most this
    findings : counterexamples, the strongest first; empty unless LOSSY
    failure : why it is an ERROR, or None
    observations : what else was seen
    cases : by request of each case
    trials, seconds, seed : in all; the time is that of the test, without the search for a mechanism
    """

    verifier: str
    form: str
    verdict: Verdict
    level: float
    findings: tuple[Finding, ...]
    failure: Failure | None
    observations: tuple[Observation, ...]
    cases: tuple[CaseResult, ...]
    trials: int
    seconds: float
    seed: int

    @property
    def exit_status(self) -> int:
        """0 for no defect found, 1 for lossy, 2 for undecided or error."""
        return self.verdict.exit_status

    @property
    def smallest_total_variation(self) -> float:
        """The largest over cases of the total variation that would surely be found there; 1 if a case has none."""
        return max((case.smallest_total_variation for case in self.cases), default=1.0)

    @property
    def where(self) -> str:
        """Over how many cases, each request of a case counted, in words."""
        count = len(self.cases)
        return "over 1 case" if count == 1 else f"over {count} cases and requests"

    def text(self) -> str:
        """The verdict for a reader, several lines."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.verdict.value.upper()}: {self.verifier}, form {self.form}"
        yield f"{self.trials:,} trials {self.where}, {self.seconds:.1f} s, seed {self.seed}"
        for finding in self.findings:
            yield ""
            yield from (f"  {line}" for line in finding.lines())
        if self.failure:
            yield ""
            yield from _indented(f"{self.failure.fault.value}, in case {self.failure.case}: {self.failure.detail}")
        for observation in self.observations:
            yield from _indented(f"note: it {observation.trait.value} ({observation.detail})")
        yield from self._closing()

    def _closing(self) -> Iterator[str]:
        yield ""
        if self.verdict is Verdict.LOSSY:
            yield f"A lossless verifier would be called lossy with probability at most {self.level:.1e}."
        elif self.verdict is Verdict.NO_DEFECT_FOUND:
            yield from self._worth()
        elif self.verdict is Verdict.UNDECIDED:
            yield "The trials were cut short: nothing was found, and nothing is said."
        else:
            yield "The callable could not be audited: nothing is said about its law."

    def _worth(self) -> Iterator[str]:
        """What a pass is worth."""
        sure = [case.smallest_total_variation for case in self.cases]
        tokens = [case.smallest_token_deviation for case in self.cases]
        yield f"Found with probability {1 - MISS} would have been, in any one of the cases:"
        yield f"  a law of strings off by a total variation of {_range(sure)}, depending on the case;"
        yield f"  a first token more frequent than it should be by {_range(tokens)}."
        yield "A pass is no proof: smaller deviations, and other rows than these, were not seen."

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON's kinds of values; laws and counts are left out but for the strings that depart most."""
        return {
            "verifier": self.verifier, "form": self.form, "verdict": self.verdict.value, "level": self.level,
            "exit_status": self.exit_status, "trials": self.trials, "seconds": round(self.seconds, 3),
            "seed": self.seed, "smallest_total_variation": self.smallest_total_variation,
            "findings": [_plain(asdict(finding)) for finding in self.findings],
            "failure": _plain(asdict(self.failure)) if self.failure else None,
            "observations": [_plain(asdict(observation)) for observation in self.observations],
            "cases": [_case_json(case) for case in self.cases],
        }  # fmt: skip


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"


def _indented(text: str) -> list[str]:
    """The text in lines, all but the first further in."""
    return wrap(text, TEXT_WIDTH + 2, initial_indent="  ", subsequent_indent="    ", break_long_words=False)


def departures(case: CaseResult, most: int = 12) -> list[tuple[Pattern, float, float]]:
    """The strings that depart most: tokens, expected and observed frequency, by the difference in standard errors."""
    frequency = case.counts / max(1, case.trials)
    spread = np.sqrt(np.maximum(case.law * (1 - case.law), 1e-12))
    order = np.argsort(-np.abs(frequency - case.law) / spread, kind="stable")[:most]
    shape = (case.vocabulary_size,) * case.length
    strings = (tuple(int(token) for token in np.unravel_index(number, shape)) for number in order)
    return [
        (string, float(case.law[number]), float(frequency[number]))
        for string, number in zip(strings, order, strict=True)
    ]


def pattern_text(pattern: Pattern) -> str:
    """A pattern as a reader sees it, such as ``3 1 *``; a star is any token, and what follows does not matter."""
    return " ".join("*" if token is None else str(token) for token in pattern) + " ..."


def _case_json(case: CaseResult) -> dict[str, Any]:
    kept = {name: value for name, value in vars(case).items() if name not in ("law", "counts")}
    kept["log_e"] = case.log_e if case.log_e < float("inf") else "infinite"
    kept["smallest_token_deviation"] = case.smallest_token_deviation
    return kept | {"departures": [list(row) for row in departures(case)]}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}
