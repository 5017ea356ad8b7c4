"""A generator whose uniforms are chosen: everything else it draws as NumPy does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...batches.rows import Floats

MOST_CHOSEN = 1000
"""After so many chosen uniforms they are drawn, so that a loop until something is drawn comes to its end."""

Chooser = Callable[[int, int, np.random.Generator], Floats]
"""``chooser(first, count, rng)``: the values of ``count`` uniforms, of which ``first`` is the first one's number."""


class ChosenGenerator(np.random.Generator):
    """A ``numpy.random.Generator`` in which ``random``, ``uniform`` and ``choice(p=...)`` use chosen uniforms.

    chooser : says the uniforms, in [0, 1); those that are no float32 and asked for as such are rounded towards 0
    seed : of all other draws

    ``handed`` holds the uniforms so far, and ``drawn_otherwise`` the names of the other methods that were called.

    >>> rng = ChosenGenerator(lambda first, count, rng: np.zeros(count), seed=0)
    >>> rng.random(), int(rng.choice(3, p=[0.0, 0.25, 0.75])), rng.uniform(2, 5, size=2).tolist()
    (0.0, 1, [2.0, 2.0])
    >>> rng.handed, rng.normal() is None, rng.drawn_otherwise
    ([0.0, 0.0, 0.0, 0.0], False, ['normal'])
    """

    def __init__(self, chooser: Chooser, seed: int) -> None:
        super().__init__(np.random.PCG64(seed))
        self._chooser, self._real = chooser, np.random.default_rng([seed, 1])
        self.handed: list[float] = []
        self.drawn_otherwise: list[str] = []

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Chosen uniforms in [0, 1), under NumPy's contract."""
        shape = np.shape(out) if out is not None else () if size is None else size
        values = self._next(int(np.prod(shape, dtype=int))).reshape(shape)
        below_one = np.nextafter(np.dtype(dtype).type(1), np.dtype(dtype).type(0))
        values = np.minimum(values.astype(dtype), below_one)
        if out is not None:
            out[...] = values
            return out
        return values if size is not None else values.item() if dtype == np.float64 else values[()]

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        """Chosen uniforms in [low, high)."""
        shape = np.broadcast(low, high).shape
        low, high = (np.asarray(end) if np.ndim(end) else end for end in (low, high))
        return low + (high - low) * self.random(size if size is not None or not shape else shape)

    def choice(self, a: Any, size: Any = None, replace: bool = True, p: Any = None, *more: Any, **named: Any) -> Any:
        """As NumPy does it: by inverse distribution function at chosen uniforms, if there are probabilities."""
        if p is None:
            self.drawn_otherwise.append("choice")
        return super().choice(a, size, replace, p, *more, **named)

    def _next(self, count: int) -> Floats:
        """The next uniforms (count,)."""
        first = len(self.handed)
        values = self._chooser(first, count, self._real)
        late = np.arange(first, first + count) >= MOST_CHOSEN
        values = np.where(late, self._real.random(count), values)
        self.handed += values.tolist()
        return values


class RecordedGenerator(ChosenGenerator):
    """A ``numpy.random.Generator`` that draws as ``default_rng(seed)`` does, and holds the uniforms that it gave.

    ``handed`` and ``drawn_otherwise`` are those of a :class:`ChosenGenerator`.

    >>> rng, plain = RecordedGenerator(7), np.random.default_rng(7)
    >>> rng.random() == plain.random(), rng.uniform(2, 5) == plain.uniform(2, 5), rng.handed[0]
    (True, True, 0.625095466604667)
    """

    def __init__(self, seed: int) -> None:
        super().__init__(lambda first, count, rng: rng.random(count), seed)

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Uniforms in [0, 1), under NumPy's contract."""
        values = np.random.Generator.random(self, size, dtype, out)
        self.handed += np.ravel(values).astype(float).tolist()
        return values


def _recorded(name: str) -> Callable[..., Any]:
    """A method of NumPy's generator that notes that it was called."""
    method = getattr(np.random.Generator, name)

    def recorded(self: ChosenGenerator, *arguments: Any, **keywords: Any) -> Any:
        self.drawn_otherwise.append(name)
        return method(self, *arguments, **keywords)

    recorded.__name__ = name
    recorded.__doc__ = f"As ``numpy.random.Generator.{name}`` draws, noted in ``drawn_otherwise``."
    return recorded


for _name in dir(np.random.Generator):
    if not _name.startswith("_") and _name not in vars(ChosenGenerator) and _name != "bit_generator":
        setattr(ChosenGenerator, _name, _recorded(_name))
