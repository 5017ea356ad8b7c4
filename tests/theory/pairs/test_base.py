"""Pairs and rows: families, transforms, arithmetic, draws."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ExactPair, P, Q, exact_pairs, one_step_pair, rows

from veridraft.theory import MarkovPair, TablePair, dirichlet_pair, exact, total_variation, zipf_pair
from veridraft.theory.pairs import diverging_pair
from veridraft.theory.rows import apply_temperature, draw, entropy, is_exact, keep_top_k, keep_top_p

FAMILIES = [dirichlet_pair, zipf_pair, diverging_pair]


def test_a_table_gives_the_rows_it_was_given() -> None:
    pair = TablePair({(): [0.5, 0.5], (1,): [1.0, 0.0]}, {(): [0.25, 0.75]})
    assert (pair.vocabulary_size, pair.exact) == (2, False)
    assert pair.target_row((1,)).tolist() == [1, 0]
    with pytest.raises(KeyError, match=r"draft has no row for the context \(1,\)"):
        pair.draft_row((1,))


def test_a_markov_pair_reads_the_last_token() -> None:
    pair = MarkovPair([P, Q, P], [Q, Q, P], (Q, P))
    assert (pair.target_row(()) == Q).all() and (pair.draft_row(()) == P).all()
    assert (pair.target_row((0, 1)) == Q).all() and (pair.draft_row((1, 2)) == P).all()


def test_a_markov_pair_without_a_start_begins_after_a_uniform_token() -> None:
    pair = MarkovPair([P, Q, P], [Q, Q, P])
    assert (pair.target_row(()) == (P + Q + P) / 3).all()
    assert pair.draft_row(()).sum() == 1


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=st.integers(0, 2**40), context=st.lists(st.integers(0, 6), max_size=4).map(tuple))
def test_a_random_family_gives_rows_that_depend_on_seed_and_context_alone(family, seed, context) -> None:
    one, two, other = family(7, seed), family(7, seed), family(7, seed + 1)
    two.target_row((3, 3))
    for name in ("target_row", "draft_row"):
        row = getattr(one, name)(context)
        assert row.sum() == pytest.approx(1, abs=1e-9) and (row >= 0).all()
        assert (row == getattr(two, name)(context)).all()
        assert not (row == getattr(other, name)(context)).all()
        assert not (row == getattr(one, name)((*context, 0))).all()


def test_a_remembered_row_cannot_be_spoilt() -> None:
    for pair in (dirichlet_pair(4), one_step_pair().as_float(), dirichlet_pair(4).rationalised()):
        with pytest.raises(ValueError, match="read-only"):
            pair.target_row(())[0] = 1


@given(seed=st.integers(0, 1000))
def test_closeness_one_is_an_equal_pair_and_noise_zero_too(seed) -> None:
    for pair in (dirichlet_pair(6, seed, closeness=1.0), zipf_pair(6, seed, noise=0), diverging_pair(6, seed, 0, 0)):
        assert (pair.target_row((2,)) == pair.draft_row((2,))).all()


def test_a_diverging_pair_parts_with_depth_on_average() -> None:
    pairs = [diverging_pair(20, seed, near=0.1, growth=0.2) for seed in range(40)]
    distances = [
        np.mean([total_variation(pair.target_row((0,) * depth), pair.draft_row((0,) * depth)) for pair in pairs])
        for depth in (0, 2, 4)
    ]
    assert distances[0] < distances[1] < distances[2]


@given(row=rows(5))
def test_temperature_zero_is_the_first_largest_token(row) -> None:
    greedy = apply_temperature(row.astype(float), 0)
    assert greedy[row.tolist().index(max(row))] == 1 and greedy.sum() == 1
    assert (apply_temperature(row, 0) == exact(greedy)).all() and is_exact(apply_temperature(row, 0))


def test_temperature_zero_needs_no_square_of_the_vocabulary() -> None:
    greedy = apply_temperature(zipf_pair(200_000).target_row(()), 0)
    assert greedy.sum() == 1


@given(row=rows(5), temperature=st.floats(0.05, 20))
def test_temperature_divides_logits(row, temperature) -> None:
    row = row.astype(float)
    cooled = apply_temperature(row, temperature)
    assert cooled.sum() == pytest.approx(1, abs=1e-12)
    kept = cooled > 1e-300
    shifts = np.log(cooled[kept]) - np.log(row[kept]) / temperature
    assert np.ptp(shifts) < 1e-9
    assert apply_temperature(row, 1) is row


@given(row=rows(5), k=st.integers(1, 7))
def test_top_k_keeps_the_largest_and_of_equals_the_first(row, k) -> None:
    kept = sorted(range(5), key=lambda token: (-row[token], token))[:k]
    expected = np.array([row[token] if token in kept else 0 * row[0] for token in range(5)])
    assert (keep_top_k(row, k) == expected / expected.sum()).all()
    assert keep_top_k(row, None) is row


@given(row=rows(5), share=st.fractions(Fraction(1, 20), 1, max_denominator=20))
def test_top_p_keeps_the_fewest_that_reach_p(row, share) -> None:
    kept: list[int] = []
    for token in sorted(range(5), key=lambda token: (-row[token], token)):
        if sum(row[kept]) < share:
            kept.append(token)
    expected = np.array([row[token] if token in kept else 0 * row[0] for token in range(5)])
    assert (keep_top_p(row, share) == expected / expected.sum()).all()


def test_ties_are_cut_at_the_lower_token_and_rows_are_treated_one_by_one() -> None:
    half, third = Fraction(1, 2), Fraction(1, 3)
    both = np.array([[half / 2] * 4, [half, half * 0, half / 2, half / 2]])
    assert keep_top_k(both, 2).tolist() == [[half, half, 0, 0], [2 * third, 0, third, 0]]
    assert keep_top_p(both, half).tolist() == [[half, half, 0, 0], [1, 0, 0, 0]]


def test_transforms_come_in_the_order_temperature_top_k_top_p() -> None:
    pair = dirichlet_pair(8, seed=3)
    changed = pair.transformed(temperature=0.7, top_k=4, top_p=0.8)
    row = pair.target_row((1,))
    assert (changed.target_row((1,)) == keep_top_p(keep_top_k(apply_temperature(row, 0.7), 4), 0.8)).all()
    other_order = keep_top_k(keep_top_p(apply_temperature(row, 0.7), 0.8), 4)
    assert changed.draft_row((1,)).sum() == pytest.approx(1)
    assert not (changed.target_row((1,)) == other_order).all()


def test_a_transformed_exact_pair_is_exact_and_needs_no_row_at_the_empty_context() -> None:
    pair = TablePair({(5 - 3,): P}, {(2,): Q}).transformed(top_k=2, top_p=Fraction(9, 10))
    assert pair.exact and pair.target_row((2,)).tolist() == [Fraction(5, 8), Fraction(3, 8), 0]
    assert not pair.as_float().exact and pair.as_float().vocabulary_size == 3


@given(pair=exact_pairs())
def test_as_float_rounds_and_a_float_pair_is_itself(pair) -> None:
    rounded = pair.as_float()
    assert rounded.target_row((0,)).dtype == np.float64
    assert (rounded.draft_row((0,)) == pair.draft_row((0,)).astype(float)).all()
    assert rounded.as_float() is rounded and pair.rationalised() is pair


@given(seed=st.integers(0, 1000), denominator=st.sampled_from([1, 10, 1000, 10**20]))
def test_rationalised_rows_are_near_sum_to_one_and_keep_their_zeros(seed, denominator) -> None:
    source = dirichlet_pair(5, seed, concentration=0.2).transformed(top_k=3)
    row, near = source.target_row(()), source.rationalised(denominator).target_row(())
    assert near.sum() == 1 and is_exact(near)
    assert ((near == 0) == (row == 0)).all()
    assert np.abs(near.astype(float) - row).max() <= 5 / denominator + 1e-12


@given(row=rows(6), coins=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20))
def test_a_draw_never_has_probability_zero_and_inverts_the_distribution_function(row, coins) -> None:
    coins = [0.0, 1 - 2**-53, *coins]
    for held in (row, row.astype(float)):
        tokens = draw(held, coins)
        assert (held[tokens] > 0).all()
        below = np.concatenate([[0.0], np.cumsum(held.astype(float))])
        assert all(below[t] <= c + 1e-12 and c - 1e-12 <= below[t + 1] for t, c in zip(tokens, coins, strict=True))


def test_a_draw_past_a_short_cumulative_sum_is_the_last_possible_token() -> None:
    row = np.full(32_000, 1 / 32_000, dtype=np.float32).astype(np.float64) * (1 - 2e-5)
    row[-100:] = 0
    assert draw(row, 1 - 2**-53) == 31_899
    first = np.array([0.0, 0.0, 1.0, 0.0])
    assert draw(first, [0.0, 0.5, 1 - 2**-53]).tolist() == [2, 2, 2]


def test_distances_of_rows() -> None:
    assert total_variation(P, Q) == Fraction(7, 20)
    assert entropy(np.array([0.5, 0.5, 0.0])) == pytest.approx(np.log(2))
    assert ExactPair(3, "full", 0).exact
