"""Pairs whose draft errs in its logits."""

import numpy as np
import pytest

from veridraft.theory.pairs import noisy_pair


def test_errors_grow_with_depth_and_the_target_stays():
    pair = noisy_pair(6, 3, seed=4, noise=0.5, growth=0.25, spread=2.0)
    first, second = pair.layer(1), pair.layer(3)
    assert np.array_equal(first.target, second.target)
    errors = [np.log(layer.draft / layer.target) for layer in (first, second)]
    centred = [one - one.mean(axis=1, keepdims=True) for one in errors]
    assert centred[1] == pytest.approx(centred[0] * (0.5 + 0.75) / (0.5 + 0.25))
    assert pair.layer(9) is pair.layer(3)
    assert noisy_pair(6, 3, noise=0).layer(2).total_variation == pytest.approx(0)


def test_neither_row_bounds_the_other():
    layer = noisy_pair(32, 1, seed=1).layer(1)
    ratios = (layer.target / layer.draft).max(axis=1)
    assert ratios.min() > 1.5 and ratios.max() > 8


@pytest.mark.parametrize("name", ["noise", "growth", "spread"])
def test_a_negative_number_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be finite and at least 0, but is -1"):
        noisy_pair(3, 1, **{name: -1})
