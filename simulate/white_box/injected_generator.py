"""A generator whose every draw is a decision of a script: what a white box is called with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from .injection import Scalar, Script
from .lazy_uniform import LazyUniform

MOST_OUTCOMES = 10_000
"""The most outcomes of one draw of an integer."""

CHOICE_TOLERANCE = 1e-8
"""How far from 1 probabilities may sum that are handed to ``choice`` or ``multinomial``; they are then divided."""


class InjectedGenerator(np.random.Generator):
    """A ``numpy.random.Generator`` that draws nothing: a script says what comes out.

    It has the methods ``random``, ``uniform``, ``choice``, ``integers``, ``multinomial``, ``binomial``,
    ``permutation`` and ``shuffle``.  Uniforms are :class:`.LazyUniform`, in arrays of
    dtype object; the others fork over their outcomes.  Any other method raises
    :class:`~veridraft.simulate.white_box.injection.NotEnumerableError`.

    >>> from fractions import Fraction
    >>> script = Script(exact=True)
    >>> rng = InjectedGenerator(script)
    >>> runs = script.runs(lambda: bool(rng.random() < Fraction(1, 3)) or rng.choice(["a", "b"]).item())
    >>> [(str(probability), answer) for probability, answer in runs]
    [('1/3', True), ('1/3', 'a'), ('1/3', 'b')]
    """

    def __init__(self, script: Script) -> None:
        super().__init__(np.random.PCG64(0))
        self._script = script

    def __repr__(self) -> str:
        return "InjectedGenerator()"

    __str__ = __repr__

    @property
    def bit_generator(self) -> Any:
        """Raise: there are no bits."""
        self._script.refuse("the callable asks for the generator's bit generator")

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """A uniform on [0, 1), or an array of them."""
        if out is not None:
            self._script.refuse("random(out=...) writes uniforms into an array of floats")
        return _filled(size, lambda: LazyUniform.new(self._script), object)

    def uniform(self, low: Any = 0, high: Any = 1, size: Any = None) -> Any:
        """A uniform on [low, high), or an array of them."""
        shape = np.broadcast(low, high).shape
        low, high = (np.asarray(end) if np.ndim(end) else end for end in (low, high))
        return (high - low) * self.random(size if size is not None or not shape else shape) + low

    def choice(
        self, a: Any, size: Any = None, replace: bool = True, p: ArrayLike | None = None, axis: int = 0,
        shuffle: bool = True,
    ) -> Any:  # fmt: skip
        """One of the items, or an array of them, drawn with the probabilities ``p`` (uniform if ``None``)."""
        population = np.arange(a) if np.ndim(a) == 0 else np.asarray(a)
        weights = self._weights("p", np.ones(population.shape[axis], dtype=int) if p is None else p, p is not None)
        if len(weights) != population.shape[axis]:
            raise ValueError(f"a and p must have same size, but have {population.shape[axis]} and {len(weights)}")

        def one() -> int:
            index = self._index(weights)
            if not replace:
                weights[index] = weights[index] * 0
            return index

        return np.take(population, _filled(size, one, np.int64), axis=axis)

    def integers(
        self, low: Any, high: Any = None, size: Any = None, dtype: Any = np.int64, endpoint: bool = False
    ) -> Any:
        """An integer of [low, high), or an array of them; [0, low) without ``high``."""
        if np.ndim(low) or np.ndim(high):
            self._script.refuse("integers() has arrays of bounds")
        first, end = (0, low) if high is None else (low, high)
        count = int(end) - int(first) + bool(endpoint)
        if not 0 < count <= MOST_OUTCOMES:
            self._script.refuse(f"integers() has {count} outcomes, which must lie in [1, {MOST_OUTCOMES}]")
        shares = [self._script.number(1) / count] * count
        draws = _filled(size, lambda: int(first) + self._script.decide(shares), dtype)
        return draws if size is not None else np.dtype(dtype).type(draws)

    def multinomial(self, n: Any, pvals: ArrayLike, size: Any = None) -> Any:
        """How often each category comes out in n draws, (..., V); the last takes what the others leave of 1."""
        if np.ndim(n):
            self._script.refuse("multinomial() has an array of counts")
        rows = np.asarray(pvals)
        if rows.ndim > 1 and size is None:
            return np.stack([self.multinomial(n, row) for row in rows])
        weights = self._weights("pvals", rows, check=True)
        counts = [np.bincount([self._index(weights) for _ in range(int(n))], minlength=len(weights))
                  for _ in range(_count(size))]  # fmt: skip
        return np.reshape(counts, (*_shape(size), len(weights)))

    def binomial(self, n: Any, p: Any, size: Any = None) -> Any:
        """How many of n coins of probability p fall on 1, or an array of such numbers."""
        counts, chances = np.broadcast_arrays(n, np.asarray(p, dtype=object))
        shape = _shape(size) if size is not None else counts.shape
        pairs = zip(np.broadcast_to(counts, shape).flat, np.broadcast_to(chances, shape).flat, strict=True)
        heads = [sum(self._coin(chance) for _ in range(int(count))) for count, chance in pairs]
        return np.reshape(heads, shape) if shape else heads[0]

    def permutation(self, x: Any, axis: int = 0) -> Any:
        """The items in an order of equal probability for all orders."""
        count = int(x) if np.ndim(x) == 0 else np.shape(x)[axis]
        return self.choice(x, size=count, replace=False, axis=axis)

    def shuffle(self, x: Any, axis: int = 0) -> None:
        """Put the items of a list or array into an order of equal probability for all orders, in place."""
        if isinstance(x, np.ndarray):
            x[...] = self.permutation(x, axis)
        else:
            x[:] = [x[index] for index in self.permutation(len(x))]

    def _coin(self, chance: Any) -> int:
        """1 with the probability given, else 0."""
        number = self._script.number(chance)
        if not 0 <= number <= 1:
            raise ValueError(f"p must lie in [0, 1], but is {chance}")
        return 1 - self._script.decide((number, 1 - number))

    def _index(self, weights: Sequence[Scalar]) -> int:
        """An index with probability proportional to its weight."""
        total = sum(weights)
        if not total > 0:
            raise ValueError("no item is left to be drawn, or fewer have a positive probability than are drawn")
        return self._script.decide([weight / total for weight in weights])

    def _weights(self, name: str, values: ArrayLike, check: bool) -> list[Scalar]:
        """The values in the script's arithmetic; ``ValueError`` unless they are probabilities, as in NumPy."""
        array = np.asarray(values)
        if array.ndim != 1:
            raise ValueError(f"{name} must be 1-dimensional, but has shape {array.shape}")
        weights = [self._script.number(value) for value in array]
        if not all(weight >= 0 for weight in weights):
            raise ValueError(f"{name} has an entry that is negative or not a number: {array.tolist()}")
        if check and not abs(sum(weights) - 1) <= CHOICE_TOLERANCE:
            raise ValueError(f"{name} must sum to 1, but sums to {sum(weights)}")
        return weights


def _filled(size: Any, draw: Callable[[], Any], dtype: Any) -> Any:
    """One draw, or an array of that size; filled one by one."""
    if size is None:
        return draw()
    array = np.empty(_shape(size), dtype=dtype)
    for place in np.ndindex(array.shape):
        array[place] = draw()
    return array


def _shape(size: Any) -> tuple[int, ...]:
    return () if size is None else (int(size),) if np.ndim(size) == 0 else tuple(int(length) for length in size)


def _count(size: Any) -> int:
    return int(np.prod(_shape(size), dtype=int))


def _refusing(name: str) -> Callable[..., NoReturn]:
    """A method that cannot be enumerated."""

    def method(self: InjectedGenerator, *arguments: Any, **keywords: Any) -> NoReturn:
        self._script.refuse(f"the callable draws by rng.{name}()")

    method.__name__ = name
    method.__doc__ = "Raise: what comes out of this method has no list of outcomes."
    return method


for _name in dir(np.random.Generator):
    if not _name.startswith("_") and _name not in vars(InjectedGenerator):
        setattr(InjectedGenerator, _name, _refusing(_name))
