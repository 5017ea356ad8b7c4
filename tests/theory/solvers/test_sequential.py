"""One-step solvers: exact values, losslessness of one step, K-SEQ's root, edges of the arithmetic."""

from __future__ import annotations

import warnings
from fractions import Fraction
from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import P, Q, exact_pairs, one_step_pair, rows

from veridraft.theory import Chain, Iid, MarkovPair, block_efficiency, exact
from veridraft.theory.solvers import k_seq, naive, nss, rrs, rrs_without_replacement, smallest_rho
from veridraft.theory.solvers.sequential import RHO_STEP

SOLVERS = [nss, naive, k_seq, rrs, rrs_without_replacement]
ONE = Fraction(1)
WEIGHTS = st.fractions(min_value=Fraction(1, 50), max_value=1, max_denominator=50)


def mean_law(solver, target, draft, count, weight=ONE):
    """The mean over i.i.d. lists of the emitted token's law, and of "none"."""
    total, none = target * 0, weight * 0
    for tokens in product(np.flatnonzero(draft).tolist(), repeat=count):
        probability = prod(draft[token] for token in tokens)
        branching = solver(target, draft, tokens, weight)
        total, none = total + branching.row() * probability, none + branching.none * probability
    return total, none


def acceptance(solver, count: int):
    """The probability that the emitted token is in a list of i.i.d. draws."""
    lists = product(range(3), repeat=count)
    return sum(prod(Q[t] for t in tokens) * sum(solver(P, Q, tokens).listed) for tokens in lists)


@pytest.mark.parametrize(
    ("solver", "count", "value"),
    [
        (naive, 1, Fraction(13, 20)),
        (nss, 2, Fraction(1883, 4000)),
        (naive, 2, Fraction(289, 400)),
        (rrs, 2, Fraction(77, 100)),
        (rrs_without_replacement, 2, Fraction(297, 400)),
    ],
)
def test_acceptance_rate_is_the_known_fraction(solver, count, value) -> None:
    assert acceptance(solver, count) == value


@pytest.mark.parametrize(
    ("verifier", "policy", "value"),
    [
        ("naive", Chain(1), Fraction(13, 20)),
        ("nss", Iid(2, 1), Fraction(1883, 4000)),
        ("naive_tree", Iid(2, 1), Fraction(289, 400)),
        ("specinfer", Iid(2, 1), Fraction(77, 100)),
        ("traversal", Iid(2, 1), Fraction(297, 400)),
    ],
)
def test_block_efficiency_of_one_step_is_one_plus_the_known_fraction(verifier, policy, value) -> None:
    assert block_efficiency(verifier, policy, one_step_pair()).value == 1 + value


@pytest.mark.parametrize(("verifier", "value"), [("naive", Fraction(10, 9)), ("block", Fraction(11, 9))])
def test_two_positions_of_two_tokens_have_the_published_acceptance_length(verifier, value) -> None:
    target, draft = np.array([Fraction(1, 3), Fraction(2, 3)]), np.array([Fraction(2, 3), Fraction(1, 3)])
    assert block_efficiency(verifier, Chain(2), one_step_pair(target, draft)).acceptance_length == value


@pytest.mark.parametrize("solver", SOLVERS)
@given(data=st.data(), weight=WEIGHTS)
def test_mean_over_lists_is_the_scaled_target_exactly(solver, data, weight) -> None:
    size, count = data.draw(st.integers(2, 4)), data.draw(st.integers(1, 3))
    target, draft = data.draw(rows(size)), data.draw(rows(size))
    law, none = mean_law(solver, target, draft, count, weight)
    assert (law == target * weight).all()
    assert none == 1 - weight


@pytest.mark.parametrize("solver", SOLVERS)
@given(data=st.data(), weight=WEIGHTS)
def test_a_branching_law_is_a_law_off_the_draft_nothing_is_lost(solver, data, weight) -> None:
    target, draft = data.draw(rows(4)), data.draw(rows(4))
    tokens = data.draw(st.lists(st.sampled_from(np.flatnonzero(draft).tolist()), min_size=1, max_size=4))
    branching = solver(target, draft, tuple(tokens), weight)
    assert sum(branching.listed) + branching.off + branching.none == 1
    assert min(*branching.listed, branching.off, branching.none, branching.residual.min()) >= 0
    assert branching.tokens == tuple(dict.fromkeys(tokens))
    assert not branching.residual[list(branching.tokens)].any()
    assert branching.residual.sum() == branching.residual_sum
    assert not branching.row()[target == 0].any()


