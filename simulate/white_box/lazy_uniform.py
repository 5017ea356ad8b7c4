"""A uniform of which only so much is known as has been asked: the interval in which it lies."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from numbers import Real
from typing import Any, NoReturn

import numpy as np

from .injection import Scalar, Script


class _Interval:
    """Where a uniform lies; a comparison makes it smaller."""

    __slots__ = ("high", "low")

    def __init__(self, low: Scalar, high: Scalar) -> None:
        self.low, self.high = low, high


class LazyUniform:
    """``shift + scale U`` for a U uniform on [0, 1), which is never drawn.

    A comparison with a number is a decision of the script: it comes out each way with its probability, given all
    comparisons before, and narrows the interval.  Sums with numbers, products and quotients by numbers stay such
    objects, and NumPy treats arrays of them (dtype object) element by element, so that ``uniforms < ratios``,
    ``(cumulative > uniform).argmax()`` and ``np.searchsorted(cumulative, uniform)`` work.  ``int`` and ``math.floor``
    decide between the integers.  Events of probability 0 (u equal to a number) do not happen.

    What needs the value itself (its float, its logarithm, two uniforms compared or combined) cannot be enumerated, and
    raises :class:`~veridraft.simulate.white_box.injection.NotEnumerableError`.

    >>> script = Script(exact=True)
    >>> def draw():
    ...     return int(np.searchsorted([Fraction(1, 2), Fraction(4, 5), 1], LazyUniform.new(script), side="right"))
    >>> sorted((answer, str(probability)) for probability, answer in script.runs(draw))
    [(0, '1/2'), (1, '3/10'), (2, '1/5')]
    """

    __slots__ = ("_interval", "_scale", "_script", "_shift")

    def __init__(self, script: Script, interval: _Interval, shift: Scalar, scale: Scalar) -> None:
        self._script, self._interval, self._shift, self._scale = script, interval, shift, scale

    @classmethod
    def new(cls, script: Script) -> LazyUniform:
        """A fresh uniform on [0, 1)."""
        zero, one = (Fraction(0), Fraction(1)) if script.exact else (0.0, 1.0)
        return cls(script, _Interval(zero, one), zero, one)

    def __lt__(self, other: Any) -> bool:
        return self._holds(operator.lt, other)

    def __le__(self, other: Any) -> bool:
        return self._holds(operator.le, other)

    def __gt__(self, other: Any) -> bool:
        return self._holds(operator.gt, other)

    def __ge__(self, other: Any) -> bool:
        return self._holds(operator.ge, other)

    def __eq__(self, other: object) -> bool:
        return self._holds(operator.eq, other)

    def __ne__(self, other: object) -> bool:
        return self._holds(operator.ne, other)

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Any) -> LazyUniform:
        if isinstance(other, LazyUniform):
            return self._with(other)
        return self._affine(other, lambda number: (self._shift + number, self._scale))

    __radd__ = __add__

    def __neg__(self) -> LazyUniform:
        return LazyUniform(self._script, self._interval, -self._shift, -self._scale)

    def __pos__(self) -> LazyUniform:
        return self

    def __sub__(self, other: Any) -> LazyUniform:
        if isinstance(other, LazyUniform):
            return self._with(-other)
        return self._affine(other, lambda number: (self._shift - number, self._scale))

    def __rsub__(self, other: Any) -> LazyUniform:
        return self._affine(other, lambda number: (number - self._shift, -self._scale))

    def __mul__(self, other: Any) -> LazyUniform:
        if isinstance(other, LazyUniform):
            self._script.refuse("two uniforms are multiplied")
        return self._affine(other, lambda number: (self._shift * number, self._scale * number))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> LazyUniform:
        if isinstance(other, LazyUniform):
            self._script.refuse("a uniform is divided by a uniform")
        return self._affine(other, lambda number: (self._shift / number, self._scale / number))

    def __floor__(self) -> int:
        ends = [self._shift + self._scale * end for end in (self._interval.low, self._interval.high)]
        floor = math.floor(min(ends))
        while not self < floor + 1:
            floor += 1
        return floor

    def __int__(self) -> int:
        return self.__floor__() if self > 0 else -(-self).__floor__()

    __trunc__ = __int__

    def __float__(self) -> NoReturn:
        self._script.refuse("a uniform is turned into a float")

    def __bool__(self) -> NoReturn:
        self._script.refuse("a uniform is used as a truth value")

    def __pow__(self, other: Any) -> NoReturn:
        self._script.refuse("a uniform is raised to a power")

    def __rpow__(self, other: Any) -> NoReturn:
        self._script.refuse("a number is raised to the power of a uniform")

    def __rtruediv__(self, other: Any) -> NoReturn:
        self._script.refuse("a number is divided by a uniform")

    def __getattr__(self, name: str) -> Any:
        """Raise; NumPy asks for a function's name when the function is applied to an object."""
        if name in FUNCTIONS:
            self._script.refuse(f"{name} of a uniform is taken (Gumbel or exponential noise?)")
        raise AttributeError(f"a uniform that has not been drawn has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"LazyUniform({self._shift} + {self._scale} U, U in [{self._interval.low}, {self._interval.high}))"

    def _affine(self, other: Any, change: Callable[[Scalar], tuple[Scalar, Scalar]]) -> LazyUniform:
        """The number with another shift and scale, unless the other operand is no number."""
        if not isinstance(other, (Real, np.bool_)):
            return NotImplemented
        return LazyUniform(self._script, self._interval, *change(self._script.number(other)))

    def _with(self, other: LazyUniform) -> LazyUniform:
        """The sum with another number that is made of the same uniform."""
        if other._interval is not self._interval:
            self._script.refuse("two uniforms are compared with one another, or added")
        return LazyUniform(self._script, self._interval, self._shift + other._shift, self._scale + other._scale)

    def _holds(self, relation: Callable[[Any, Any], bool], other: Any) -> bool:
        """Whether the relation holds between the two: decided by the sign of their difference."""
        difference = self - other if isinstance(other, (LazyUniform, Real, np.bool_)) else None
        if difference is None:
            return NotImplemented
        if difference._scale == 0 or math.isnan(difference._shift) or math.isnan(difference._scale):
            return relation(difference._shift + difference._scale, 0)
        if relation in (operator.eq, operator.ne):
            return relation is operator.ne
        return relation(difference._sign(), 0)

    def _sign(self) -> int:
        """-1 or 1, whether the number lies below 0 or above."""
        threshold, interval = -self._shift / self._scale, self._interval
        if not interval.low < threshold < interval.high:
            below = threshold >= interval.high
        else:
            width = interval.high - interval.low
            shares = (threshold - interval.low) / width, (interval.high - threshold) / width
            below = self._script.decide(shares) == 0
            interval.low, interval.high = (interval.low, threshold) if below else (threshold, interval.high)
        return -1 if below == (self._scale > 0) else 1


FUNCTIONS = frozenset(
    {"arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "cos", "cosh", "exp", "exp2", "expm1"}
    | {"log", "log10", "log1p", "log2", "rint", "sin", "sinh", "sqrt", "tan", "tanh", "trunc"}
)
"""Functions whose value needs the uniform's own."""
