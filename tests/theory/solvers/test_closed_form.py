"""The optimal solver at any vocabulary size: the law of its choice, losslessness, and the optimum it reaches."""

from fractions import Fraction
from itertools import permutations, product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_pairs import row_pairs, verifier
from strategies import P, Q

from veridraft.theory import Iid, MarkovPair, bottom_up, certify, dirichlet_pair, top_down, zipf_pair
from veridraft.theory.bounds.one_step import optimal_acceptance
from veridraft.theory.rows.lists import ordered_iid_lists
from veridraft.theory.solvers import naive
from veridraft.theory.solvers.closed_form import OptimalIid, optimal_iid, optimal_rule, shortfall
from veridraft.theory.solvers.rankings import ranking

WEIGHTS = (1.0, 0.8, 0.3, 0.01)
EXACT_WEIGHTS = st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(1, 9)])
FAMILIES = {"near": (1.0, 0.3), "middle": (1.0, 1.0), "far": (1.0, 3.0), "peaked": (2.0, 1.0)}


def rows_of(size, family, seed=0):
    pair = zipf_pair(size, seed, *FAMILIES[family])
    return pair.target_row(()), pair.draft_row(())


def law_by_lists(rule):
    """(V,) the law of the choice, summed over every list."""
    law = rule.draft * 0
    for mass, tokens in ordered_iid_lists(rule.draft, rule.count):
        for token, chance in rule.choice(tokens).items():
            law[token] += mass * chance
    return law


@given(row_pairs(5), st.integers(2, 4), st.sampled_from([2, 3, 512]))
@settings(deadline=None, max_examples=60)
def test_the_law_of_the_choice_is_exact(pair, k, groups):
    rule = optimal_rule(*pair, k, groups)
    assert rule.law.sum() == 1
    assert (rule.law == law_by_lists(rule)).all()
    rounded = optimal_rule(*(row.astype(float) for row in pair), k, groups)
    assert np.abs(rounded.law - law_by_lists(rounded)).max() < 1e-14


@given(row_pairs(6), st.integers(2, 5))
@settings(deadline=None, max_examples=150)
def test_one_rule_is_optimal_for_every_weight(pair, k):
    target, draft = (row.astype(float) for row in pair)
    rule = optimal_rule(target, draft, k)
    for weight in WEIGHTS:
        best = optimal_acceptance(target, draft, k, "iid", weight).value
        assert abs(shortfall(rule, target, best, weight)) < 1e-12
    exact = optimal_rule(*pair, k)
    assert 0 <= shortfall(exact, pair[0], optimal_acceptance(*pair, k).value) < Fraction(1, 10**7)


@st.composite
def steep_pairs(draw):
    """Float rows with masses down to 1e-300, the draft at times equal to the target up to rounding."""
    size = draw(st.integers(2, 12))
    exponents = st.lists(st.sampled_from([0, 0.3, 1, 3, 9, 16, 17, 40, 300]), min_size=size, max_size=size)
    target, draft = (10.0 ** -np.array(draw(exponents)) for _ in range(2))
    if draw(st.booleans()):
        draft = target * (1 + draw(st.sampled_from([1e-16, 1e-12, 1e-6])) * np.sin(np.arange(size)))
    return target / target.sum(), draft / draft.sum()


@given(steep_pairs(), st.integers(2, 6))
@settings(deadline=None, max_examples=300)
def test_masses_of_every_size(pair, k):
    target, draft = pair
    rule = optimal_rule(target, draft, k)
    assert rule.law.sum() == pytest.approx(1, abs=1e-12)
    for weight in WEIGHTS:
        best = optimal_acceptance(target, draft, k, "iid", weight).value
        assert abs(shortfall(rule, target, best, weight)) < 1e-10


