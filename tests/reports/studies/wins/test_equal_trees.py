"""Equal node budgets, and lifted rules beside Traversal at the same trees, on runs with a known truth."""

from __future__ import annotations

from math import log

import pytest
from wins_samples import made, told

from veridraft.reports.studies.wins.budgets import budget_of, by_budget
from veridraft.reports.studies.wins.equal_trees import equal_trees_lines, equal_trees_tables
from veridraft.reports.studies.wins.leads import Standing
from veridraft.reports.studies.wins.rows import Wins
from veridraft.reports.studies.wins.rules import against_traversal, errors_of
from veridraft.reports.studies.wins.text import wins_text

EFFICIENCY = {
    ("nss", "Chain(0)"): 1.0, ("naive", "Chain(4)"): 1.8, ("block", "Chain(8)"): 2.0, ("traversal", "Iid(4, 2)"): 2.4,
    ("lifted_k_seq", "Iid(4, 2)"): 2.5, ("naive_tree", "Iid(4, 2)"): 2.2, ("traversal", "Delayed(3, 2, 2)"): 2.4,
    ("lifted_rrs", "Delayed(3, 2, 2)"): 2.1, ("nss", "TopK(4, 3, 8)"): 2.5 * (1 + 1e-9),
}  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "budget"),
    [("Chain(0)", 0), ("Chain(4)", 4), ("Chain(5)", 8), ("Iid(2, 2)", 4), ("Iid(8, 4)", 32), ("Delayed(5, 1, 3)", 16),
     ("Static(4x3)", 16), ("TopPlusOne(2, 3)", 16), ("TopK(8, 4, 32)", 32), ("DySpec(8)", 8), ("NGram(3, 3)", 0),
     ("DySpec(threshold=0.1, depth=3)", 0)],
)  # fmt: skip
def test_a_policys_budget_is_the_power_of_two_that_holds_its_largest_tree(policy, budget):
    assert budget_of(policy) == budget


def test_within_a_budget_every_kind_stands_with_its_fastest_and_the_best_comes_first():
    found = by_budget(Wins.of(made(efficiency=EFFICIENCY)))
    assert [one.budget for one in found] == [8] * 4, "the chain of four stands alone among trees of four nodes"
    assert {one.kind for one in found[:2]} == {"Iid", "TopK"}, "these two are level"
    assert [(one.kind, one.verifier) for one in found[2:]] == [("Delayed", "traversal"), ("Chain", "block")]
    assert found[0].over_best is None and found[1].over_best.standing is Standing.LEVEL
    assert all(one.over_best.standing is Standing.LOSES for one in found[2:])
    assert found[3].over_best.ratio.value == pytest.approx(2.0 / 2.5, rel=0.01)
    assert found[3].efficiency == pytest.approx(2.0, rel=0.05)
    plain = found[3].over_plain.ratio
    assert plain.value == pytest.approx(2.0 * 0.07 / 0.1, rel=0.05) and plain.low > 1


def test_without_plain_decoding_or_with_one_kind_alone_less_is_said():
    without = {pair: mean for pair, mean in EFFICIENCY.items() if pair != ("nss", "Chain(0)")}
    assert all(one.over_plain is None for one in by_budget(Wins.of(made(efficiency=without))))
    chains = {pair: mean for pair, mean in EFFICIENCY.items() if pair[1].startswith("Chain")}
    run = Wins.of(made(efficiency=chains))
    assert by_budget(run) == against_traversal(run) == () and equal_trees_lines(run) == []
    assert list(equal_trees_tables(run)) == [] == equal_trees_lines(Wins.of(made(done=0, efficiency=EFFICIENCY)))


def test_lifted_rules_are_told_from_traversal_by_standard_errors():
    found = {(one.verifier, one.policy): one for one in against_traversal(Wins.of(made(efficiency=EFFICIENCY)))}
    assert set(found) == {("lifted_k_seq", "Iid(4, 2)"), ("lifted_rrs", "Delayed(3, 2, 2)")}
    ahead, behind = (one.efficiency for one in found.values())
    assert ahead.value == pytest.approx(log(2.5 / 2.4), abs=5 * ahead.error) and errors_of(ahead) > 3
    assert behind.value == pytest.approx(log(2.1 / 2.4), abs=5 * behind.error) and errors_of(behind) < -3
    same = dict(EFFICIENCY) | {("lifted_rrs", "Delayed(3, 2, 2)"): 2.4, ("lifted_k_seq", "Iid(4, 2)"): 2.4}
    text = told(wins_text(Wins.of(made(efficiency=same))))
    assert (
        "by block efficiency over all settings, a lifted rule is ahead of traversal by more than 3 standard errors in 0"
        in text
    )


def test_the_text_says_what_wins_within_the_budget():
    text = told(wins_text(Wins.of(made(efficiency=EFFICIENCY))))
    assert "Of trees of at most 8 nodes the fastest is" in text
    assert "told apart from Delayed, Chain, not from" in text
    assert "is ahead of traversal by more than 3 standard errors in 1 of 2 comparisons, and behind in 1." in text
