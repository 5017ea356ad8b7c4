"""Latency models and throughput: every number by hand, exact where the arithmetic is."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from veridraft.theory import (
    Chain,
    Delayed,
    Iid,
    LatencyModel,
    MarkovPair,
    Schedule,
    Static,
    Throughput,
    TopK,
    Topology,
    TopPlusOne,
    block_efficiency,
    parse_policy,
)
from veridraft.theory.pairs import widening_pair
from veridraft.theory.policies import HubPairs
from veridraft.theory.speed import (
    DEVICES,
    NETWORKS,
    ByLength,
    Device,
    Line,
    Network,
    PassTable,
    Roofline,
    StepTime,
    Term,
    get_device,
    get_network,
    roofline_model,
    throughput,
    throughput_by_action,
)
from veridraft.theory.speed.jackknife import jackknife_error, jackknife_half

HALF = Fraction(1, 2)


def exact_pair():
    rows = [HALF, Fraction(3, 10), Fraction(1, 5)], [Fraction(1, 5), Fraction(1, 4), Fraction(11, 20)]
    return MarkovPair([rows[0]] * 3, [rows[1]] * 3)


# Equation 11


@pytest.mark.parametrize(
    ("paths", "trunk", "branch"), [(1, 0, 4), (4, 0, 3), (3, 2, 2), (2, 3, 0), (5, 1, 1), (2, 0, 0)]
)
def test_a_step_is_equation_11(paths, trunk, branch):
    """T = sum_{j<L1} t_q(l+j) + sum_{j<L2} t_q(l+L1+jK) + t_p(l+L1+K L2), with t_q and t_p unlike one another."""
    length = 7
    model = LatencyModel(ByLength(lambda l: Fraction(l * l, 3)), ByLength(lambda l: Fraction(1, l + 1)))  # noqa: E741
    step = model.step(Schedule.of_policy(Delayed(paths, trunk, branch)), length)
    drafts = [length + j for j in range(trunk)] + [length + trunk + j * paths for j in range(branch)]
    assert step.draft == sum(Fraction(1, l + 1) for l in drafts)  # noqa: E741
    assert step.target == Fraction((length + trunk + paths * branch) ** 2, 3)
    assert step.verification == step.overhead == 0
    assert model.plain(length) == Fraction(length**2, 3)


def test_schedules_by_hand():
    assert Schedule.of_policy(Chain(3)) == Schedule((1, 1, 1), 4)
    assert Schedule.of_policy(Iid(4, 3)) == Schedule((1, 4, 4), 13)
    assert Schedule.of_policy(Delayed(2, 2, 2)) == Schedule((1, 1, 1, 2), 7)
    assert Schedule.of_policy(Delayed(2, 2, 0)) == Schedule((1, 1), 3)
    assert Schedule.of_policy(TopPlusOne(3, 2)) == Schedule((1, 3), 13)
    assert Schedule.of_policy(HubPairs(2)) == Schedule((1, 2), 7)
    assert Schedule.of_policy(parse_policy("static(3x1)")) == Schedule((1, 3), 7)
    uneven = Topology((Topology((Topology(), Topology())), Topology()))
    assert Schedule.of_policy(Static(uneven, replacement=False)) == Schedule((1, 1), 5)
    assert Schedule.of_policy(TopK(3, 2, 5)) == Schedule((1, 3), 6)
    assert Schedule.of_policy(TopK(3, 2, 50)) == Schedule((1, 3), 13)
    assert Schedule.of_policy(Chain(0)) == Schedule((), 1)


def test_a_schedule_of_a_tree_counts_what_was_merged_once():
    pair = MarkovPair([[1.0, 0.0]] * 2, [[1.0, 0.0]] * 2)  # all four paths agree
    tree = Iid(4, 3).sample(pair, np.random.default_rng(0))
    assert Schedule.of_tree(tree) == Schedule((1, 1, 1), 4)
    drawn = TopPlusOne(2, 2).sample(exact_pair(), np.random.default_rng(0))
    assert Schedule.of_tree(drawn) == Schedule.of_policy(TopPlusOne(2, 2))


def test_a_policy_without_a_plan_says_so():
    with pytest.raises(ValueError, match=r"passes of DySpec.*depend on what is drawn"):
        Schedule.of_policy(parse_policy("dyspec(4)"))
    with pytest.raises(ValueError, match="every pass must feed"):
        Schedule((0,), 1)


# Tables


def test_a_table_is_linear_between_its_points_and_exact():
    rows = tuple(map(Fraction, (1, 2, 5))), tuple(map(Fraction, (3, 4, 9)))
    table = PassTable((10, 20), (1, 3, 4), rows)
    assert table.seconds(10, 1) == 1
    assert table.seconds(20, 4) == 9
    assert table.seconds(10, 2) == Fraction(3, 2)
    assert table.seconds(15, 3) == 3
    assert table.seconds(15, 2) == HALF * (Fraction(3, 2) + Fraction(7, 2))
    assert isinstance(table.seconds(13, 2), Fraction)


def test_a_table_of_one_context_counts_for_all_and_of_one_size_for_that_size():
    table = PassTable((64,), (2,), ((5,),), name="draft pass")
    assert table.seconds(1000, 2) == 5
    with pytest.raises(ValueError, match=r"draft pass: new tokens 3 lies outside the measured 2 to 2"):
        table.seconds(64, 3)


@pytest.mark.parametrize(
    ("contexts", "sizes", "table", "message"),
    [
        ((), (1,), (), "contexts must rise"),
        ((3, 3), (1,), ((1,), (1,)), "contexts must rise"),
        ((3,), (0, 1), ((1, 1),), "sizes must rise from 1"),
        ((3,), (1, 2), ((1,),), "table row 0 must be 2 seconds"),
        ((3,), (1,), ((-1,),), "table row 0"),
        ((3,), (1,), ((float("nan"),),), "table row 0"),
        ((3, 4), (1,), ((1,),), "1 rows for 2 contexts"),
    ],
)
def test_a_bad_table_is_refused(contexts, sizes, table, message):
    with pytest.raises(ValueError, match=message):
        PassTable(contexts, sizes, table)


def test_outside_the_measured_contexts_is_an_error():
    table = PassTable((10, 20), (1,), ((1,), (2,)))
    with pytest.raises(ValueError, match="context 21 lies outside the measured 10 to 20"):
        table.seconds(21, 1)


# Rooflines


TOY = Network("toy", layers=2, width=3, heads=2, cache_heads=1, head_width=5, inner=7, vocabulary_size=11)
"""Products of a layer: q and o 3 x 10 each, k and v 3 x 5 each, three of 3 x 7: 153; the output matrix 33."""


def test_a_shape_is_counted_by_hand():
    assert TOY.product_weights == 2 * 153 + 33
    assert TOY.norm_weights == (2 * 2 + 1) * 3
    assert TOY.parameters == TOY.read_weights + 33
    assert TOY.cache_entries == 2 * 2 * 1 * 5
    assert TOY.attention_flops == 4 * 2 * 2 * 5


def toy_roofline(peak):
    device = Device("toy", bandwidth=100, peak=peak, memory=10**6)
    return Roofline(TOY, device, weight_bytes=2, cache_bytes=1, bandwidth_share=HALF, peak_share=Fraction(1, 4),
                    layer_overhead=Fraction(1, 10), pass_overhead=Fraction(1, 7))  # fmt: skip


def test_a_roofline_by_hand_where_memory_is_slower():
    """(354 weights x 2 + 20 entries x 8) / 50 bytes a second, two layers, one pass."""
    assert toy_roofline(10**9).seconds(5, 3) == Fraction(354 * 2 + 20 * 8, 50) + Fraction(2, 10) + Fraction(1, 7)


def test_a_roofline_by_hand_where_arithmetic_is_slower():
    """(2 x 339 + 80 x 8) x 3 / 2 FLOPs a second."""
    assert toy_roofline(8).seconds(5, 3) == Fraction((2 * 339 + 80 * 8) * 3, 2) + Fraction(2, 10) + Fraction(1, 7)


def test_many_nodes_turn_a_pass_from_memory_to_arithmetic():
    roofline = Roofline(NETWORKS["8B"], DEVICES["L40S"])
    assert roofline.memory_seconds(512, 16) > roofline.arithmetic_seconds(512, 16)
    assert roofline.memory_seconds(512, 512) < roofline.arithmetic_seconds(512, 512)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bandwidth_share": 0}, "bandwidth_share must be positive"),
        ({"peak_share": 1.5}, "peak_share must be at most 1"),
        ({"layer_overhead": -1}, "layer_overhead must be at least 0"),
        ({"weight_bytes": 0}, "weight_bytes must be positive"),
    ],
)
def test_a_bad_roofline_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Roofline(TOY, DEVICES["H100"], **options)


def test_what_does_not_fit_is_refused_with_both_figures():
    with pytest.raises(ValueError, match=r"the pair 70B and 1B needs 133\.7 GiB, but H100 has 80"):
        roofline_model(NETWORKS["70B"], NETWORKS["1B"], DEVICES["H100"])
    model = roofline_model(NETWORKS["70B"], NETWORKS["1B"], DEVICES["H100"].times(2))
    assert model.name == "2 x H100, 70B with 1B"
    assert roofline_model(NETWORKS["70B"], NETWORKS["1B"], DEVICES["H200"]).name == "H200, 70B with 1B"
    with pytest.raises(ValueError, match="must share a vocabulary, but have 128256 and 49152"):
        roofline_model(NETWORKS["8B"], NETWORKS["135M"], DEVICES["H200"])


def test_names_are_found_without_case_and_unknown_ones_listed():
    assert get_device("rtx 4090") is DEVICES["RTX4090"]
    assert get_network("70b") is NETWORKS["70B"]
    with pytest.raises(ValueError, match="known are A100, H100, H200, L40S, RTX4090, B200, MI300X, A6000"):
        get_device("TPU")
    with pytest.raises(ValueError, match=r"known are 135M, 0\.5B, 1B, .*, 8B, .*, 70B"):
        get_network("4B")
    with pytest.raises(ValueError, match="count must be at least 1"):
        DEVICES["A100"].times(0)


# Lines and models


def test_a_line_goes_through_its_points_and_never_below_zero():
    assert Line(Fraction(1, 3), HALF).seconds(4) == Fraction(7, 3)
    line = Line.through([(2, 5.0), (4, 9.0), (8, 17.0)])
    assert (line.fixed, line.per_node) == (pytest.approx(1), pytest.approx(2))
    assert Line.through([(4, 6.0), (4, 10.0)]) == Line(0.0, 2.0)
    falling = Line.through([(1, 5.0), (10, 1.0)])
    assert falling.per_node == 0
    assert falling.fixed == pytest.approx(3)
    with pytest.raises(ValueError, match="at least one pair"):
        Line.through([])
    with pytest.raises(ValueError, match="per_node must be at least 0"):
        Line(0, -1)


def constant(seconds):
    return ByLength(lambda length: seconds)


def test_verification_is_looked_up_by_name():
    model = LatencyModel(constant(1), constant(0), {"nss": Line(1, 1), "traversal": Line(0, 3)}, Line(10))
    step = model.step(Schedule.of_policy(Chain(2)), 5, "traversal")
    assert step == StepTime(draft=0, target=1, verification=9, overhead=10)
    assert step.dominant is Term.OVERHEAD
    assert model.knows("nss")
    assert not model.knows("block")
    with pytest.raises(ValueError, match="knows no verification by 'block', only by nss, traversal"):
        model.step(Schedule.of_policy(Chain(2)), 5, "block")
    with pytest.raises(ValueError, match="context must be at least 1"):
        model.step(Schedule.of_policy(Chain(2)), 0, "nss")


# Throughput


def test_throughput_is_a_ratio_of_means_not_a_mean_of_ratios():
    times = (StepTime(Fraction(1), Fraction(1)), StepTime(Fraction(0), Fraction(6)))
    result = Throughput((Fraction(4), Fraction(2)), times)
    assert result.tokens_per_second == Fraction(6, 8)
    assert result.block_efficiency == 3
    assert result.time == StepTime(HALF, Fraction(7, 2))
    assert result.time.dominant is Term.TARGET


def test_throughput_by_hand_and_exact():
    """SpecInfer on two drafts of one token: 177/100 tokens; a draft pass of 1/10 s, a target pass of 1 s."""
    model = LatencyModel(constant(Fraction(1)), constant(Fraction(1, 10)))
    found = throughput(model, "specinfer", Iid(2, 1), exact_pair())
    assert found.tokens_per_second == Fraction(177, 100) / Fraction(11, 10)
    one_more = throughput(model, "specinfer", Iid(2, 1), exact_pair(), [((), 3), ((1,), 4)])
    assert one_more.tokens_per_second == found.tokens_per_second


def test_the_interval_of_a_ratio_by_hand():
    """Tokens 1 and 3 in a second each: ratio 2, residuals -1 and 1, error sqrt(2 * 2 / 1) / 2 = 1."""
    result = Throughput((1.0, 3.0), (StepTime(0.0, 1.0),) * 2)
    low, high = result.confidence_interval(0.5)
    assert (low + high) / 2 == pytest.approx(2)
    assert high - low == pytest.approx(2)  # Student's quartile with one degree of freedom is 1
    with pytest.raises(ValueError, match="level must lie"):
        result.confidence_interval(1)
    with pytest.raises(ValueError, match="one context is too few"):
        Throughput((1.0,), (StepTime(0.0, 1.0),)).confidence_interval()


def test_a_step_without_time_is_refused():
    with pytest.raises(ValueError, match="times row 1 takes 0 seconds"):
        Throughput((1, 1), (StepTime(0, 1), StepTime(0, 0)))
    with pytest.raises(ValueError, match="as many, at least 1"):
        Throughput((), ())


def test_the_table_of_actions_is_the_throughput_of_each():
    pair = widening_pair(6, 3, 1, start=0.1, growth=0.1)
    model = LatencyModel(ByLength(lambda length: 1 + length / 100), ByLength(lambda length: 0.1 + length / 1000))
    found = throughput_by_action(model, "spectr", pair, 3, 3, 10)
    assert len(found) == 4 + 2 * 6
    for action, result in found.items():
        used = Chain(action.depth) if action.K == 1 else action
        assert result.block_efficiency == pytest.approx(block_efficiency("spectr", used, pair, "dp").value)
        expected = throughput(model, "spectr", used, pair, [((), 10)], method="dp").tokens_per_second
        assert result.tokens_per_second == pytest.approx(expected)
    values = [result.tokens_per_second for result in found.values()]
    assert values == sorted(values, reverse=True)


def test_a_dear_draft_makes_the_empty_tree_best_and_a_cheap_one_the_deepest():
    pair = widening_pair(6, 4, 1, start=0.05, growth=0.0)
    dear = LatencyModel(constant(1.0), constant(2.0))
    cheap = LatencyModel(constant(1.0), constant(1e-6))
    assert next(iter(throughput_by_action(dear, "spectr", pair, 2, 4, 1))) == Delayed(1, 0, 0)
    assert next(iter(throughput_by_action(cheap, "spectr", pair, 2, 4, 1))).depth == 4


def test_the_jackknife_of_a_mean_is_its_standard_error_with_students_quantile():
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    left_out = np.array([np.delete(values, place).mean() for place in range(5)])
    assert jackknife_error(left_out) == pytest.approx(values.std(ddof=1) / 5**0.5)
    assert jackknife_half(left_out) == pytest.approx(2.776445 * jackknife_error(left_out))  # four degrees of freedom
    assert jackknife_half(left_out, 0.99) == pytest.approx(4.604095 * jackknife_error(left_out))
