"""What a run of the study says: the fastest, delayed trees, verifiers at the same trees."""

from __future__ import annotations

import pytest
from wins_samples import EFFICIENCY, made, told

from veridraft.reports.studies.wins.leads import Standing, Yardstick, delayed_of, each, paired, same_trees
from veridraft.reports.studies.wins.pooled import pooled
from veridraft.reports.studies.wins.rows import Wins
from veridraft.reports.studies.wins.text import TIMING_ONLY, wins_text


def test_delayed_trees_win_where_they_do_and_not_where_they_do_not():
    run = Wins.of(made())
    found = {one.verifier: one for one in delayed_of(run.settings[0], Yardstick.EFFICIENCY)}
    assert found["traversal"].chain.name == "block, Chain(3)"
    assert found["traversal"].over_independent.standing is Standing.WINS
    assert found["traversal"].over_independent.ratio.value == pytest.approx(2.5 / 2.3, rel=0.02)
    assert found["naive_tree"].over_independent.standing is Standing.LEVEL
    assert found["traversal"].best.policy == "Delayed(3, 1, 2)"
    assert found["block"].delayed is found["block"].over_chain is None
    slower = dict(EFFICIENCY) | {("traversal", "Delayed(3, 1, 2)"): 1.9}
    (other,) = Wins.of(made(settings=((1.0, 1.0),), efficiency=slower)).settings
    (lost,) = (one for one in delayed_of(other, Yardstick.SPEED) if one.verifier == "traversal")
    assert lost.over_independent.standing is lost.over_chain.standing is Standing.LOSES


def test_over_all_settings_delayed_trees_are_held_against_the_same_two_and_known_better():
    run = Wins.of(made())
    found = {one.verifier: one for one in pooled(run, Yardstick.EFFICIENCY)}
    assert set(found) == {"naive_tree", "traversal"} and found["traversal"].chain == "naive, Chain(3)"
    assert found["traversal"].over_independent.standing is found["traversal"].over_chain.standing is Standing.WINS
    assert found["traversal"].over_independent.ratio.value == pytest.approx(2.5 / 2.3, rel=0.01)
    assert found["naive_tree"].over_independent.standing is Standing.LEVEL
    alone = paired(*(run.settings[0].row("traversal", policy) for policy in ("Delayed(3, 1, 2)", "Iid(3, 3)")),
                   Yardstick.EFFICIENCY).lead(each(4)).ratio  # fmt: skip
    together = found["traversal"].over_independent.ratio
    assert together.high - together.low < alone.high - alone.low
    without = {pair: mean for pair, mean in EFFICIENCY.items() if "Chain(3)" not in pair}
    assert pooled(Wins.of(made(efficiency=without)), Yardstick.SPEED) == ()


def test_verifiers_of_a_policy_are_held_against_its_baseline():
    found = {(one.policy, one.verifier): one for one in same_trees(Wins.of(made()))}
    assert len(found) == 6
    assert found["Chain(3)", "block"].baseline == "naive"
    assert found["Chain(3)", "naive"].ratio is None
    best = found["Iid(3, 3)", "traversal"]
    assert (best.baseline, best.fastest, best.most, best.settings) == ("naive_tree", 2, 2, 2)
    assert best.ratio.ratio.value == pytest.approx(2.3 / 2.1, rel=0.01)
    assert best.ratio.standing is Standing.WINS


def test_the_text_says_what_is_fastest_and_how_often_delayed_trees_win():
    text = told(wins_text(Wins.of(made())))
    assert "Fastest, of 2 settings: traversal, Delayed(3, 1, 2) in 2. In 2 it is told apart from all others." in text
    assert "wins 12 of 12 comparisons and loses 0" in text
    assert (
        "By block efficiency, delayed expansion wins 2 of 4 comparisons against independent trees of the same verifier"
        in text
    )
    assert "At the same trees, by block efficiency over all settings, a verifier wins 3 of 3" in text
    assert "Cannot be run: optimal_plan, Iid(3, 3): for small vocabularies" in text
    assert "Texts: 16 of 16 finished" in text
    assert "with whole texts left out in their place" in text
    assert "T 0.6, top-p 1: what is fastest, CPU time (7; 16 units, 80 roots)" in text


def test_a_long_ranking_shows_the_first_and_plain_decoding():
    many = dict(EFFICIENCY) | {(name, "Iid(4, 3)"): 2.2 for name in ("a", "b", "c", "d", "e", "f", "g", "naive_tree")}
    text = wins_text(Wins.of(made(settings=((1.0, 1.0),), efficiency=many)))
    ranking = text.split("\n\n")[1].splitlines()
    assert len(ranking) == 2 + 8 + 1
    assert ranking[-1].split()[:2] == ["nss", "Chain(0)"]
    assert "the first 8 of 15, and plain decoding" in ranking[0]


def test_random_weights_are_said_first_and_nothing_wins():
    text = wins_text(Wins.of(made(timing_only=True)))
    assert told(TIMING_ONLY) in told(text.split("\n\n")[0])
    assert "milliseconds a root" in text
    assert not any(
        word in told(text).replace(told(TIMING_ONLY), "") for word in ("wins 1", "Fastest", "tokens/s", "best")
    )


def test_the_wall_clock_counts_off_a_cpu():
    on_cpu, elsewhere = (Wins.of(made(device=device)).settings[0].rows[0] for device in ("cpu", "cuda"))
    assert elsewhere.rate(Yardstick.SPEED) == pytest.approx(on_cpu.rate(Yardstick.SPEED) / 1.2)