@pytest.mark.parametrize("solver", SOLVERS)
@given(data=st.data(), weight=WEIGHTS)
def test_floats_and_fractions_agree(solver, data, weight) -> None:
    target, draft = data.draw(rows(4)), data.draw(rows(4))
    tokens = data.draw(st.lists(st.sampled_from(np.flatnonzero(draft).tolist()), min_size=1, max_size=4))
    exactly = solver(target, draft, tuple(tokens), weight).row().astype(float)
    rounded = solver(target.astype(float), draft.astype(float), tuple(tokens), float(weight)).row()
    assert np.abs(exactly - rounded).max() < 1e-5 if solver is k_seq else np.abs(exactly - rounded).max() < 1e-12


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_rows_handed_in_are_left_as_they_are(solver) -> None:
    for target, draft in ((P.copy(), Q.copy()), (P.astype(float), Q.astype(float))):
        before = target.copy(), draft.copy()
        for tokens in ((0,), (0, 1), (2, 2, 1)):
            solver(target, draft, tokens)
            solver(target, draft, tokens, target[0])
        assert (target == before[0]).all() and (draft == before[1]).all()


@pytest.mark.parametrize("solver", [naive, rrs, rrs_without_replacement, k_seq])
def test_a_listed_token_of_draft_probability_zero_is_refused(solver) -> None:
    target, draft = np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.5, 0.5])
    with pytest.raises(ValueError, match="token 0 of the list has draft probability 0"):
        solver(target, draft, (0, 0))


@pytest.mark.parametrize("solver", [naive, rrs, rrs_without_replacement, k_seq])
@given(data=st.data(), weight=WEIGHTS)
def test_one_draw_is_speculative_sampling_whatever_the_solver(solver, data, weight) -> None:
    target, draft = data.draw(rows(4)), data.draw(rows(4))
    token = data.draw(st.sampled_from(np.flatnonzero(draft).tolist()))
    assert (solver(target, draft, (token,), weight).row() == naive(target, draft, (token,), weight).row()).all()


def any_of(beta: Fraction, count: int) -> Fraction:
    return 1 - (1 - beta) ** count


@given(data=st.data(), weight=WEIGHTS, count=st.integers(2, 4))
def test_rho_is_rounded_up_so_that_gamma_is_at_most_rho_exactly(data, weight, count) -> None:
    mass, draft = data.draw(rows(4)) * weight, data.draw(rows(4))
    rho = smallest_rho(mass, draft, count)
    beta = np.minimum(mass / rho, draft).sum()
    assert 1 <= rho <= count
    assert any_of(beta, count) <= rho * beta
    lower = rho - RHO_STEP
    less = np.minimum(mass / lower, draft).sum()
    assert rho == 1 or any_of(less, count) > lower * less


@given(data=st.data(), count=st.integers(2, 6))
def test_float_rho_solves_its_equation(data, count) -> None:
    mass, draft = data.draw(rows(5)).astype(float), data.draw(rows(5)).astype(float)
    rho = smallest_rho(mass, draft, count)
    beta = np.minimum(mass / rho, draft).sum()
    assume(beta > 0)
    assert any_of(beta, count) == pytest.approx(rho * beta, abs=1e-13)


def k_seq_at(rho: Fraction, target, draft, tokens):
    """K-SEQ with any rho, the negative part of the residual cut off as an implementation would."""
    overlap = np.minimum(target / rho, draft)
    beta, row, remaining = overlap.sum(), target * 0, ONE
    for token in tokens:
        accept = min(ONE, target[token] / (rho * draft[token]))
        row[token] += remaining * accept
        remaining *= 1 - accept
    residual = np.maximum(target - overlap * any_of(beta, len(tokens)) / beta, 0 * ONE)
    return row + residual * (remaining / residual.sum()) if remaining else row


