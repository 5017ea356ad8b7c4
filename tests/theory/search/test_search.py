"""The search against the exact best of all, shapes against their budget, answers by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from veridraft.theory import (
    VERIFIERS,
    Chain,
    Delayed,
    Iid,
    LatencyModel,
    MarkovPair,
    Schedule,
    TopK,
    best_tree,
    block_efficiency,
    get_verifier,
)
from veridraft.theory.efficiency.by_rank import acceptance_by_rank
from veridraft.theory.policies import DySpec, HubPairs, TopPlusOne, parse_policy
from veridraft.theory.search import Expected, LackError, PairTrees, answer_of, gains_by_batch, shapes_up_to
from veridraft.theory.search.answers import last_paying
from veridraft.theory.search.book import Book, family_of
from veridraft.theory.search.halving import PAIRED, search
from veridraft.theory.search.shapes import RANK_TREES, pairings, rank_rates, sequoia_shapes
from veridraft.theory.speed import ByLength, Device, Line, Network, Roofline
from veridraft.theory.verifiers import add_verifier

ROWS = [[0.5, 0.3, 0.15, 0.05], [0.1, 0.6, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25], [0.7, 0.1, 0.1, 0.1]]
DRAFT = [[0.3, 0.4, 0.2, 0.1], [0.3, 0.3, 0.2, 0.2], [0.4, 0.2, 0.2, 0.2], [0.4, 0.2, 0.2, 0.2]]
PAIR = MarkovPair(ROWS, DRAFT, (ROWS[0], DRAFT[0]))
TOY = Network("toy", layers=2, width=3, heads=2, cache_heads=1, head_width=5, inner=7, vocabulary_size=11)


def constant(seconds):
    return ByLength(lambda length: seconds)


def cheap(draft=0.02):
    return LatencyModel(constant(1.0), constant(draft), name="cheap drafts")


# Shapes


@pytest.mark.parametrize("budget", [1, 4, 7, 16, 40])
def test_no_shape_has_more_nodes_than_its_budget(budget):
    policies = shapes_up_to(budget)
    assert len(set(policies)) == len(policies)
    rng = np.random.default_rng(0)
    for policy in policies:
        assert policy.sample(PAIR, rng).size <= budget + 1, policy
    assert Chain(1) in policies


def test_a_larger_budget_offers_what_the_papers_use():
    names = {type(policy).__name__ for policy in shapes_up_to(25)}
    assert names == {"Chain", "Iid", "Delayed", "Static", "TopPlusOne", "HubPairs", "TopK", "OptTree", "DySpec"}
    assert {Iid(4, 3), Delayed(2, 2, 2), TopK(8, 8, 25)} <= set(shapes_up_to(25))


def test_rates_by_rank_are_the_exact_ones_within_five_standard_errors():
    exact = acceptance_by_rank("rrsw", PAIR, 2)
    found = rank_rates(PairTrees([PAIR]), 2, 0, "rrsw")
    assert np.abs(found - exact).max() < 5 * 0.5 / RANK_TREES**0.5
    shapes = sequoia_shapes(PairTrees([PAIR]), 8)
    assert all(1 < shape.topology.size <= 9 for shape in shapes)


def test_a_verifier_stands_with_what_it_is_lossless_for():
    policies = [Chain(2), Iid(2, 2), TopK(2, 2, 4), parse_policy("TopPlusOne(2, 1)")]
    found, left_out = pairings(("naive", "block", "traversal", "nss"), policies)
    assert found == [("naive", Chain(2)), ("block", Chain(2)), ("traversal", Iid(2, 2)), ("nss", TopK(2, 2, 4)),
                     ("nss", policies[3])]  # fmt: skip
    assert not left_out
    found, left_out = pairings(("traversal",), policies)
    assert found == [("traversal", Chain(2)), ("traversal", Iid(2, 2))]
    assert left_out[0] == "TopK(2, 2, 4): none of the verifiers is lossless for it"
    assert all(get_verifier(name).supports(policy) for name, policy in pairings(tuple(VERIFIERS), policies)[0])


# Passes of trees that are grown otherwise than level by level


def test_dyspec_asks_for_one_row_at_a_time_and_eagle_2_drafts_more_than_it_keeps():
    rng = np.random.default_rng(0)
    tree = DySpec(5).sample(PAIR, rng)
    inner = sum(bool(listed) for listed in tree.child_lists)
    assert Schedule.of_drawn(DySpec(5), tree) == Schedule((1,) * inner, 6)
    policy = TopK(3, 2, 4)
    assert Schedule.of_drawn(policy, policy.sample(PAIR, rng)) == Schedule((1, 3), 5)
    chain = Chain(2).sample(PAIR, rng)
    assert Schedule.of_drawn(Chain(2), chain) == Schedule((1, 1), 3)


# The search


def test_the_search_finds_the_exact_best_up_to_its_intervals():
    """All pairings of four verifiers with paths of up to four nodes, by enumeration, against the search."""
    model, verifiers = cheap(), ("block", "specinfer", "traversal", "lifted_k_seq")
    policies = [policy for policy in shapes_up_to(4) if isinstance(policy, (Chain, Iid, Delayed))]
    exact = {}
    for verifier, policy in pairings(verifiers, policies)[0]:
        tokens = block_efficiency(verifier, policy, PAIR, "enumerate").value
        exact[verifier, policy.name] = tokens / (1 + 0.02 * policy.depth)
    found = best_tree(PAIR, model, verifiers=verifiers, policies=policies, context=5, trees=400)
    for answer in found.answers:
        low, high = answer.result.confidence_interval(0.9999)
        assert low <= exact[answer.verifier, answer.policy] <= high
    low, high = found.best.result.confidence_interval(0.9999)
    assert exact[found.best.verifier, found.best.policy] >= max(exact.values()) - (high - low)
    assert found.considered == len(exact)
    assert [one.tokens_per_second for one in found.answers] == sorted(
        (one.tokens_per_second for one in found.answers), reverse=True
    )


def test_the_best_tree_depends_on_the_draft():
    cheap_best = best_tree(PAIR, cheap(1e-6), context=5, budget=8, trees=50).best
    dear = best_tree(PAIR, cheap(5.0), context=5, budget=8, trees=50)
    assert cheap_best.expected.policy.depth >= 3
    assert dear.best.expected.policy.depth == 1
    assert not dear.pays


def test_every_kind_of_tree_takes_part():
    kinds = set()

    class Watched(PairTrees):
        def trees(self, policy, count, seed, first=0):
            kinds.add(type(policy).__name__)
            return super().trees(policy, count, seed, first)

    found = best_tree(Watched([PAIR]), cheap(), context=5, budget=25, trees=20)
    assert kinds == {"Chain", "Iid", "Delayed", "Static", "TopPlusOne", "HubPairs", "TopK", "OptTree", "DySpec"}
    assert any(isinstance(one.expected.policy, Chain) for one in found.answers)
    assert {f"Chain({length})" for length in range(1, 9)} <= {one.policy for one in found.answers}
    assert not found.left_out


def test_a_longer_list_of_trees_begins_as_a_shorter_one():
    source = PairTrees([PAIR, MarkovPair(DRAFT, ROWS)], [(), (1,)])
    many = source.trees(Iid(2, 2), 9, 3)
    few = source.trees(Iid(2, 2), 4, 3) + source.trees(Iid(2, 2), 5, 3, first=4)
    assert all((one.tokens == other.tokens).all() for one, other in zip(many, few, strict=True))
    with pytest.raises(ValueError, match="pairs and roots must be at least one"):
        PairTrees([])


def test_reach_is_the_law_of_the_accepted_length():
    book = Book(PairTrees([PAIR]), 0)
    expected = book.expected("naive", Chain(3), 50)
    assert expected.reach[0] == pytest.approx(1)
    assert sum(expected.reach) == pytest.approx(np.mean(expected.tokens))
    exact = block_efficiency("naive", Chain(3), PAIR, "enumerate").by_depth[::-1].cumsum()[::-1]
    assert np.abs(np.array(expected.reach) - exact).max() < 5 * 0.5 / 50**0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"verifiers": ("blok",)}, "unknown verifier 'blok'"),
        ({"budget": 0}, "budget must be at least 1"),
        ({"trees": 1}, "trees must be at least 2"),
        ({"context": 0}, "context must be at least 1"),
        ({"policies": ("TopK(2, 2, 4)",), "verifiers": ("block",)}, "nothing can be predicted: TopK"),
        ({"policies": ("Bush(2)",)}, "policy 'Bush"),
    ],
)
def test_a_bad_search_is_refused(words, message):
    with pytest.raises(ValueError, match=message):
        best_tree(PAIR, cheap(), **{"context": 5, "trees": 10, **words})


def test_a_frame_has_a_row_for_each_answer():
    pandas = pytest.importorskip("pandas", reason="frames need pandas")
    found = best_tree(PAIR, cheap(), context=5, budget=4, trees=10)
    frame = found.frame(3.0)
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["policy"]) == [one.policy for one in found.answers]
    assert frame["price_per_million_tokens"].iloc[0] == pytest.approx(found.best.price(3.0))


# Answers


def expected(tokens, length):
    return Expected("naive", Chain(length), (tokens,), (Schedule.of_policy(Chain(length)),))


def test_an_answer_by_hand():
    """5/2 tokens in drafts 2 x 1/10, target 1, verification 1/4 + 3/4, overhead 3/10: one a second; plain 1 / 1.1."""
    lines = {"*": Line(Fraction(1, 4), Fraction(1, 4))}
    model = LatencyModel(constant(Fraction(1)), constant(Fraction(1, 10)), lines, Line(0, Fraction(1, 10)), batch=4)
    answer = answer_of(expected(Fraction(5, 2), 2), model, (7, 9))
    assert answer.result.tokens_per_second == 1
    assert answer.plain == pytest.approx(1 / 1.1)
    assert answer.gain == pytest.approx(1.1)
    assert answer.in_all == 4
    assert answer.price(3.6) == pytest.approx(3.6 / 3600 / 4 * 1e6)
    record = answer.record()
    assert record["seconds"] == 2.5
    assert "price_per_million_tokens" not in record


def toy_model(batch=1):
    """A pair on 1,000 bytes and 6,000 FLOP a second."""
    device = Device("toy", bandwidth=1000, peak=6_000, memory=2000)
    draft = Network("small", layers=1, width=3, heads=2, cache_heads=1, head_width=2, inner=2, vocabulary_size=11)
    passes = [Roofline(network, device, bandwidth_share=1, peak_share=1, layer_overhead=0) for network in (TOY, draft)]
    return LatencyModel(*passes, name="toy").at_batch(batch)


def test_gains_at_other_batches_are_those_of_models_of_these_batches():
    model, offered = toy_model(), [expected(2.5, 3), expected(1.8, 1)]
    gains = gains_by_batch(offered, model, (5,), [1, 2, 7])
    for batch, gain in gains.items():
        own = toy_model(batch)
        speeds = [tokens / float(own.step(Schedule.of_policy(Chain(length)), 5).total)
                  for tokens, length in ((2.5, 3), (1.8, 1))]  # fmt: skip
        assert gain == pytest.approx(max(speeds) * float(own.target.seconds(4, 1)))


def test_the_last_batch_that_pays_is_that_of_a_count_from_one():
    model, offered = toy_model(), [expected(2.5, 3), expected(1.8, 1)]
    gains = gains_by_batch(offered, model, (5,), range(1, 65))
    paying = [batch for batch, gain in gains.items() if gain > 1]
    last, shown = last_paying(offered, model, (5,), 64)
    assert 1 < last < 64
    assert last == paying[-1] == len(paying)
    assert list(shown) == [1, 2, 4, 8, 16, 32, 64]
    assert last_paying([expected(1.01, 3)], model, (5,), 64)[0] == 0
    assert last_paying([expected(2.5, 3)], model, (5,), 2)[0] == 2


def test_requests_fit_beside_the_weights():
    """Weights and entries of 2 bytes; 2 x 2 layers x 1 head x 5 entries of the one, 2 x 1 x 1 x 2 of the other."""
    model = toy_model()
    weights = 2 * sum(one.network.parameters for one in (model.target, model.draft))
    entries = 2 * (2 * 2 * 1 * 5 + 2 * 1 * 1 * 2)
    assert model.most_requests(3) == (2000 - weights) // (3 * entries)
    assert cheap().most_requests(3) is None


def test_measured_passes_hold_for_their_own_batch():
    with pytest.raises(ValueError, match="these passes were measured for their own, not for 2 requests"):
        cheap().at_batch(2)


def test_a_book_is_read_again_on_another_machine():
    """Chain(1) and Chain(2) are one family, of which only the deeper is drawn, to choose and again for the final."""
    asked = []

    class Counted(PairTrees):
        def trees(self, policy, count, seed, first=0):
            asked.append((policy, count))
            return super().trees(policy, count, seed, first)

    source = Counted([PAIR])
    book = Book(source, 0)
    policies = [Chain(1), Chain(2), Iid(2, 1)]
    search(source, cheap(), (5,), ("block", "specinfer"), policies, trees=20, book=book)
    assert sum(count for _, count in asked) == 2 * (PAIRED + 20)
    assert {policy for policy, _ in asked} == {Chain(2), Iid(2, 1)}
    drawn = len(asked)
    search(source, cheap(0.5), (5,), ("block", "specinfer"), policies, trees=20, book=book)
    assert len(asked) == drawn


CUT = [(Chain(1), Chain(4)), (Iid(3, 1), Iid(3, 3)), (Delayed(2, 2, 1), Delayed(2, 2, 2)),
       (HubPairs(1), HubPairs(2)), (TopPlusOne(3, 1), TopPlusOne(3, 2))]  # fmt: skip


def test_a_rule_of_ones_own_is_asked_about_each_policys_trees():
    """It may look ahead: what it accepts of a short tree need not be what it accepts of a deep one so far."""
    add_verifier("mine:block", get_verifier("block"))
    asked = set()

    class Watched(PairTrees):
        def trees(self, policy, count, seed, first=0):
            asked.add(policy)
            return super().trees(policy, count, seed, first)

    book = Book(Watched([PAIR]), 0).of([Chain(1), Chain(3)])
    book.expected("mine:block", Chain(1), 4)
    assert asked == {Chain(1)}
    book.expected("block", Chain(1), 4)
    assert asked == {Chain(1), Chain(3)}


@pytest.mark.parametrize("policies", CUT)
def test_a_tree_cut_off_at_a_depth_is_one_of_the_shallower_policy(policies):
    """Means over 1,000 trees of the deep policy, cut, against the exact value of the shallow one, within 5 errors."""
    shallow, deep = policies
    assert family_of(shallow) == family_of(deep)
    name = {HubPairs: "spechub", TopPlusOne: "univer", Chain: "block"}.get(type(shallow), "traversal")
    expected = Book(PairTrees([PAIR]), 1).of(policies).expected(name, shallow, 1000)
    assert len(expected.reach) == shallow.depth + 1
    error = np.std(expected.tokens) / 1000**0.5
    exact = block_efficiency(name, shallow, PAIR, "enumerate").value
    assert abs(np.mean(expected.tokens) - exact) < 5 * error + 1e-9
    for schedule in expected.schedules:
        assert len(schedule.draft) == shallow.depth


def test_a_source_without_the_deepest_trees_gives_those_that_it_has():
    class Shallow(PairTrees):
        def trees(self, policy, count, seed, first=0):
            if policy.depth > 2:
                raise LackError(f"{policy.name} is too deep")
            return super().trees(policy, count, seed, first)

    found = best_tree(Shallow([PAIR]), cheap(), context=5, policies=["Chain(1)", "Chain(2)", "Chain(5)"], trees=10)
    assert {one.policy for one in found.answers} == {"Chain(1)", "Chain(2)"}
    assert found.left_out == ("Chain(5) is too deep",)
