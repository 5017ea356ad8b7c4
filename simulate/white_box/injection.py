"""Every run of a random function, one after the other: its decisions are injected, depth first.

The function is called again and again.  Whenever it asks for a decision, the script either repeats what it said at
that place in the call before, or says the first outcome of positive probability; the call over, the last decision
that has another outcome takes that one next.  When none is left, each sequence of outcomes has been seen once, with
its probability.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Rational, Real
from typing import Any, NoReturn, TypeVar

import numpy as np

from veridraft.theory.rows.distributions import Scalar, check_count

Answer = TypeVar("Answer")

NEGLIGIBLE = 1e-14
"""In float arithmetic an outcome of no more than this share of its decision is rounding, and not followed."""

MOST_ASKED = 10_000
"""A run that asks for more decisions than this is taken for a loop without end."""

MOST_RUNS = 100_000
"""The most runs that a script makes unless it is told otherwise."""


class NotEnumerableError(ValueError):
    """The runs of a function cannot be listed: the message says for which decision, and what to do."""


class NotRepeatableError(ValueError):
    """The function did not do the same again when every decision was the same: something else is random in it."""


class InexactDecisionError(TypeError):
    """A random decision rests on floats where rational arithmetic was asked for."""


@dataclass
class _Decision:
    """The outcomes of positive probability, as (index, probability), and which of them is taken."""

    outcomes: tuple[tuple[int, Scalar], ...]
    taken: int = 0


class Script:
    """What a function's random decisions come out as, run after run.

    exact : probabilities are Fractions; else float64
    most_runs : the runs that :meth:`runs` makes, in all, before it raises :class:`NotEnumerableError`

    A coin of probability 1/3, then a die where the coin fell on 1:

    >>> script = Script(exact=True)
    >>> def throw():
    ...     coin = script.decide([Fraction(2, 3), Fraction(1, 3)])
    ...     return coin and coin + script.decide([Fraction(1, 6)] * 6)
    >>> [(str(probability), answer) for probability, answer in script.runs(throw)][:3]
    [('2/3', 0), ('1/18', 1), ('1/18', 2)]
    """

    def __init__(self, exact: bool, most_runs: int = MOST_RUNS) -> None:
        self.exact, self.most_runs = exact, check_count("most_runs", most_runs, 1)
        self.runs_made = 0
        self._decisions: list[_Decision] = []
        self._asked = 0  # decisions asked for in this run
        self._stopped: Exception | None = None  # raised in this run, maybe swallowed by the function

    def runs(self, function: Callable[[], Answer]) -> Iterator[tuple[Scalar, Answer]]:
        """Every run's probability and what the function returned; the probabilities sum to 1.

        Each is made twice, and :class:`NotRepeatableError` is raised if the answers or the decisions differ.  Raises
        :class:`NotEnumerableError` for a decision without a list of outcomes, and beyond ``most_runs``.
        """
        self._decisions = []
        while True:
            if self.runs_made == self.most_runs:
                raise NotEnumerableError(f"there are more than {self.most_runs} runs; raise most_runs, take a smaller "
                                    "case, or use audit(), which samples")  # fmt: skip
            self.runs_made += 1
            answer = self._run(function)
            if self._run(function) != answer:
                raise NotRepeatableError(
                    "the same random decisions led to two different answers: the callable keeps state between calls, "
                    "or has another source of randomness than its generator; use audit(), which samples"
                )
            yield self._probability(), answer
            if not self._advance():
                return

    def decide(self, probabilities: Sequence[Scalar]) -> int:
        """The index of the outcome, among those with the given probabilities (in the script's arithmetic)."""
        outcomes = self._possible(probabilities)
        if len(outcomes) == 1:
            return outcomes[0][0]
        if self._asked == len(self._decisions):
            if self._asked >= MOST_ASKED:
                self.refuse(f"a run makes over {MOST_ASKED} random decisions (a loop until something is drawn?)")
            self._decisions.append(_Decision(outcomes))
        decision = self._decisions[self._asked]
        self._asked += 1
        if decision.outcomes != outcomes:
            self._differ(f"decision {self._asked} had other probabilities")
        return outcomes[decision.taken][0]

    def number(self, value: Any) -> Scalar:
        """A number in the script's arithmetic; an infinity or NaN stays a float.

        Raises ``TypeError`` for what is not a real number, and :class:`InexactDecisionError` in an exact script for a
        float that is not an integer: it may have been rounded.
        """
        if not isinstance(value, (Real, np.bool_)):
            raise TypeError(f"{value!r} is not a number")
        if self.exact and isinstance(value, (Rational, np.bool_)):
            return Fraction(int(value)) if isinstance(value, (Integral, np.bool_)) else Fraction(value)
        number = float(value)
        if not self.exact or not math.isfinite(number):
            return number
        if not number.is_integer():
            self._stop(InexactDecisionError(
                f"the float {number} stands in a random decision, where rational arithmetic needs Fractions: the "
                'callable turns its rows into floats, or has a constant that is one; pass arithmetic="float", or a '
                "callable that keeps Fractions"
            ))  # fmt: skip
        return Fraction(int(number))

    def refuse(self, what: str) -> NoReturn:
        """Raise :class:`NotEnumerableError` for a decision; :meth:`runs` raises it too if the function swallows it."""
        self._stop(NotEnumerableError(f"{what}: this cannot be enumerated; use audit(), which samples"))

    def _stop(self, error: Exception) -> NoReturn:
        self._stopped = error
        raise error

    def _possible(self, probabilities: Sequence[Scalar]) -> tuple[tuple[int, Scalar], ...]:
        """The outcomes that are followed, their probabilities summing to 1."""
        if self.exact:
            return tuple((index, probability) for index, probability in enumerate(probabilities) if probability)
        least = NEGLIGIBLE * sum(probabilities)
        kept = [(index, probability) for index, probability in enumerate(probabilities) if probability > least]
        total = sum(probability for _, probability in kept)
        return tuple((index, probability / total) for index, probability in kept)

    def _run(self, function: Callable[[], Answer]) -> Answer:
        self._asked, self._stopped = 0, None
        try:
            answer = function()
        except Exception as error:
            raise self._stopped or error from error.__cause__
        if self._stopped is not None:
            raise self._stopped
        if self._asked < len(self._decisions):
            self._differ(f"it made {self._asked} of {len(self._decisions)} decisions")
        return answer

    def _differ(self, how: str) -> NoReturn:
        self._stop(NotRepeatableError(
            f"called again with the same random decisions, the callable went another way ({how}): it keeps state "
            "between calls, or has another source of randomness than its generator; use audit(), which samples"
        ))  # fmt: skip

    def _probability(self) -> Scalar:
        one = Fraction(1) if self.exact else 1.0
        return math.prod((decision.outcomes[decision.taken][1] for decision in self._decisions), start=one)

    def _advance(self) -> bool:
        """Take the next outcome of the last decision that has one; False when every run has been made."""
        while self._decisions:
            last = self._decisions[-1]
            if last.taken + 1 < len(last.outcomes):
                last.taken += 1
                return True
            self._decisions.pop()
        return False
