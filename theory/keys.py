"""Rows as dictionary keys, so that what was built for a pair of rows can be remembered."""

from __future__ import annotations

from typing import Any

import numpy as np

from .distributions import Row, is_exact


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
