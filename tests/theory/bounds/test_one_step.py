"""alpha* by sorting, against every set, against the integral's exact form, and at the published values."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_pairs import LAWS, row_pairs
from strategies import P, Q

from veridraft.theory.bounds.one_step import optimal_acceptance, over_drafted_first
from veridraft.theory.pairs.families import softmax, zipf_pair
from veridraft.theory.solvers.closed_form import optimal_rule, shortfall

WEIGHTS = st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(1, 7), Fraction(0)])

def by_all_sets(target, lists, weight=1):
    """``1 + min over H of [weight target(H) - Pr(list inside H)]``, over all 2^V sets."""
    tokens = range(len(target))
    sets = [set(chosen) for size in range(len(target) + 1) for chosen in combinations(tokens, size)]
    return 1 + min(weight * target[list(inside)].sum() - chance_inside(lists, inside) for inside in sets)


def chance_inside(lists, inside):
    return sum((mass for mass, tokens in lists if inside.issuperset(tokens)), Fraction(0))


@given(row_pairs(), st.integers(1, 4), st.sampled_from(sorted(LAWS)), WEIGHTS)
@settings(deadline=None, max_examples=150)
def test_equals_the_minimum_over_all_sets(pair, k, drawing, weight):
    target, draft = pair
    if drawing == "top_plus_one" and np.count_nonzero(draft) < k:
        return  # then the list is shorter than k: the next test
    found = optimal_acceptance(target, draft, k, drawing, weight)
    assert found.value == by_all_sets(target, list(LAWS[drawing](draft, k)), weight)
    assert found.value == 1 + weight * target[found.cut].sum() - found.inside
    assert found.inside == chance_inside(list(LAWS[drawing](draft, k)), set(found.cut.tolist()))


def test_top_tokens_alone_when_nothing_is_left_to_draw():
    draft = np.array([Fraction(0), Fraction(1), Fraction(0)])
    assert optimal_acceptance(P, draft, 2, "top_plus_one").value == P[1]
    assert optimal_acceptance(P, draft, 3, "top_plus_one").value == P[1] + P[0]
    assert optimal_acceptance(P, draft, 9, "top_plus_one").value == 1


@given(row_pairs(6), st.integers(1, 5), st.sampled_from(sorted(LAWS)))
@settings(deadline=None, max_examples=150)
def test_float_agrees_with_fractions(pair, k, drawing):
    exact = optimal_acceptance(*pair, k, drawing).value
    rounded = optimal_acceptance(*(row.astype(float) for row in pair), k, drawing).value
    assert abs(exact - rounded) < 1e-12


@pytest.mark.parametrize(("drawing", "k", "value"), [
    ("iid", 1, Fraction(13, 20)), ("iid", 2, Fraction(43, 50)), ("iid", 3, Fraction(247, 250)),
    ("without_replacement", 2, Fraction(1)), ("top_plus_one", 2, Fraction(17, 18)),
])  # fmt: skip
def test_published_values(drawing, k, value):
    found = optimal_acceptance(P, Q, k, drawing)
    assert found.value == value
    assert abs(float(optimal_acceptance(P.astype(float), Q.astype(float), k, drawing)) - value) < 1e-15


def test_race_with_masses_of_every_size():
    """Time runs over many orders of magnitude where the draft does; a sum over sets is the reference."""
    draft = np.array([Fraction(1, 10**exponent) for exponent in (1, 3, 6, 9, 12, 15)])
    draft[0] += 1 - draft.sum()
    target = np.array([Fraction(count, 32) for count in (16, 8, 4, 2, 1, 1)])
    for k in (2, 3, 4):
        exact = optimal_acceptance(target, draft, k, "without_replacement").value
        rounded = optimal_acceptance(target.astype(float), draft.astype(float), k, "without_replacement").value
        assert abs(exact - rounded) < 1e-12


def test_order_of_ratios_near_zero_decides_without_replacement():
    """Behind a token that takes nearly all of the draft's mass the others are compared among themselves."""
    target = np.array([Fraction(2, 3), Fraction(1, 10**9), Fraction(1, 3) - Fraction(1, 10**9)])
    for least in (-17, -300):
        draft = np.array([Fraction(10) ** least, 1 - 2 * Fraction(10) ** least, Fraction(10) ** least])
        exact = optimal_acceptance(target, draft, 2, "without_replacement").value
        rounded = optimal_acceptance(target.astype(float), draft.astype(float), 2, "without_replacement").value
        assert abs(exact - rounded) < 1e-12