def k_seq_error(rho: Fraction) -> Fraction:
    lists = product(range(3), repeat=2)
    mean = sum(k_seq_at(rho, P, Q, tokens) * prod(Q[t] for t in tokens) for tokens in lists)
    return abs(mean - P).sum() / 2


def test_a_rho_below_the_root_is_lossy_and_any_above_is_not() -> None:
    rho = smallest_rho(P, Q, 2)
    assert [k_seq_error(larger) for larger in (rho, rho + Fraction(1, 7), Fraction(5))] == [0, 0, 0]
    assert k_seq_error(rho - Fraction(1, 1000)) > 0
    assert k_seq_error(ONE) > Fraction(1, 100)


@given(pair=exact_pairs(kinds=("disjoint",)))
def test_disjoint_supports_accept_nothing_and_emit_the_target(pair) -> None:
    target, draft = pair.target_row(()), pair.draft_row(())
    token = int(np.flatnonzero(draft)[0])
    for solver in SOLVERS:
        branching = solver(target, draft, (token, token))
        assert branching.listed == (0,)
        assert (branching.row() == target).all()


EDGES = {
    "a draft token of probability 1e-300": ([0.9, 0.1, 0.0], [1e-300, 1e-300, 1.0]),
    "a first token of draft probability next to 1": ([0.7, 0.0, 0.3], [1 - 2**-53, 1e-17, 1e-300]),
    "subnormal entries": ([0.5, 0.1, 0.4], [1.0, 5e-324, 5e-324]),
    "a residual of subnormal entries": ([5e-311, 1e-310, 1.0], [1e-310, 5e-311, 1.0]),
    "an erased row with a subnormal rest": ([0.9, 0.0, 0.1], [0.1, 5e-324, 0.9]),
    "rows that differ by rounding": ([0.1 + 1e-12, 0.2, 0.7 - 1e-12], [0.1, 0.2, 0.7]),
    "sums off by 1e-9": ([0.1, 0.2, 0.7 + 9e-10], [0.1 + 9e-10, 0.2, 0.7]),
    "a target of subnormal weight": ([5e-324, 1.0, 0.0], [0.5, 0.25, 0.25]),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("weight", [1.0, 0.3, 1e-310])
def test_extreme_rows_give_a_law_within_the_target_without_warnings(solver, edge, weight) -> None:
    target, draft = (np.array(row) for row in EDGES[edge])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for tokens in product(range(3), repeat=3):
            branching = solver(target, draft, tokens, weight)
            assert sum(branching.listed) + branching.off + branching.none == pytest.approx(1, abs=1e-12)
            assert not branching.row()[target == 0].any()
            assert branching.off_law().sum() == pytest.approx(1, abs=1e-12) or branching.residual_sum == 0


@pytest.mark.parametrize("edge", [name for name in EDGES if "sums" not in name])
def test_extreme_rows_keep_the_mean_over_lists(edge) -> None:
    target, draft = (np.array(row) for row in EDGES[edge])
    for solver in SOLVERS:
        law, none = mean_law(solver, target, draft, 3, 0.5)
        assert np.abs(law - 0.5 * target).max() < 1e-11
        assert none == pytest.approx(0.5, abs=1e-11)


def test_exact_arithmetic_takes_fractions_far_below_the_smallest_float() -> None:
    tiny = Fraction(1, 10**400)
    target, draft = np.array([1 - tiny, tiny]), np.array([tiny, 1 - tiny])
    for solver in SOLVERS:
        law, none = mean_law(solver, target, draft, 3)
        assert (law == target).all() and none == 0


def test_markov_pair_of_exact_numbers_stays_exact() -> None:
    assert isinstance(block_efficiency("spectr", Iid(2, 1), MarkovPair([P] * 3, [Q] * 3)).value, Fraction)
    assert exact([0.5])[0] == Fraction(1, 2)


@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_k_seq_accepts_everything_where_target_equals_draft_up_to_rounding(count) -> None:
    for seed in range(20):
        row = np.random.default_rng(seed).dirichlet(np.ones(997))
        assert abs(smallest_rho(row, row, count) - 1) < 1e-14
        branching = k_seq(row, row, [3] * count)
        assert branching.off + branching.none < 1e-14
