"""Transport plans: POT and HiGHS against each other and against alpha*, proofs that can fail, losslessness."""

from fractions import Fraction
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from row_pairs import LAWS, row_pairs, verifier
from strategies import P, Q

from veridraft.theory import Iid, MarkovPair, bottom_up, certify, dirichlet_pair, top_down
from veridraft.theory.bounds.one_step import optimal_acceptance
from veridraft.theory.rows.lists import ordered_iid_lists, without_replacement_lists
from veridraft.theory.solvers import programmes as transport_programs
from veridraft.theory.solvers.programmes import check_duality, solve_transport
from veridraft.theory.solvers.transport import OptimalTransport, optimal
from veridraft.theory.verifiers.emission import emitted_law

SOLVERS = {
    (drawing, program): OptimalTransport(LAWS[drawing], program=program)
    for drawing, program in product(LAWS, ("pot", "highs"))
}
WEIGHTS = st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(1, 9)])


def mixture(solver, law, target, draft, k, weight):
    return sum(mass * solver(target, draft, tokens, weight).row() for mass, tokens in law(draft, k) if mass)


@given(row_pairs(4), st.integers(1, 3), st.sampled_from(sorted(LAWS)), WEIGHTS, st.booleans())
@settings(deadline=None, max_examples=60)
def test_both_programmes_reach_alpha_star_and_are_lossless(pair, k, drawing, weight, exactly):
    draws = min(k, np.count_nonzero(pair[1])) if drawing != "iid" else k
    target, draft = pair if exactly else (row.astype(float) for row in pair)
    weight = weight if exactly else float(weight)
    best = optimal_acceptance(target, draft, draws, drawing, weight).value
    for program in ("pot", "highs"):
        solver = SOLVERS[drawing, program]
        assert abs(solver.plan(target, draft, draws, weight).acceptance - best) <= 1e-9
        law = mixture(solver, LAWS[drawing], target, draft, draws, weight)
        gap = np.abs(law - target * weight).max()
        assert gap == 0 if exactly else gap < 1e-14


@given(row_pairs(4), st.integers(1, 3), WEIGHTS)
@settings(deadline=None, max_examples=40)
def test_a_branching_law_sums_to_one_and_accepts_alpha_star(pair, k, weight):
    target, draft = pair
    laws = [(mass, optimal(target, draft, tokens, weight)) for mass, tokens in LAWS["iid"](draft, k)]
    assert all(sum(law.listed) + law.off + law.none == 1 for _, law in laws)
    accepted = sum(mass * sum(law.listed) for mass, law in laws)
    assert abs(accepted - optimal_acceptance(target, draft, k, "iid", weight).value) < 1e-9


def test_published_values_are_met_exactly():
    for program, prefer in product(("pot", "highs"), ("high", "low", "any")):
        plans = [OptimalTransport(prefer=prefer, program=program).plan(P, Q, k) for k in (2, 3)]
        assert [plan.acceptance for plan in plans] == [Fraction(43, 50), Fraction(247, 250)]
        assert [plan.proof.gap for plan in plans] == [0, 0]
    assert SOLVERS["without_replacement", "highs"].plan(P, Q, 2).acceptance == 1
    assert SOLVERS["top_plus_one", "highs"].plan(P, Q, 2).acceptance == Fraction(17, 18)


def solved(program):
    cost = np.array([[0.0, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1, 0.5]])
    masses = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.2, 0.5, 0.3])
    return cost, masses, *solve_transport(cost, masses, program)


@pytest.mark.parametrize("program", ["pot", "highs"])
def test_duality_proves_the_optimum(program):
    cost, masses, plan, *prices = solved(program)
    proof = check_duality(plan, cost, masses, prices)
    assert proof.primal == pytest.approx(0.25) and abs(proof.gap) < 1e-12 and proof.misplaced == 0


def moved(plan, amount):
    """The plan with mass moved around a cycle of four edges: the marginals stay."""
    cycle = np.zeros_like(plan)
    cycle[:2, :2] = [[-amount, amount], [amount, -amount]]
    return plan + cycle


def test_duality_refuses_what_is_wrong():
    cost, masses, plan, *prices = solved("pot")
    with pytest.raises(ValueError, match="positive reduced cost"):
        check_duality(moved(plan, 1e-3), cost, masses, prices)
    with pytest.raises(ValueError, match="row sums"):
        check_duality(plan * 1.001, cost, masses, prices)
    with pytest.raises(ValueError, match="negative entry"):
        check_duality(moved(plan, -1e-3), cost, masses, prices)
    with pytest.raises(ValueError, match="reduced cost is negative"):
        check_duality(plan, cost, masses, (prices[0] + 0.01, prices[1]))
    with pytest.raises(ValueError, match="positive reduced cost"):
        check_duality(plan, cost, masses, (prices[0] - 0.01, prices[1]))


