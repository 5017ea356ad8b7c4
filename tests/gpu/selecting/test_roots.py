"""Roots along texts: rows are those of plain passes, shards are kept whole and go on, other plans are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from selector_tiny import ROOTS, head_pair, layer_pair

from veridraft.gpu.decoding.drafting.known import TextStates
from veridraft.gpu.decoding.recording import PromptPair
from veridraft.gpu.selecting.data import roots
from veridraft.gpu.selecting.data.roots import RootWalk, draw_roots, record_text, shard_names
from veridraft.gpu.selecting.data.texts import Text
from veridraft.gpu.selecting.plan import HELD_OUT, LEARN
from veridraft.gpu.trees.sampling import Sampling
from veridraft.theory import DySpec, Iid, Static, TopK, Topology
from veridraft.theory.efficiency.nested import action_values

TEXT = Text((3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5), 4, 1)
SAMPLING = ROOTS.samplings[1]


def silent(*told):
    pass


@pytest.fixture(params=[layer_pair, head_pair], ids=["layers", "head"])
def pair(request):
    return request.param()


@torch.inference_mode()
def test_rows_of_every_root_and_tree_are_those_of_plain_passes(pair):
    walk = RootWalk(pair, TEXT.tokens, TextStates.of(pair, TEXT.tokens), SAMPLING, room=40)
    for root in TEXT.roots(ROOTS):
        walk.go_to(root)
        plain = PromptPair(pair, TEXT.tokens[: root + 1], SAMPLING)
        for seed in range(2):
            nested, target, draft = walk.nested(ROOTS.grid, np.random.default_rng(seed))
            for number, context in enumerate(nested.contexts):
                np.testing.assert_allclose(target[number], plain.target_row(context), atol=1e-5)
                np.testing.assert_allclose(draft[number], plain.draft_row(context), atol=1e-5)


SHAPES = (DySpec(6), Iid(3, 2), TopK(2, 2, 4), Static(Topology.k_ary(2, 2), replacement=False))


@torch.inference_mode()
@pytest.mark.parametrize("policy", SHAPES)
def test_a_tree_of_any_policy_has_the_rows_of_plain_passes(pair, policy):
    sampling = Sampling(0.0, draft_temperature=0.8)
    walk = RootWalk(pair, TEXT.tokens, TextStates.of(pair, TEXT.tokens), sampling, room=40)
    for root in TEXT.roots(ROOTS):
        walk.go_to(root)
        plain = PromptPair(pair, TEXT.tokens[: root + 1], sampling)
        tree = walk.tree(policy, np.random.default_rng(root))
        expected = policy.sample(plain, np.random.default_rng(root))
        np.testing.assert_array_equal(tree.tokens, expected.tokens)
        np.testing.assert_array_equal(tree.parents, expected.parents)
        assert tree.child_lists == expected.child_lists
        np.testing.assert_allclose(tree.target, expected.target, atol=1e-5)
        inner = [node for node, children in enumerate(tree.child_lists) if children]
        np.testing.assert_allclose(tree.draft[inner], expected.draft[inner], atol=1e-5)
        assert set(np.unique(tree.target)) == {0, 1}


def test_a_shard_holds_the_means_of_its_trees_and_what_is_known(pair):
    found = record_text(pair, ROOTS, TEXT, [5])
    places = TEXT.roots(ROOTS)
    assert places == [3, 6, 9] and found["values"].shape == (3, 2, 3, 2, 3, 3)
    assert found["scalars"][:, 6].tolist() == [4, 7, 10] and found["scalars"][0, 7:].tolist() == [0.7, 0.9]
    np.testing.assert_allclose(found["values"][:, :, 0, 0], found["values"][:, :, 2, 0], atol=1e-6)  # on one path
    known = TextStates.of(pair, TEXT.tokens).at(6, SAMPLING)
    np.testing.assert_allclose(found["draft_root"][1], known.draft_root, atol=1e-5)
    plain = PromptPair(pair, TEXT.tokens[:7], SAMPLING)
    entropy = -sum(p * np.log(p) for p in plain.draft_row(()) if p)
    assert found["scalars"][1, 2] == pytest.approx(entropy, abs=1e-5)
    assert (found["values"][:, :, 0, 1, :, 1:] != found["values"][:, :, 0, 1, :, 1:]).all()  # block: one path alone


def test_values_are_the_given_tree_expectations(pair):
    with torch.inference_mode():
        walk = RootWalk(pair, TEXT.tokens, TextStates.of(pair, TEXT.tokens), SAMPLING, room=40)
        walk.go_to(6)
        nested, target, draft = walk.nested(ROOTS.grid, np.random.default_rng([5, 6, 1]))
    found = record_text(pair, ROOTS, TEXT, [5])["values"][1, 1]
    for number, name in enumerate(ROOTS.verifiers):
        np.testing.assert_allclose(found[number], action_values(name, nested.trees(target, draft)), atol=1e-5)


def test_a_killed_run_goes_on_and_ends_with_the_same_files(tmp_path, monkeypatch):
    pair, whole, killed = layer_pair(), tmp_path / "whole", tmp_path / "killed"
    draw_roots(pair, ROOTS, whole, silent)
    plain, calls = roots.record_text, []

    def stops_at_the_third(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(roots, "record_text", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        draw_roots(pair, ROOTS, killed, silent)
    assert len(list(killed.glob("*.npz"))) == 2
    draw_roots(pair, ROOTS, killed, silent)
    assert len(calls) == 3 + 8
    names = shard_names(ROOTS, LEARN) + shard_names(ROOTS, HELD_OUT)
    for name in names:
        with np.load(whole / f"{name}.npz") as one, np.load(killed / f"{name}.npz") as other:
            assert all(np.array_equal(one[field], other[field], equal_nan=True) for field in one.files)


def test_another_plan_or_pair_is_refused(tmp_path):
    plan = replace(ROOTS, texts=2, held_out=2, roots=1)
    draw_roots(layer_pair(), plan, tmp_path, silent)
    with pytest.raises(ValueError, match="was made with spacing = 3, not 4: give another folder"):
        draw_roots(layer_pair(), replace(plan, spacing=4), tmp_path, silent)
    with pytest.raises(ValueError, match="was made with pair = "):
        draw_roots(layer_pair(seed=1), plan, tmp_path, silent)


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"trees": 1}, "trees must be at least 2"),
        ({"temperatures": ((0.0, 1.0),)}, "samplings must have temperatures above 0"),
        ({"verifiers": ("greedy",)}, "'greedy' is lossless for no delayed tree"),
        ({"verifiers": ("traversl",)}, "did you mean traversal"),
    ],
)
def test_plans_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        replace(ROOTS, **wrong)
