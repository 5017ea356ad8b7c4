"""Rows: next-token laws over a vocabulary, checked once, in float64 or in exact fractions.

A *row* is an array of shape (V,), or (..., V) for many, that is nonnegative and sums to 1 along its
last axis.  Two arithmetics share every formula of this package: ``float64``, and ``dtype=object``
arrays whose entries are :class:`fractions.Fraction`, in which sums and products are exact.
"""

from __future__ import annotations

from fractions import Fraction
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Row = NDArray[Any]
"""An array (V,) of float64, or of ``Fraction`` objects (dtype object)."""

Floats = NDArray[np.float64]
"""An array of float64, of any shape."""

NO_TOKEN = -1
"""Stands where no token is: the root of a tree, the padding behind an emitted block."""

SUM_TOLERANCE = 1e-9
"""How far the sum of a float64 row may lie from 1."""

SUM_ROUNDING = 2.0**-44
"""How far rounding alone may take the sum of a float64 row from 1: what misses 1 by more counts over its own sum."""

WAYS_ON = "pairs take normalise=True for rows of less precision than float64, and logits by from_logits"
"""What to do with a row that misses 1."""


def is_exact(array: Row) -> bool:
    """True if the array holds Fractions, so that arithmetic on it is exact."""
    return bool(array.dtype == object)


def check_rows(name: str, rows: ArrayLike, ndim: int | None = None, normalise: bool = False) -> Row:
    """The rows as an array of float64 or of Fractions, after every check; values are left as they are.

    Parameters: ``name`` stands in the error message; ``rows`` is (..., V) with V >= 1, numbers of any precision, or
    torch tensors; ``ndim``, if given, is the number of axes required; ``normalise`` divides each row by its sum,
    taken in float64, instead of asking that it is 1.
    Raises ``ValueError`` for a wrong shape, a negative or NaN entry, or a row that does not sum to 1
    (float64: within 1e-9; Fractions: exactly; with ``normalise``: that sums to 0); ``TypeError`` for entries that are
    not numbers, for floats mixed with Fractions, and for a masked array.
    """
    array = check_entries(name, rows, ndim)
    flat = array.reshape(-1, array.shape[-1])
    if not normalise:
        check_sums(name, flat)
        return array
    empty = flat.sum(axis=-1) == 0
    if empty.any():
        raise ValueError(f"{name} row {int(np.argmax(empty))} sums to 0: it cannot be normalised")
    return normalised(array)


def over_own_sums(rows: Row) -> Row:
    """Rows (..., V), those of float64 that miss 1 by more than rounding divided by their own sums.

    What misses it by more than ``check_rows`` allows is no row: it is left to that check.
    """
    if is_exact(rows):
        return rows
    totals = rows.sum(axis=-1, keepdims=True)
    misses = np.abs(totals - 1.0)
    missed = (misses > SUM_ROUNDING) & (misses <= SUM_TOLERANCE)
    return np.where(missed, rows / totals, rows) if missed.any() else rows


def check_entries(name: str, rows: ArrayLike, ndim: int | None = None) -> Row:
    """The rows as an array of float64 or of Fractions, nonnegative and finite; sums are not looked at.

    Parameters and errors are those of :func:`check_rows`, without the test of the sums.
    """
    array = as_numbers(name, rows, ndim)
    _check_signs(name, array.reshape(-1, array.shape[-1]))
    return array


def as_numbers(name: str, rows: ArrayLike, ndim: int | None = None) -> Row:
    """The rows as an array (..., V), V >= 1, of float64 or of Fractions, whatever numbers these are.

    Parameters and errors are those of :func:`check_rows`, without any test of the numbers.
    """
    array = _as_numbers(name, _as_array(name, rows))
    if array.ndim == 0 or array.shape[-1] == 0 or (ndim is not None and array.ndim != ndim):
        wanted = {1: "(V,)", 2: "(N, V)"}.get(ndim or 0, "(..., V)")
        raise ValueError(f"{name} must have shape {wanted} with V >= 1, but has shape {array.shape}")
    return array


