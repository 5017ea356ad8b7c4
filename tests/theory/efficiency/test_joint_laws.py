"""The joint law of outcome and multiplicity against every list of drafts, exactly and in float64."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import P, Q, as_row, random_pairs, rows

from veridraft.theory.efficiency.joint_laws import JOINT_LAWS, joint_law_roots, joint_laws, smallest_rhos
from veridraft.theory.rows.lists import ordered_iid_lists
from veridraft.theory.solvers import k_seq, naive, nss, rrs, rrs_without_replacement, smallest_rho

SOLVERS = [nss, naive, rrs, k_seq]
PAIRS = random_pairs(18)


def listed_joint_law(solver, target, draft, count):
    """(count + 1, V) the joint law of outcome and multiplicity of any solver, every list of drafts listed."""
    law = np.zeros((count + 1, len(target)), dtype=target.dtype) * target[0]
    for probability, tokens in ordered_iid_lists(draft, count):
        multiplicities = np.bincount(tokens, minlength=len(target))
        law[multiplicities, range(len(target))] += solver(target, draft, tokens).row() * probability
    return law


def stacked(law, row=0):
    """(k + 1, V) the joint law at one row."""
    return np.array([coefficient[row] for coefficient in law])


@pytest.mark.parametrize("pair", PAIRS, ids=repr)
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.__name__)
def test_fractions_equal_the_lists_exactly(solver, pair):
    target, draft = pair.target_row(()), pair.draft_row(())
    for count, law in enumerate(joint_laws(solver, target[None], draft[None], 3), start=1):
        assert (stacked(law) == listed_joint_law(solver, target, draft, count)).all()


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.__name__)
def test_floats_equal_the_lists_to_rounding(solver):
    for pair in PAIRS:
        target, draft = pair.target_row(()).astype(float), pair.draft_row(()).astype(float)
        for count, law in enumerate(joint_laws(solver, target[None], draft[None], 4), start=1):
            # both sides add up to 256 products; 2e-15 is nine units in the last place of 1
            np.testing.assert_allclose(stacked(law), listed_joint_law(solver, target, draft, count), atol=2e-15, rtol=0)


@given(data=st.data(), size=st.integers(2, 9), solver=st.sampled_from(SOLVERS))
def test_at_k_8_the_tokens_have_the_targets_law_and_the_drafts_theirs(data, size, solver):
    target, draft = data.draw(rows(size)), data.draw(rows(size))
    for count, law in enumerate(joint_laws(solver, target[None], draft[None], 8), start=1):
        joint = stacked(law)
        assert (joint >= 0).all()
        assert (joint.sum(axis=0) == target).all()
        # Pr(Y = y, m drafts equal y) can be no more than either of its two margins
        assert (joint[count] <= draft**count).all()


def test_rows_of_a_block_do_not_touch_each_other():
    rng = np.random.default_rng(5)
    target, draft = rng.dirichlet(np.ones(6), size=(2, 7))
    for solver in SOLVERS:
        together = list(joint_laws(solver, target, draft, 3))
        for row in range(7):
            alone = list(joint_laws(solver, target[[row]], draft[[row]], 3))
            for law, single in zip(together, alone, strict=True):
                np.testing.assert_allclose(stacked(law, row), stacked(single), atol=1e-15)


def test_a_root_that_is_too_small_is_noticed():
    target, draft = P[None].astype(float), Q[None].astype(float)
    roots = joint_law_roots(k_seq, target, draft, 3)
    assert sum(stacked(list(joint_laws(k_seq, target, draft, 3, roots))[2])) == pytest.approx(target[0], abs=1e-14)
    wrong = [root * 0.99 for root in roots]
    emitted = sum(stacked(list(joint_laws(k_seq, target, draft, 3, wrong))[2]))
    assert abs(emitted - target[0]).max() > 1e-4


def near_and_far(noise):
    """40 pairs of rows, the draft's logits off by normal noise."""
    rng = np.random.default_rng(7)
    target = rng.dirichlet(np.full(50, 0.3), size=40)
    draft = target * np.exp(noise * rng.standard_normal(target.shape))
    return target, draft / draft.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("noise", [0.5, 1.0, 5.0])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_many_roots_at_once_equal_the_roots_one_by_one(noise, count):
    target, draft = near_and_far(noise)
    single = [smallest_rho(*pair, count) for pair in zip(target, draft, strict=True)]
    np.testing.assert_allclose(smallest_rhos(target, draft, count), single, rtol=1e-12)


@pytest.mark.parametrize("noise", [0.0, 1e-12, 1e-6, 1e-3, 0.1, 1.0, 5.0])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_roots_solve_their_equation(noise, count):
    """Where rows nearly agree rho is ill-conditioned, but what it must solve holds to rounding."""
    target, draft = near_and_far(noise)
    rho = smallest_rhos(target, draft, count)
    covered = np.minimum(target, rho[:, None] * draft).sum(axis=1)
    gap = -np.expm1(count * np.log1p(-np.minimum(covered / rho, 1 - 1e-16))) - covered
    assert np.abs(gap[rho > 1]).max(initial=0) < 1e-15
    assert ((rho >= 1) & (rho <= count)).all()


def test_roots_at_the_ends_of_their_range():
    same, apart = np.array([[0.5, 0.5, 0.0]]), np.array([[0.0, 0.0, 1.0]])
    assert smallest_rhos(same, same, 4).tolist() == [1.0]
    assert smallest_rhos(same, apart, 4).tolist() == [1.0]
    point = np.array([[1.0, 0.0]]), np.array([[1e-9, 1 - 1e-9]])  # beta tends to 0, rho to the number of drafts
    assert smallest_rhos(*point, 4)[0] == pytest.approx(4, abs=1e-7)


def test_solvers_without_a_joint_law_are_refused_by_name_and_listed():
    with pytest.raises(ValueError, match=r"rrs_without_replacement; known: nss, naive, rrs, k_seq"):
        joint_laws(rrs_without_replacement, P[None], Q[None], 2)
    assert rrs_without_replacement not in JOINT_LAWS
    listed = listed_joint_law(rrs_without_replacement, P, Q, 3)
    assert (listed.sum(axis=0) == P).all()


def test_multiplicities_are_wrong_if_the_rejected_drafts_are_taken_for_unseen():
    """K-SEQ has looked at the drafts before the accepted one: they are rejected ones, of another law."""
    target, draft = as_row([1, 3, 6]), as_row([6, 3, 1])
    law = stacked(list(joint_laws(k_seq, target[None], draft[None], 2))[1])
    accepted = np.minimum(target / smallest_rho(target, draft, 2), draft)
    unseen = accepted * (1 - accepted.sum()) * draft + accepted * draft
    seen = accepted * (draft - accepted) + accepted * draft
    assert (law[2] >= seen).all()
    assert abs(law[2] - unseen).max() > Fraction(1, 100)