@given(row_pairs(4), st.integers(1, 3), EXACT_WEIGHTS, st.sampled_from([2, 512]))
@settings(deadline=None, max_examples=40)
def test_lossless_and_optimal_over_all_lists(pair, k, weight, groups):
    solver, (target, draft) = OptimalIid(groups), pair
    laws = [(mass, solver(target, draft, tokens, weight)) for mass, tokens in ordered_iid_lists(draft, k)]
    assert all(sum(law.listed) + law.off + law.none == 1 for _, law in laws)
    assert (sum(mass * law.row() for mass, law in laws) == target * weight).all()
    if groups == 512:
        best = optimal_acceptance(target, draft, k, "iid", weight).value
        assert 0 <= best - sum(mass * sum(law.listed) for mass, law in laws) < Fraction(1, 10**7)


@given(row_pairs(5), st.integers(2, 3), st.sampled_from(WEIGHTS))
@settings(deadline=None, max_examples=40)
def test_lossless_in_float64(pair, k, weight):
    target, draft = (row.astype(float) for row in pair)
    law = sum(mass * optimal_iid(target, draft, tokens, weight).row() for mass, tokens in ordered_iid_lists(draft, k))
    assert np.abs(law - weight * target).max() < 1e-14


@pytest.mark.parametrize("lift", [top_down, bottom_up])
@pytest.mark.parametrize("groups", [2, 512])
def test_lossless_under_both_lifts(lift, groups):
    rule = verifier(OptimalIid(groups), lift)
    for policy in (Iid(3, 2), Iid(2, 3)):
        certificate = certify(rule, policy, dirichlet_pair(3, seed=4, closeness=0.3), "float")
        assert certificate.total_variation <= 1e-12
    exact = MarkovPair(np.array([P, P[[1, 2, 0]], Q]), np.array([Q, Q[[2, 0, 1]], P]))
    assert certify(rule, Iid(2, 2), exact).total_variation == 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize("size", [1000, 49_152])
def test_real_sizes_lose_less_than_a_thousandth(size, k, family):
    target, draft = rows_of(size, family)
    rule = optimal_rule(target, draft, k)
    assert rule.law.sum() == pytest.approx(1, abs=1e-12)
    for weight in WEIGHTS:
        best = optimal_acceptance(target, draft, k, "iid", weight).value
        assert -1e-12 < shortfall(rule, target, best, weight) < 5e-4


@pytest.mark.parametrize("family", ["near", "far"])
def test_the_law_at_real_size_from_lists_alone(family):
    """Over two draws a token is chosen from the lists that hold it, all of which can be summed."""
    target, draft = rows_of(49_152, family)
    rule = optimal_rule(target, draft, 2)
    token = int(np.argsort(draft)[-30])
    others = [other for other in range(len(draft)) if other != token]
    chances = np.array([rule.choice((token, other))[token] for other in others])
    law = draft[token] * (draft[token] + 2 * (draft[others] * chances).sum())
    assert law == pytest.approx(rule.law[token], rel=1e-12)


@pytest.mark.parametrize("k", [2, 4])
def test_a_branching_law_at_real_size(k):
    """Given the list, the law is that of verifying the chosen token against the law of the choice."""
    target, draft = rows_of(49_152, "middle")
    rule, rng = optimal_rule(target, draft, k), np.random.default_rng(0)
    for weight in (1.0, 0.4):
        mass, residual = weight * target, np.maximum(weight * target - rule.law, 0)
        for tokens in rng.choice(len(draft), size=(5, k), p=draft).tolist():
            row = np.zeros(len(draft))
            for token, chance in rule.choice(tokens).items():
                row[token] += chance * min(1, mass[token] / rule.law[token])
            row += (1 - row.sum()) * residual / (residual.sum() + 1 - weight)
            law = optimal_iid(target, draft, tokens, weight)
            assert sum(law.listed) + law.off + law.none == pytest.approx(1, abs=1e-14)
            assert np.abs(law.row() - row).sum() < 1e-13


