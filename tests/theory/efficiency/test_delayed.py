"""The table of all delayed trees against the programme for each."""

import numpy as np
import pytest
from layered_pairs import exact_layers

from veridraft.theory import Delayed, block_efficiency
from veridraft.theory.efficiency.delayed import efficiency_of, reach_by_action
from veridraft.theory.pairs.layered import widening_pair

TOP_DOWN = ["nss", "naive_tree", "specinfer", "spectr"]


@pytest.mark.parametrize("name", TOP_DOWN)
@pytest.mark.parametrize("classes", [True, False])
def test_every_shape_has_the_value_of_its_own_programme(name, classes):
    pair = exact_layers(3, "full", seed=2, depth=3, classes=classes)
    table = reach_by_action(name, pair, paths=3, depth=3)
    for paths in (1, 2, 3):
        for trunk in range(4):
            for branch in range(4 - trunk):
                policy = Delayed(paths, trunk, branch)
                assert efficiency_of(table, policy) == block_efficiency(name, policy, pair, method="dp").value


def test_floats_and_another_root():
    pair = widening_pair(12, 7, seed=3, growth=0.1)
    table = reach_by_action("spectr", pair, 4, 6, context=(5, 2))
    for policy in (Delayed(4, 2, 4), Delayed(3, 0, 5), Delayed(1, 0, 6), Delayed(2, 6, 0)):
        expected = block_efficiency("spectr", policy, pair, method="dp", context=(5, 2)).value
        assert efficiency_of(table, policy) == pytest.approx(expected, abs=1e-13)
    assert (np.diff(table, axis=2) <= 1e-15).all()


def test_refusals():
    pair = widening_pair(3, 2)
    with pytest.raises(ValueError, match="'traversal' is not top-down with a known joint law"):
        reach_by_action("traversal", pair, 2, 2)
    with pytest.raises(ValueError, match="depth of the table must be at least 3, but is 2"):
        efficiency_of(reach_by_action("nss", pair, 2, 2), Delayed(2, 1, 2))
