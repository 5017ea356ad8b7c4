"""Bad rows and arguments: an error that names the argument, the row and the value, raised before any work."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from veridraft.theory import DraftTree, MarkovPair
from veridraft.theory.rows import NO_PARENT, NO_TOKEN, apply_temperature, check_rows, draw, keep_top_k, keep_top_p

GOOD = np.full((2, 2), 0.5)

BAD_ROWS = {
    "sum": ([[0.5, 0.5], [0.5, 0.48]], ValueError, r"draft row 1 sums to 0.98, not 1"),
    "negative": ([[0.5, 0.5], [1.25, -0.25]], ValueError, r"draft row 1 has the entry -0.25 at token 1"),
    "NaN": ([[0.5, float("nan")], [0.5, 0.5]], ValueError, r"draft row 0 has the entry nan at token 1"),
    "infinite": ([[0.5, 0.5], [0.5, float("inf")]], ValueError, r"draft row 1 has the entry inf at token 1"),
    "minus infinity": ([[-float("inf"), 0.5], [0.5, 0.5]], ValueError, r"draft row 0 has the entry -inf at token 0"),
    "fraction sum": ([[Fraction(1, 2), Fraction(1, 3)]] * 2, ValueError, r"draft row 0 sums to 5/6, not 1"),
    "negative fraction": ([[Fraction(3, 2), Fraction(-1, 2)]] * 2, ValueError, r"draft row 0 has the entry -1/2"),
    "mixed": ([[Fraction(1, 2), 0.5]] * 2, TypeError, r"draft holds 0.5"),
    "text": ([["a", "b"]] * 2, TypeError, r"draft must hold floats or Fractions"),
    "None": ([[None, 1]] * 2, TypeError, r"draft holds None"),
    "booleans": ([[True, False]] * 2, TypeError, r"draft must hold floats or Fractions, but has dtype bool"),
    "complex": ([[0.5, 0.5j]] * 2, TypeError, r"draft must hold floats or Fractions, but has dtype complex128"),
    "ragged": ([[1.0], [0.5, 0.5]], ValueError, r"draft must be an array of numbers, with rows of one length"),
    "too few axes": ([0.5, 0.5], ValueError, r"draft must have shape \(N, V\) with V >= 1, but has shape \(2,\)"),
    "empty": (np.empty((2, 0)), ValueError, r"draft must have shape \(N, V\) with V >= 1, but has shape \(2, 0\)"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_are_named(case: str) -> None:
    rows, error, message = BAD_ROWS[case]
    with pytest.raises(error, match=message):
        check_rows("draft", rows, ndim=2)


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_pair_and_a_tree_refuse_the_same_rows(case: str) -> None:
    rows, error, message = BAD_ROWS[case]
    target = np.array([[Fraction(1, 2)] * 2] * 2) if "fraction" in case else GOOD
    with pytest.raises(error, match=message):
        MarkovPair(target, rows)
    with pytest.raises(error, match=message):
        DraftTree(np.array([NO_TOKEN, 0]), np.array([NO_PARENT, 0]), ((1,), ()), target, rows)


def test_rows_may_miss_one_by_1e_9_and_no_more_and_are_not_repaired() -> None:
    near = np.array([0.5, 0.5 + 0.9e-9])
    assert check_rows("draft", near).sum() != 1
    with pytest.raises(ValueError, match="draft row 0 sums to"):
        check_rows("draft", np.array([0.5, 0.5 + 1.1e-9]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: apply_temperature(GOOD, float("nan")), "temperature must be finite and at least 0, but is nan"),
        (lambda: apply_temperature(GOOD, float("inf")), "temperature must be finite and at least 0, but is inf"),
        (lambda: keep_top_k(GOOD, -1), "top_k must be at least 1, but is -1"),
        (lambda: keep_top_p(GOOD, 1.5), r"top_p must lie in \(0, 1\], but is 1.5"),
        (lambda: keep_top_p(GOOD, float("nan")), r"top_p must lie in \(0, 1\], but is nan"),
        (lambda: draw(GOOD[0], [0.5, 1.0]), r"uniforms must lie in \[0, 1\), but are \[0.5, 1.0\]"),
        (lambda: draw(GOOD[0], float("nan")), r"uniforms must lie in \[0, 1\), but are nan"),
        (lambda: draw(np.zeros(2), 0.5), r"cannot draw from a row that sums to 0\.0"),
    ],
)
def test_bad_arguments_of_row_functions_are_named(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()