@given(row_pairs(4), st.integers(1, 3), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_a_plain_ranking_chooses_the_best_token(pair, k, random):
    draft = pair[1]
    order = np.flatnonzero(draft).tolist()
    random.shuffle(order)
    rule = ranking(draft, k, order)
    assert (rule.law == law_by_lists(rule)).all()
    for tokens in product(order, repeat=k):
        best = max(tokens, key=order.index)
        assert rule.choice(tokens)[best] == 1


def test_no_mixture_of_plain_rankings_does_better():
    """The base polytope is the hull of the plain rankings' laws: its best point is the rule's."""
    from scipy.optimize import linprog

    for seed in range(5):
        pair = dirichlet_pair(4, seed, closeness=0.5)
        target, draft = pair.target_row(()), pair.draft_row(())
        laws = np.array([ranking(draft, 3, order).law for order in permutations(range(4))]).T
        # maximise sum z, z <= target, z <= laws @ mixture
        result = linprog(
            np.concatenate([np.full(4, -1.0), np.zeros(24)]),
            A_ub=np.hstack([np.eye(4), -laws]), b_ub=np.zeros(4),
            A_eq=[[0] * 4 + [1] * 24], b_eq=[1], bounds=[(0, mass) for mass in target] + [(0, None)] * 24,
        )  # fmt: skip
        reached = np.minimum(target, optimal_rule(target, draft, 3).law).sum()
        assert -result.fun == pytest.approx(reached, abs=1e-9)


def test_published_values():
    for k, value in ((2, Fraction(43, 50)), (3, Fraction(247, 250))):
        assert shortfall(optimal_rule(P.astype(float), Q.astype(float), k), P.astype(float), value) < 1e-15
        lists = ordered_iid_lists(Q, k)
        accepted = sum(prod([mass, sum(optimal_iid(P, Q, tokens).listed)]) for mass, tokens in lists)
        assert 0 <= value - accepted < Fraction(1, 10**8)


def test_one_draw_is_speculative_sampling():
    ours, theirs = optimal_iid(P, Q, (2,)), naive(P, Q, (2,))
    assert ours.listed == theirs.listed and (ours.row() == theirs.row()).all()


def test_equal_rows_accept_everything():
    target, _ = rows_of(1000, "near")
    law = optimal_iid(target, target, (3, 7, 3))
    assert sum(law.listed) == pytest.approx(1, abs=1e-12)


def test_disjoint_supports_and_point_masses():
    left, right = np.array([1.0, 0, 0]), np.array([0, 0.5, 0.5])
    assert optimal_iid(left, right, (1, 2)).row().tolist() == [1, 0, 0]
    assert optimal_iid(right, left, (0, 0)).row().tolist() == [0, 0.5, 0.5]
    assert optimal_iid(left, left, (0, 0)).row().tolist() == [1, 0, 0]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="token 0 of the list has draft probability 0"):
        optimal_iid(np.array([0.5, 0.5]), np.array([0.0, 1.0]), (0, 1))
    with pytest.raises(ValueError, match="draft row 0 sums"):
        optimal_iid(np.array([0.5, 0.5]), np.array([0.5, 0.4]), (0, 1))
    with pytest.raises(ValueError, match="has 3 draws, but the ranking is for 2"):
        optimal_rule(P, Q, 2).choice((0, 1, 2))
    with pytest.raises(ValueError, match="groups must be at least 2"):
        OptimalIid(1)
    with pytest.raises(ValueError, match="order must list"):
        ranking(Q, 2, (0, 1))


def test_slopes_are_compared_where_their_products_underflow():
    target = np.array([1e-301, 1.0, 1.0, 1e-301])
    draft = np.array([1e-17, 1.0, 0.5, 1e-41])
    target, draft = target / target.sum(), draft / draft.sum()
    rule = optimal_rule(target, draft, 2)
    assert abs(shortfall(rule, target, optimal_acceptance(target, draft, 2).value)) < 1e-12
