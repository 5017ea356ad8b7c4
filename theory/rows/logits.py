"""From logits to rows: temperature, top-k and top-p in float64, whatever precision the logits come in."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from .distributions import Row, as_numbers, check_temperature, keep_top_k, keep_top_p, normalised


def rows_of_logits(
    name: str,
    logits: ArrayLike,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | Fraction = 1.0,
) -> Row:
    """Float64 rows (..., V): the softmax of ``logits / temperature``, cut to the top k, then to the top p.

    Parameters
    ----------
    name : stands in error messages
    logits : (..., V) with V >= 1, of any precision, or torch tensors; minus infinity is a token that is masked out
    temperature : >= 0; at 0 a row is one-hot at its largest logit, the first of equals
    top_k, top_p : as in :func:`.keep_top_k` and :func:`.keep_top_p`; ``None`` and 1 keep all

    Raises ``ValueError`` that names the row for NaN, plus infinity, and a row of minus infinities alone.
    """
    check_temperature(temperature)
    array = as_numbers(name, logits).astype(np.float64)
    _check_logits(name, array.reshape(-1, array.shape[-1]))
    below = array - array.max(axis=-1, keepdims=True)  # before the quotient, which a tiny temperature would overflow
    if temperature == 0:
        rows = np.zeros_like(array)
        np.put_along_axis(rows, array.argmax(axis=-1)[..., None], 1.0, axis=-1)
        return rows
    with np.errstate(over="ignore"):  # minus infinity, of probability 0
        rows = normalised(np.exp(below / temperature))
    return keep_top_p(keep_top_k(rows, top_k), top_p)


def _check_logits(name: str, rows: Row) -> None:
    """Raise for the first row of (N, V) that has no softmax."""
    bad = np.isnan(rows) | np.isposinf(rows)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(f"{name} row {row} has the logit {rows[row, column]} at token {column}")
    masked = np.isneginf(rows).all(axis=-1)
    if masked.any():
        raise ValueError(f"{name} row {int(np.argmax(masked))} masks out every token: all its logits are -inf")
