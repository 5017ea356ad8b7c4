"""Bad trees: an error that names the argument, the row and the value, raised before any work."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from veridraft.theory import VERIFIERS, DraftTree
from veridraft.theory.rows import NO_PARENT, NO_TOKEN

GOOD = np.full((2, 2), 0.5)


def build(**changes) -> DraftTree:
    """The tree of one sampled token, with fields replaced."""
    fields = {
        "tokens": np.array([NO_TOKEN, 0]),
        "parents": np.array([NO_PARENT, 0]),
        "child_lists": ((1,), ()),
        "target": GOOD,
        "draft": GOOD,
    }
    return DraftTree(**(fields | changes))


BAD_TREES = {
    "token outside": ({"tokens": np.array([NO_TOKEN, 2])}, r"tokens row 1 is 2; it must lie in \[0, 2\)"),
    "negative token": ({"tokens": np.array([NO_TOKEN, -1])}, r"tokens row 1 is -1; it must lie in \[0, 2\)"),
    "float tokens": ({"tokens": np.array([-1.0, 0.0])}, r"tokens must be integers .* dtype float64"),
    "token count": ({"tokens": np.array([NO_TOKEN])}, r"tokens must be integers of shape \(N,\) = \(2,\)"),
    "root token": ({"tokens": np.array([0, 0])}, r"its token and parent must be -1, but are 0 and -1"),
    "root parent": ({"parents": np.array([0, 0])}, r"node 0 is the root"),
    "own parent": ({"parents": np.array([NO_PARENT, 1])}, r"parents row 1 is 1; it must lie in \[0, 1\)"),
    "second root": ({"parents": np.array([NO_PARENT, -1])}, r"parents row 1 is -1"),
    "stranger": ({"child_lists": ((1, 2), ())}, r"child_lists row 0 is \(1, 2\), but its children are \[1\]"),
    "own child": ({"child_lists": ((1,), (1,))}, r"child_lists row 1 is \(1,\), but its children are \[\]"),
    "forgotten child": ({"child_lists": ((), ())}, r"child_lists row 0 is \(\), but its children are \[1\]"),
    "no nodes": (
        {"tokens": np.empty(0, int), "parents": np.empty(0, int), "child_lists": ()},
        r"tokens must be integers of shape \(N,\) = \(0,\) with N >= 1",
    ),
    "rows for fewer nodes": ({"draft": GOOD[:1]}, r"target and draft must both be \(N, V\) with N = 2"),
    "another vocabulary": ({"draft": np.full((2, 4), 0.25)}, r"shapes \(2, 2\) and \(2, 4\)"),
    "impossible sample": (
        {"draft": np.array([[0.0, 1.0], [0.5, 0.5]])},
        r"tokens row 1 is 0, but the draft row 0 gives that token probability 0",
    ),
    "draft row missing": ({"draft": np.zeros((2, 2))}, r"draft row 0 sums to 0.0, not 1"),
    "half a leaf row": ({"draft": np.array([[0.5, 0.5], [0.5, 0.0]])}, r"draft row 1 sums to 0.5, not 1"),
    "flags of another shape": ({"sampled": [True] * 3}, r"sampled must be booleans of shape \(N,\) = \(2,\)"),
    "flags of another type": ({"sampled": [0.5, 1.0]}, r"sampled must be booleans"),
}


@pytest.mark.parametrize("case", BAD_TREES)
def test_a_bad_tree_is_named(case: str) -> None:
    changes, message = BAD_TREES[case]
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_a_cycle_of_parents_is_named() -> None:
    with pytest.raises(ValueError, match=r"parents row 1 is 2; it must lie in \[0, 1\)"):
        build(tokens=np.array([NO_TOKEN, 0, 1]), parents=np.array([NO_PARENT, 2, 1]), child_lists=((), (2,), (1,)))


def test_two_children_of_one_token_are_named() -> None:
    with pytest.raises(ValueError, match=r"children of node 0 share a token: \[0, 0\]"):
        build(tokens=np.array([NO_TOKEN, 0, 0]), parents=np.array([NO_PARENT, 0, 0]), child_lists=((1, 2), (), ()))


def test_types_in_a_tree_are_named() -> None:
    with pytest.raises(TypeError, match=r"child_lists must be N sequences of node numbers"):
        build(child_lists=((1.0,), ()))
    with pytest.raises(TypeError, match="one arithmetic"):
        build(draft=np.array([[Fraction(1, 2)] * 2] * 2))


def test_a_node_put_there_by_rule_may_have_draft_probability_zero_but_only_where_the_verifier_holds() -> None:
    tree = build(draft=np.array([[0.0, 1.0], [0.0, 0.0]]), sampled=False)
    assert VERIFIERS["nss"].law(tree).stopping.tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="verifier 'specinfer' needs nodes sampled from the draft, but node 1 was not"):
        VERIFIERS["specinfer"].law(tree)


def half(context) -> np.ndarray:
    return np.array([0.5, 0.5])


@pytest.mark.parametrize(
    ("paths", "trunk", "message"),
    [
        ([0, 1], 0, r"paths must be integers of shape \(K, L\) with K >= 1, but have dtype int64 and shape \(2,\)"),
        (np.empty((0, 3), int), 0, r"shape \(0, 3\)"),
        ([[0.7, 1.0]], 0, r"paths must be integers .* dtype float64"),
        ([[0, 1]], -1, r"trunk must be at least 0, but is -1"),
        ([[0, 1]], 3, r"trunk is 3, but the paths have 2 tokens"),
        ([[0, 1], [1, 1]], 1, r"paths must agree in their trunk of 1 tokens"),
        ([[0, 2]], 0, r"tokens row 2 is 2; it must lie in \[0, 2\)"),
    ],
)
def test_bad_paths_are_named(paths, trunk, message) -> None:
    with pytest.raises(ValueError, match=message):
        DraftTree.from_paths(paths, half, half, trunk)


def test_rows_of_different_lengths_in_a_tree_are_named() -> None:
    with pytest.raises(ValueError, match=r"target row 1 has shape \(3,\), but row 0 has shape \(2,\)"):
        DraftTree.from_paths([[0]], lambda context: np.full(2 + len(context), 1 / (2 + len(context))), half)