def test_a_programme_that_is_not_solved_raises(monkeypatch):
    monkeypatch.setattr(transport_programs, "MOST_PIVOTS", 1)
    rng = np.random.default_rng(0)
    masses = rng.dirichlet(np.ones(30)), rng.dirichlet(np.ones(30))
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="POT did not solve"):
        solve_transport(rng.random((30, 30)), masses, "pot")
    failure = SimpleNamespace(status=4, message="numerical difficulties")
    monkeypatch.setattr(scipy.optimize, "linprog", lambda *args, **options: failure)
    with pytest.raises(RuntimeError, match="HiGHS did not solve"):
        solve_transport(rng.random((30, 30)), masses, "highs")


def test_masses_are_checked_before_they_are_solved():
    for masses in ((np.array([0.5, 0.6]), np.array([1.0])), (np.array([1.5, -0.5]), np.array([1.0]))):
        with pytest.raises(ValueError, match="masses must be"):
            solve_transport(np.zeros((2, 1)), masses, "pot")


def repeated_mass(prefer, target, draft, k):
    """The mean multiplicity of the emitted token."""
    plan = OptimalTransport(prefer=prefer).plan(target, draft, k)
    return sum(plan.hits[row, token] for tokens, row in plan.rows.items() for token in tokens)


def test_ties_go_where_they_are_told():
    pair = dirichlet_pair(4, seed=2, closeness=0.6)
    rows = pair.target_row(()), pair.draft_row(())
    low, falling, high = (repeated_mass(prefer, *rows, 3) for prefer in ("low", "any", "high"))
    assert low <= falling + 1e-12 and falling <= high + 1e-12 and low < high - 0.01


def test_an_ordered_law_of_lists_has_the_same_optimum():
    pair = dirichlet_pair(3, seed=5, closeness=0.3)
    rows = pair.target_row(()), pair.draft_row(())
    ordered = OptimalTransport(ordered_iid_lists, ordered=True)
    assert ordered.plan(*rows, 3).acceptance == pytest.approx(optimal.plan(*rows, 3).acceptance, abs=1e-12)
    assert len(ordered.plan(*rows, 3).rows) == 27 and len(optimal.plan(*rows, 3).rows) == 10
    assert np.abs(mixture(ordered, ordered_iid_lists, *rows, 3, 1.0) - rows[0]).max() < 1e-15


def test_any_law_of_lists_will_do():
    def pairs_in_a_ring(draft, k):
        return ((mass, (token, (token + 1) % len(draft))) for token, mass in enumerate(draft))

    plan = OptimalTransport(pairs_in_a_ring).plan(P, Q, 2)
    assert plan.acceptance == 1  # each token is held by two of the three lists
    assert (mixture(OptimalTransport(pairs_in_a_ring), pairs_in_a_ring, P, Q, 2, 1) == P).all()


def test_plans_are_remembered():
    assert optimal.plan(P, Q, 2) is optimal.plan(P.copy(), Q.copy(), 2)
    assert optimal.plan(P, Q, 2) is not optimal.plan(P, Q, 2, Fraction(1, 2))


@pytest.mark.parametrize("lift", [top_down, bottom_up])
@pytest.mark.parametrize("prefer", ["high", "low", "any"])
def test_lossless_under_both_lifts(prefer, lift):
    rule = verifier(OptimalTransport(prefer=prefer), lift)
    for seed, closeness in ((0, 0.0), (1, 0.7)):
        certificate = certify(rule, Iid(3, 2), dirichlet_pair(3, seed, closeness=closeness), "float")
        assert certificate.total_variation <= 1e-12
    exact = MarkovPair(np.array([P, P[[1, 2, 0]], P[[0, 0, 1]] / (1 + P[0] - P[2])]), np.array([Q, Q[[2, 0, 1]], P]))
    assert certify(rule, Iid(2, 2), exact).total_variation == 0


def test_hits_of_the_top_down_lift_are_alpha_star():
    pair = dirichlet_pair(3, seed=9, closeness=0.2)
    rows = pair.target_row(()), pair.draft_row(())
    accepted = 1 - emitted_law(verifier(optimal, top_down), Iid(3, 1), pair).by_depth[0]
    assert accepted == pytest.approx(float(optimal_acceptance(*rows, 3)), abs=1e-12)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="prefer must be one of"):
        OptimalTransport(prefer="median")
    with pytest.raises(ValueError, match="probability 0"):
        OptimalTransport(without_replacement_lists)(P, Q, (1, 1))
    with pytest.raises(ValueError, match="draft row 0 sums"):
        optimal(P.astype(float), Q.astype(float) * 0.9, (0, 1))