def _as_array(name: str, values: ArrayLike) -> Row:
    """The values as an array; raises if they do not fill a rectangle, or are masked."""
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be lost: fill it first, as by filled(0)")
    try:
        return np.asarray(_without_torch(values))
    except ValueError as error:
        raise ValueError(f"{name} must be an array of numbers, with rows of one length: {error}") from None


def _without_torch(values: Any) -> Any:
    """The values with torch tensors, of any type and on any device, as float64 arrays; others as they are."""
    if type(values).__module__.partition(".")[0] == "torch":
        return values.detach().cpu().double().numpy()
    if isinstance(values, (list, tuple)) and values and not isinstance(values[0], (float, int, Fraction)):
        return [_without_torch(value) for value in values]
    return values


def _as_numbers(name: str, array: Row) -> Row:
    """The array in float64, or in Fractions when its entries are exact numbers held as objects."""
    if array.dtype.kind in "fiu" or array.dtype.name == "bfloat16":  # a type that other libraries add to NumPy
        return array.astype(np.float64, copy=False)
    if array.dtype != object:
        raise TypeError(f"{name} must hold floats or Fractions, but has dtype {array.dtype}")
    kinds = {type(value) for value in array.flat}
    if kinds == {Fraction}:
        return array
    if not all(issubclass(kind, (Fraction, Integral)) for kind in kinds):
        odd = next(value for value in array.flat if not isinstance(value, (Fraction, Integral)))
        raise TypeError(f"{name} holds {odd!r}; an exact row holds Fractions only, no floats")
    return exact(array)


def _check_signs(name: str, rows: Row) -> None:
    """Raise for the first entry that is negative, NaN or infinite."""
    if rows.size and rows.min() >= 0 and rows.max() < np.inf:  # a NaN would make the minimum NaN
        return
    bad = rows < 0 if is_exact(rows) else ~(rows >= 0) | np.isinf(rows)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        value = rows[row, column]
        raise ValueError(f"{name} row {row} has the entry {value} at token {column}; entries must be >= 0")


def check_sums(name: str, rows: Row, needed: NDArray[np.bool_] | None = None) -> None:
    """Raise ``ValueError`` for the first row of (N, V) whose sum is not 1, of those that are ``needed`` (N,)."""
    totals = rows.sum(axis=-1)
    bad = totals != 1 if is_exact(rows) else np.abs(totals - 1.0) > SUM_TOLERANCE
    if needed is not None:
        bad = bad & needed
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{name} row {row} sums to {totals[row]}, not 1: {WAYS_ON}")


def exact(array: ArrayLike) -> Row:
    """The same numbers as Fractions; a float becomes the binary fraction that it is, unrounded."""
    values = np.asarray(array)
    out = np.empty(values.shape, dtype=object)
    for index, value in np.ndenumerate(values):
        out[index] = Fraction(int(value)) if isinstance(value, Integral) else Fraction(value)
    return out


