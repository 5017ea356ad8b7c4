"""Draft trees and the law given a tree."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import NINE, TREE_NAMES, ExactPair, exact_pairs

from veridraft.theory import VERIFIERS, Chain, DraftTree, Iid, dirichlet_pair, zipf_pair
from veridraft.theory.rows import NO_PARENT, NO_TOKEN, is_exact

A, B, C, D, E = range(5)
UNIFORM = np.full(5, 0.2)


def uniform_tree(paths, trunk=0) -> DraftTree:
    return DraftTree.from_paths(paths, lambda context: UNIFORM, lambda context: UNIFORM, trunk)


def random_tree(pair, data) -> DraftTree:
    """A tree of up to four paths of up to three tokens that the draft can have drawn."""
    paths = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 3))
    return Iid(*paths).sample(pair, np.random.default_rng(data.draw(st.integers(0, 2**32))))


def test_traversal_decides_depth_first_in_draw_order() -> None:
    tree = uniform_tree([[A, B], [C, D], [A, E]])
    decided = [tree.context(node) for node in tree.post_order()]
    assert decided == [(A, B), (A, E), (A,), (C, D), (C,), ()]


def test_nodes_are_merged_with_multiplicity() -> None:
    tree = uniform_tree([[A, B], [A, B], [A, E]])
    assert tree.tokens.tolist() == [NO_TOKEN, A, B, E]
    assert tree.parents.tolist() == [NO_PARENT, 0, 1, 1]
    assert tree.child_lists == ((1, 1, 1), (2, 2, 3), (), ())
    assert tree.depths.tolist() == [0, 1, 2, 2]
    assert tree.children == ((1,), (2, 3), (), ())


def test_a_trunk_is_one_draw() -> None:
    tree = uniform_tree([[A, B], [A, B], [A, E]], trunk=1)
    assert tree.child_lists == ((1,), (2, 2, 3), (), ())
    assert not tree.is_path
    assert uniform_tree([[A, B], [A, B]], trunk=2).is_path


def test_a_leaf_needs_no_draft_row() -> None:
    asked = []
    DraftTree.from_paths([[A, B]], lambda context: UNIFORM, lambda context: asked.append(context) or UNIFORM)
    assert asked == [(), (A,)]


def test_a_tree_cannot_be_written_to_and_leaves_the_callers_arrays_alone() -> None:
    target = np.stack([UNIFORM] * 2)
    tree = DraftTree(np.array([NO_TOKEN, A]), np.array([NO_PARENT, 0]), ((1,), ()), target, target)
    with pytest.raises(ValueError, match="read-only"):
        tree.target[0, 0] = 1
    target[0, 0] = 0.2
    assert target.flags.writeable


@pytest.mark.parametrize("name", TREE_NAMES)
@given(pair=exact_pairs(), data=st.data())
def test_the_law_given_a_tree_is_a_law_exactly(name, pair, data) -> None:
    tree = random_tree(pair, data)
    law = VERIFIERS[name].law(tree, rows=True)
    assert law.stopping.sum() == 1 and (law.stopping >= 0).all()
    reached = law.stopping > 0
    assert (law.next_token[reached].sum(axis=1) == 1).all()
    assert not law.next_token[~reached].any()
    law.check()


@pytest.mark.parametrize("name", TREE_NAMES)
@given(pair=exact_pairs(), data=st.data())
def test_the_next_token_is_never_a_child_of_the_node_where_it_stops(name, pair, data) -> None:
    law = VERIFIERS[name].law(random_tree(pair, data), rows=True)
    for node in np.flatnonzero(law.stopping):
        children = list(law.tree.children[node])
        assert not law.next_token[node][law.tree.tokens[children]].any()
        assert not law.next_token[node][law.tree.target[node] == 0].any()


@pytest.mark.parametrize("name", TREE_NAMES)
@given(pair=exact_pairs(), data=st.data())
def test_moments_and_profile_follow_from_the_stopping_probabilities(name, pair, data) -> None:
    law = VERIFIERS[name].law(random_tree(pair, data))
    depths = np.arange(len(law.by_depth))
    assert law.by_depth.sum() == 1
    assert law.acceptance_length == (law.by_depth * depths).sum()
    assert law.block_efficiency == law.acceptance_length + 1
    assert law.variance == (law.by_depth * depths**2).sum() - law.acceptance_length**2


@pytest.mark.parametrize("name", TREE_NAMES)
@given(pair=exact_pairs(), data=st.data())
def test_rows_at_once_are_the_rows_computed_later(name, pair, data) -> None:
    tree = random_tree(pair, data)
    law = VERIFIERS[name].law(tree)
    assert law.rows is None
    assert (law.next_token == VERIFIERS[name].law(tree, rows=True).rows).all()


@pytest.mark.parametrize("name", TREE_NAMES)
@given(pair=exact_pairs(), data=st.data())
def test_floats_and_fractions_give_one_law(name, pair, data) -> None:
    tree = random_tree(pair, data)
    rounded = DraftTree(
        tree.tokens, tree.parents, tree.child_lists, tree.target.astype(float), tree.draft.astype(float)
    )
    exact_law, float_law = VERIFIERS[name].law(tree, rows=True), VERIFIERS[name].law(rounded, rows=True)
    assert is_exact(exact_law.stopping) and not is_exact(float_law.stopping)
    tolerance = 1e-4 if "k_seq" in name or name == "spectr" else 1e-12  # K-SEQ's exact rho is rounded to 2^-20
    assert np.abs(exact_law.stopping.astype(float) - float_law.stopping).max() < tolerance
    joint = [law.next_token * law.stopping[:, None] for law in (exact_law, float_law)]
    assert np.abs(joint[0].astype(float) - joint[1]).max() < tolerance


def test_a_tree_of_the_root_alone_emits_the_target() -> None:
    for verifier in NINE:
        law = verifier.law(uniform_tree(np.empty((1, 0), dtype=int)), rows=True)
        assert law.stopping.tolist() == [1]
        assert law.variance == 0
        assert (law.next_token == UNIFORM).all()


def test_the_order_of_the_list_matters_to_a_lift() -> None:
    pair = ExactPair(3, "full", 3)
    laws = [VERIFIERS["traversal"].law(DraftTree.from_paths(paths, pair.target_row, pair.draft_row))
            for paths in ([[0], [1]], [[1], [0]])]  # fmt: skip
    assert laws[0].stopping.tolist() != laws[1].stopping[[0, 2, 1]].tolist()
    assert all(isinstance(law.acceptance_length, Fraction) for law in laws)


@pytest.mark.parametrize("verifier", NINE, ids=lambda verifier: verifier.name)
@pytest.mark.parametrize("noise", [0.0, 0.3, 3.0])
def test_a_large_vocabulary_keeps_the_law_normalised(verifier, noise) -> None:
    pair = zipf_pair(49_152, seed=2, exponent=1.5, noise=noise)
    policy = Iid(4, 3) if verifier.supports(Iid(4, 3)) else Chain(6)
    law = verifier.law(policy.sample(pair, np.random.default_rng(0)), rows=True)
    assert law.stopping.sum() == pytest.approx(1, abs=1e-12)
    rows = law.next_token[law.stopping > 0]
    assert np.abs(rows.sum(axis=1) - 1).max() < 1e-12
    assert (rows >= 0).all()


@pytest.mark.parametrize("verifier", NINE, ids=lambda verifier: verifier.name)
def test_rows_equal_up_to_noise_are_accepted_up_to_that_noise(verifier) -> None:
    rng = np.random.default_rng(4)
    target = rng.dirichlet(np.ones(5000))
    draft = target * (1 + 1e-12 * rng.standard_normal(5000))
    for row in (target, target * (1 + 5e-10)):
        paths = rng.choice(5000, size=(3 if verifier.name in TREE_NAMES else 1, 2), p=target)
        tree = DraftTree.from_paths(paths, lambda context, row=row: row, lambda context: draft)
        law = verifier.law(tree, rows=True)
        law.check()
        assert law.stopping.sum() == pytest.approx(1, abs=1e-12)
        assert verifier.name == "nss" or law.acceptance_length > 2 - 1e-8


def test_sampled_trees_of_every_kind_have_a_law() -> None:
    rng = np.random.default_rng(7)
    for seed, concentration in enumerate((0.01, 0.1, 1.0, 10.0)):
        pair = dirichlet_pair(50, seed, concentration, closeness=0.3)
        for verifier in NINE:
            verifier.law((Iid(4, 4) if verifier.name in TREE_NAMES else Chain(5)).sample(pair, rng)).check()
