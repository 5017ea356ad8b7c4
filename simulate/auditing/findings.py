"""What an audit finds: counterexamples, failures, and what is seen of a callable beside its law."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from textwrap import wrap

from ..forms.guard import Fault
from .evidence import Pattern

TEXT_WIDTH = 108
"""The most characters of a line of a finding's text."""


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
    DETERMINISTIC = "answers alike whatever the seed: it draws nothing, or from a generator that it seeds itself"
    UNDRAFTED = "accepts tokens that were not drafted"
    NOT_INJECTABLE = "could not be tried with chosen uniforms in all that it draws"
    NOT_CHOSEN_FOR = "was not tried with chosen uniforms everywhere"
    FAILS_AT_CHOSEN = "fails at chosen uniforms, several of them at once or by an exception"
    NEVER_ACCEPTS = "never accepts a draft, so that what follows one was not tried: is it given the drafts' rows?"
    NO_BONUS = "emits nothing behind a draft that it accepts whole, where the target's last row gives one token more"
    SHARED_STREAM = "draws for the whole batch from one stream, so that an answer depends on who else is in the batch"
    ENDS_EARLY = "ends answers before the judged length, so that nothing is judged behind their ends"
    FAULTY_ROWS = "was given rows that are no law"
    SECOND_ROWS = "has the law of the second target: the rows part the texts, not the rule"
    NOT_COMPARED = "was not compared with known mechanisms"
    NEAR_TIE = (
        "departs where the target is certain: at temperature 0 a near-tie of rows computed in another way parts texts "
        "for good, and the rule may be right"
    )
    NEAR_ROWS = "departs by little, as it does too where the rule is right and its rows are computed in another way"


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
    place : where in the string the law departs, in words; empty if it was not located
    mechanism : the likely mechanism, in words; empty if none was told from the others
    exposes : why the case is there, in words
    departs : the first token, from 1, by which the law was shown to depart; ``None`` if it was not located
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
    exposes: str = ""
    departs: int | None = None

    def lines(self) -> Iterator[str]:
        """The finding in words, long lines wrapped behind their labels."""
        for label, text in self.rows():
            yield from wrap(f"{label:<10} {text}", TEXT_WIDTH, subsequent_indent=" " * 11, break_long_words=False)

    def rows(self) -> Iterator[tuple[str, str]]:
        """The finding in words, as labels and texts."""
        request = f", request {self.request}" if self.request else ""
        yield "case", f"{self.case}{request}{f' ({self.exposes})' if self.exposes else ''}"
        yield "seen", self.sign.value
        if self.pattern:
            yield "string", pattern_text(self.pattern)
        if self.sign is not Sign.CHOSEN_UNIFORMS:
            expected, observed = ("at most", "mean") if self.sign is Sign.LENGTH else ("expected", "observed")
            yield expected, f"{self.expected:.6g}"
            yield observed, f"{self.observed:.6g} in {self.trials:,} trials"
            chance = f"at most {self.error:.1e}" if self.error else "none"
            yield "chance", f"{chance} if the verifier were lossless"
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
    """Why the audit could not go on: the fault, the case, what happened, and the traceback of an exception."""

    fault: Fault
    case: str
    detail: str
    traceback: str = ""


def pattern_text(pattern: Pattern) -> str:
    """A pattern as a reader sees it, such as ``3 1 *``; a star is any token, and what follows does not matter."""
    return " ".join("*" if token is None else str(token) for token in pattern) + " ..."
