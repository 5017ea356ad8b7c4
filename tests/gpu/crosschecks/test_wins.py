"""Verifiers and policies at the same roots: the laws of the very trees, a file that goes on, bad input."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import tiny_head, tiny_pair

from veridraft.gpu.crosschecks import wins as same_roots
from veridraft.gpu.crosschecks.wins import RootPlan, walk_roots
from veridraft.gpu.decoding.recording import PromptPair
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.files.kinds import WinsFile
from veridraft.gpu.models.pairs import ModelPair
from veridraft.theory.verifiers.table import get_verifier

PART = (["naive", "block", "traversal", "nss"], ["Chain(2)", "Iid(2, 2)", "NGram(2)", "TopK(2, 2, 3)"])


def plan_of(pair, **numbers) -> RootPlan:
    chosen = {"texts": 2, "roots": 7, "stride": 2} | numbers
    return RootPlan.of("full", pair, *PART, temperatures=[0.7], top_ps=[1.0], **chosen)


def walked(pair, plan, folder=None, texts=None) -> WinsFile:
    return next(file for done, total, file in walk_roots(pair, plan, folder, "test") if done == (texts or total))


def test_every_pairing_is_looked_at_in_every_unit():
    pair = tiny_pair()
    plan = plan_of(pair)
    file = walked(pair, plan)
    assert {"nss Chain(0)", "nss NGram(2, 3)", "nss TopK(2, 2, 3)", "block Chain(2)", "traversal Iid(2, 2)"} <= {
        same_roots.name_of(*one) for one in plan.pairings
    }
    for cell in file.cells:
        assert [unit["roots"] for unit in cell["units"]] == [5, 2]
        for unit in cell["units"]:
            assert set(unit["cells"]) == {same_roots.name_of(*one) for one in plan.pairings}
            assert set(unit["policies"]) == {policy.name for _, policy in plan.pairings}
            assert unit["cells"]["nss Chain(0)"]["tokens"] == unit["policies"]["Chain(0)"]["nodes"] == unit["roots"]
            assert unit["policies"]["Chain(0)"]["draft"]["wall"] == unit["policies"]["NGram(2, 3)"]["draft"]["wall"] * 0
            assert all(one["target"]["wall"] > 0 for one in unit["policies"].values())
            assert all(one["verification"]["wall"] > 0 for one in unit["cells"].values())


def test_a_head_drafts_the_rows_at_every_root_that_it_drafts_in_the_decoder(monkeypatch):
    target = tiny_pair().target
    pair, seen = ModelPair(target, tiny_head(target), None, "tiny", "head"), []
    look = same_roots._TextWalk._look

    def kept(walk, active, unit):
        seen.append((tuple(active[0].writing.text), walk.draft))
        before = len(trees)
        look(walk, active, unit)
        for tree in trees[before:]:
            drawn, rows = tree.to_theory(), PromptPair(pair, seen[-1][0], walk.sampling)
            for node in range(drawn.size):
                if drawn.child_lists[node] and drawn.sampled.all():
                    np.testing.assert_allclose(drawn.draft[node], rows.draft_row(drawn.context(node)), atol=2e-5)

    trees, decide = [], same_roots._TextWalk._decide

    def decided(walk, verifier, policy, tree, unit):
        trees.append(tree.tree(0))
        decide(walk, verifier, policy, tree, unit)

    monkeypatch.setattr(same_roots._TextWalk, "_look", kept)
    monkeypatch.setattr(same_roots._TextWalk, "_decide", decided)
    (cell,) = walked(pair, plan_of(pair, texts=1, roots=3)).cells
    assert len(seen) == 4 and len({text for text, _ in seen}) == 3 and sum(u["roots"] for u in cell["units"]) == 3


def test_tokens_are_those_of_the_laws_on_one_tree_for_all_verifiers(monkeypatch):
    pair, trees = tiny_pair(), []
    decide = same_roots._TextWalk._decide

    def kept(walk, verifier, policy, tree, unit):
        trees.append((verifier, policy.name, tree))
        decide(walk, verifier, policy, tree, unit)

    monkeypatch.setattr(same_roots._TextWalk, "_decide", kept)
    (cell,) = walked(pair, plan_of(pair, texts=1, roots=2)).cells
    sums: dict[str, float] = {}
    for verifier, policy, tree in trees[len(trees) // 3 :]:  # the first look is for warming up
        name = f"{verifier} {policy}"
        sums[name] = sums.get(name, 0) + float(get_verifier(verifier).law(tree.tree(0).to_theory()).block_efficiency)
    assert {name: one["tokens"] for name, one in cell["units"][0]["cells"].items()} == pytest.approx(sums)
    of_chains = [tree for _, policy, tree in trees if policy == "Chain(2)"]
    assert len({id(tree) for tree in of_chains}) == 3, "all verifiers of a policy are asked on the same tree"
    assert len(of_chains) == 3 * sum(policy == "Chain(2)" for _, policy, _ in trees[: len(trees) // 3])


def test_looking_leaves_the_text_as_the_target_writes_it():
    pair = tiny_pair()
    plan = plan_of(pair, roots=4)
    texts = {}
    for looks in (True, False):
        walk = same_roots._TextWalk(pair, plan, plan.samplings[0], 0)
        seen = texts[looks] = []
        keep = walk.before

        def before(decoder, active, drafter, keep=keep, looks=looks, seen=seen):
            if looks:
                keep(decoder, active, drafter)
            seen.append(list(active[0].writing.text))

        walk.before = before
        request = Request(plan.prompts[0], walk.tokens, 7)
        for _ in walk.decoder.stream([request]):
            pass
        assert bool(walk.units) == looks
    assert texts[True] == texts[False] and len(texts[True]) == walk.tokens


def tokens_of(cell) -> list[float]:
    return [unit["cells"]["traversal Iid(2, 2)"]["tokens"] for unit in cell["units"]]


def test_a_run_goes_on_where_it_was_stopped(tmp_path):
    pair = tiny_pair()
    plan = plan_of(pair, roots=2)
    walked(pair, plan, tmp_path, texts=1)
    first = WinsFile.load(tmp_path).cells
    whole = walked(pair, plan, tmp_path)
    assert whole.cells[0] == first[0] and [cell["text"] for cell in whole.cells] == [0, 1]
    fresh = walked(pair, plan)
    assert tokens_of(whole.cells[1]) == pytest.approx(tokens_of(fresh.cells[1]))
    with pytest.raises(ValueError, match="holds a run whose texts is 2, not 3"):
        walked(pair, plan_of(pair, roots=2, texts=3), tmp_path)


def test_what_lists_every_child_list_is_left_out_and_said():
    plan = RootPlan.of("full", tiny_pair(), ["optimal_plan", "naive"], temperatures=[1.0], top_ps=[1.0])
    assert set(plan.left_out) == {"optimal_plan Iid(3, 3)", "optimal_plan Delayed(3, 1, 2)"}
    assert "is for small vocabularies" in plan.left_out["optimal_plan Iid(3, 3)"]
    assert {name for name, _ in plan.pairings} == {"nss", "naive"}


@pytest.mark.parametrize("name", ["texts", "roots", "stride"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, but is 0"):
        plan_of(tiny_pair(), **{name: 0})