def test_more_draws_and_no_replacement_only_help():
    pair = zipf_pair(200, seed=3, noise=1.5)
    rows = pair.target_row(()), pair.draft_row(())
    values = {d: [float(optimal_acceptance(*rows, k, d)) for k in (1, 2, 3, 4)] for d in ("iid", "without_replacement")}
    assert all(np.diff(values["iid"]) > 0) and all(np.diff(values["without_replacement"]) > 0)
    assert values["iid"][0] == pytest.approx(values["without_replacement"][0], abs=1e-14)
    assert all(np.greater(values["without_replacement"][1:], values["iid"][1:]))


def test_order_puts_excluded_tokens_first_and_undrafted_last():
    target, draft = np.array([0.5, 0.0, 0.5, 0.0]), np.array([0.0, 0.4, 0.6, 0.0])
    order = over_drafted_first(target, draft).tolist()
    assert order[:2] == [1, 2] and set(order[2:]) == {0, 3}


def test_a_vocabulary_of_262144():
    """The value is attained, up to what a rule of 512 groups loses, and its set bounds it from above."""
    pair = zipf_pair(262_144, seed=1)
    target, draft = pair.target_row(()), pair.draft_row(())
    found = optimal_acceptance(target, draft, 4)
    assert float(found) == pytest.approx(1 + target[found.cut].sum() - draft[found.cut].sum() ** 4, abs=1e-12)
    assert 0 <= shortfall(optimal_rule(target, draft, 4), target, found.value) < 5e-4


@pytest.mark.parametrize(("change", "match"), [
    ({"k": 0}, "k must be at least 1"),
    ({"weight": 1.5}, "weight must lie"),
    ({"drawing": "hub"}, "drawing must be"),
    ({"draft": [0.5, 0.2, 0.2]}, "draft row 0 sums to 0.8"),
    ({"draft": [0.5, 0.5]}, "target has 3 tokens, but draft has 2"),
])  # fmt: skip
def test_bad_input_is_named(change, match):
    given_ = {"target": [0.5, 0.3, 0.2], "draft": [0.2, 0.2, 0.6], "k": 2} | change
    with pytest.raises(ValueError, match=match):
        optimal_acceptance(**given_)


def test_mixed_arithmetic_is_refused():
    with pytest.raises(TypeError, match="both"):
        optimal_acceptance(P, Q.astype(float), 2)


TINY = [Fraction(0), *(Fraction(1, 10**digits) for digits in (323, 310, 200, 17)), Fraction(1, 3)]


@given(weights=st.lists(st.tuples(*[st.sampled_from(TINY)] * 2), min_size=3, max_size=5), k=st.integers(1, 4))
def test_acceptance_of_extreme_rows_in_float64_is_that_in_fractions(weights, k) -> None:
    """Masses down to the subnormal beside one large one, every drawing."""
    target, draft = (np.array([Fraction(1), *column]) for column in zip(*weights, strict=True))
    target, draft = target / target.sum(), draft[::-1] / draft.sum()
    floats = target.astype(float), draft.astype(float)
    for drawing in ("iid", "without_replacement", "top_plus_one"):
        exactly = optimal_acceptance(target, draft, k, drawing).value
        assert float(optimal_acceptance(*floats, k, drawing)) == pytest.approx(float(exactly), abs=1e-11)


def test_acceptance_without_replacement_from_a_draft_at_low_temperature() -> None:
    cold = softmax(np.array([20.0, 10.0, 5.0, 0.0]) / 0.028)
    values = [float(optimal_acceptance([0.25] * 4, cold, k, "without_replacement")) for k in (1, 2, 3, 4)]
    assert values == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=1e-12)
