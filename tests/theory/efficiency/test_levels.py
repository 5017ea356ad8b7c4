"""RRSw and greedy draft sampling level by level, against all trees listed."""

import numpy as np
import pytest
from layered_pairs import exact_layers

from veridraft.theory import Static, Topology, TopPlusOne, block_efficiency
from veridraft.theory.efficiency import reach_by_level
from veridraft.theory.pairs.layered import LayeredPair, widening_pair


def k_ary(*widths: int) -> Static:
    """The expansion, drawn without replacement."""
    return Static(Topology.from_expansion(widths), replacement=False)


@pytest.mark.parametrize("classes", [True, False])
def test_values_are_those_of_all_trees_exactly(classes):
    pair = exact_layers(3, "full", seed=4, depth=3, classes=classes)
    distinct = [("rrsw", k_ary(*widths)) for widths in ((1, 1), (2, 3), (3, 1))]
    top = [("greedy", TopPlusOne(*shape)) for shape in ((1, 2), (2, 2), (4, 1))]
    for verifier, policy in distinct + top:
        listed = block_efficiency(verifier, policy, pair, "enumerate")
        reach = reach_by_level(verifier, policy, pair)
        assert reach.sum() == listed.value, (verifier, policy)
        assert list(reach) == list(listed.by_depth[::-1].cumsum()[::-1])


def test_floats_meet_the_programme_that_lists_and_rows_may_end_early():
    pair = widening_pair(6, 3, seed=1, start=0.4, spread=2.0)
    for one in (pair, pair.transformed(0.3), pair.transformed(0), pair.transformed(top_p=0.7)):
        for verifier, policy in [("rrsw", k_ary(3, 2)), ("greedy", TopPlusOne(3, 2))]:
            expected = block_efficiency(verifier, policy, one, "dp").value
            assert reach_by_level(verifier, policy, one).sum() == pytest.approx(expected, abs=1e-12)
    assert reach_by_level("rrsw", k_ary(3, 2), pair, context=(2, 5)).sum() == pytest.approx(
        block_efficiency("rrsw", k_ary(3, 2), pair, "dp", context=(2, 5)).value, abs=1e-12
    )


def test_nothing_is_accepted_of_rows_that_do_not_meet():
    apart = LayeredPair([([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])])
    assert list(reach_by_level("rrsw", k_ary(2, 2), apart)) == [1, 0, 0]


def test_refusals():
    pair = widening_pair(4, 2)
    for verifier, policy in (("traversal", k_ary(2, 2)), ("rrsw", Static(Topology.k_ary(2, 1), replacement=True))):
        with pytest.raises(ValueError, match="only 'rrsw' over an expansion drawn without replacement"):
            reach_by_level(verifier, policy, pair)
    with pytest.raises(ValueError, match="is not known to be lossless"):
        reach_by_level("greedy", k_ary(2, 2), pair)
    assert np.isclose(reach_by_level("rrsw", "Static(2x2)", pair)[0], 1)