def check_count(name: str, value: int, least: int) -> int:
    """The integer as a plain int; raises if it is not an integer or lies below ``least``."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, but is {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, but is {value}")
    return int(value)


def check_temperature(temperature: float) -> None:
    """Raise ``ValueError`` unless the temperature is finite and at least 0."""
    if not temperature >= 0 or np.isinf(temperature):
        raise ValueError(f"temperature must be finite and at least 0, but is {temperature}")


def apply_temperature(rows: Row, temperature: float) -> Row:
    """Rows (..., V) proportional to ``rows ** (1 / temperature)``, float64.

    ``temperature`` >= 0; at 0 the row is one-hot at its largest entry, the first of equals.  Equal to
    dividing logits by the temperature before the softmax.  Raises ``ValueError`` for a negative or NaN
    temperature, ``TypeError`` for Fractions unless the temperature is 0 or 1.
    """
    check_temperature(temperature)
    if temperature == 1:
        return rows
    if temperature == 0:
        greedy = rows * 0
        np.put_along_axis(greedy, rows.argmax(axis=-1)[..., None], greedy.flat[0] + 1, axis=-1)
        return greedy
    if is_exact(rows):
        raise TypeError(f"temperature {temperature} makes irrational rows: convert to float64 first")
    scaled = (rows / rows.max(axis=-1, keepdims=True)) ** (1.0 / temperature)
    return normalised(scaled)


def keep_top_k(rows: Row, k: int | None) -> Row:
    """Rows (..., V) cut to their k largest entries and renormalised; ``None`` keeps all.

    Of equal entries the lower token is kept, so that exactly min(k, V) tokens remain.
    """
    if k is None or check_count("top_k", k, 1) >= rows.shape[-1]:
        return rows
    dropped = np.argsort(-rows, axis=-1, kind="stable")[..., k:]
    cut = rows.copy()
    np.put_along_axis(cut, dropped, np.take_along_axis(rows * 0, dropped, axis=-1), axis=-1)
    return normalised(cut)


def keep_top_p(rows: Row, p: float | Fraction) -> Row:
    """Rows (..., V) cut to the fewest largest entries whose sum reaches p, renormalised; 1 keeps all.

    0 < p <= 1.  Of equal entries the lower token comes first.
    """
    if not 0 < p <= 1:
        raise ValueError(f"top_p must lie in (0, 1], but is {p}")
    if p == 1:
        return rows
    order = np.argsort(-rows, axis=-1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=-1)
    before = np.cumsum(ordered, axis=-1) - ordered
    kept = np.where(before < p, ordered, ordered * 0)
    cut = np.empty_like(rows)
    np.put_along_axis(cut, order, kept, axis=-1)
    return normalised(cut)


def normalised(masses: Row) -> Row:
    """Masses (..., V) divided by their sum along the last axis.

    Raises ``ValueError`` where a sum is 0.
    """
    totals = masses.sum(axis=-1, keepdims=True)
    if (totals == 0).any():
        raise ValueError("cannot normalise masses that sum to 0")
    return masses / totals


def total_variation(first: Row, second: Row) -> Any:
    """Half the sum of absolute differences of two laws along the last axis, in [0, 1]; exact for Fractions."""
    return np.abs(first - second).sum(axis=-1) / 2


def entropy(row: Row) -> Any:
    """Entropy of float64 rows (..., V) in nats, with 0 log 0 = 0."""
    logs = np.log(row, where=row > 0, out=np.zeros_like(row))
    return -(row * logs).sum(axis=-1)


def draw(row: Row, uniforms: ArrayLike) -> NDArray[np.int64]:
    """Tokens drawn from one row (V,) by inverse distribution function, one for each uniform in [0, 1).

    The token returned always has positive probability, whatever the rounding of the cumulative sum.
    Raises ``ValueError`` for a uniform outside [0, 1), and for a row that sums to 0 or NaN.
    """
    coins = np.asarray(uniforms, dtype=np.float64)
    if not ((coins >= 0) & (coins < 1)).all():
        raise ValueError(f"uniforms must lie in [0, 1), but are {uniforms!r}")
    cumulative = np.cumsum(row.astype(np.float64))
    if not cumulative[-1] > 0:
        raise ValueError(f"cannot draw from a row that sums to {cumulative[-1]}")
    tokens = np.searchsorted(cumulative, coins * cumulative[-1], side="right")
    last = int(np.flatnonzero(row)[-1])
    return np.minimum(tokens, last)


Scalar = Any
"""A float, or a Fraction."""


class RowKey:
    """A row (V,) that can be looked up: keys are equal if the rows are, in one arithmetic.

    The key holds the row's values as they were when it was made; ``row`` is a copy of them.
    """

    def __init__(self, row: Row) -> None:
        self._exact = is_exact(row)
        self._values: Any = tuple(row) if self._exact else row.tobytes()
        self._dtype = row.dtype
        self._hash = hash(self._values)

    @property
    def row(self) -> Row:
        """(V,) a fresh copy of the values."""
        return np.array(self._values, dtype=object) if self._exact else np.frombuffer(self._values, self._dtype).copy()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RowKey):
            return NotImplemented
        return (self._exact, self._dtype, self._values) == (other._exact, other._dtype, other._values)
