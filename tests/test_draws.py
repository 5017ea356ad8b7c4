"""The quick draws of other tests are those of NumPy, coin for coin."""

from __future__ import annotations

import numpy as np
import pytest
from draws import choice, pick


def test_choice_is_that_of_the_generator_and_leaves_it_in_the_same_state():
    rows = np.random.default_rng(0)
    for seed in range(300):
        row = rows.dirichlet(np.full(rows.integers(1, 9), 0.3))
        one, other = np.random.default_rng(seed), np.random.default_rng(seed)
        assert choice(row, one) == other.choice(len(row), p=row)
        assert one.random() == other.random()
    with pytest.raises(ValueError, match="do not sum to 1"):
        choice(np.array([0.5, 0.4]), np.random.default_rng(0))


def test_pick_is_the_inverse_distribution_function_and_never_a_token_of_probability_0():
    row = np.array([0.0, 0.25, 0.0, 0.75, 0.0])
    assert [pick(row, uniform) for uniform in (0.0, 0.25, 0.2, 0.99, 1.0)] == [1, 3, 1, 3, 3]
