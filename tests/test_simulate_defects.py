"""Verifiers broken on purpose: lossy by their certificates, and by their trials."""

from fractions import Fraction

import numpy as np
import pytest

from veridraft.simulate import (
    PROCEDURES,
    Agreement,
    TrunkCountedKTimes,
    bias_total_variation,
    biased,
    compare,
    simulate,
    specinfer_trunk_pair,
    trunk_counted_k_times,
)
from veridraft.theory import Delayed, Losslessness, certify, dirichlet_pair

PAIR = specinfer_trunk_pair()
LOSSY, UNTOUCHED = ("spectr", "specinfer", "lifted_k_seq", "lifted_rrs"), ("nss", "naive_tree", "traversal")


@pytest.mark.parametrize(("paths", "variation"), [(2, Fraction(3, 25)), (3, Fraction(1, 5))])
def test_specinfer_on_a_trunk_counted_k_times_is_lossy(paths, variation):
    certificate = certify("specinfer", TrunkCountedKTimes(paths, 1, 1), PAIR, any_policy=True)
    assert certificate.total_variation == variation
    assert certificate.outcome is Losslessness.LOSSY
    assert certify("specinfer", Delayed(paths, 1, 1), PAIR).total_variation == 0


def test_spectr_on_a_trunk_counted_k_times_is_lossy_on_every_random_pair():
    for seed in range(10):
        pair = dirichlet_pair(3, seed, closeness=0.0).rationalised(20)
        assert certify("spectr", TrunkCountedKTimes(2, 1, 1), pair, any_policy=True).total_variation > 0


@pytest.mark.parametrize("name", UNTOUCHED)
def test_verifiers_without_multiplicity_do_not_mind(name):
    assert certify(name, TrunkCountedKTimes(3, 1, 1), PAIR, any_policy=True).total_variation == 0


def test_the_broken_policy_has_the_trees_of_the_sound_one():
    broken, sound = TrunkCountedKTimes(2, 1, 1), Delayed(2, 1, 1)
    assert broken.tree_count(4) == sound.tree_count(4) == 64
    assert sum(probability for probability, _ in broken.enumerate(PAIR)) == 1
    tree = broken.sample(PAIR.as_float(), np.random.default_rng(31))
    assert tree.child_lists[0] == (1, 1)
    assert broken.name == "TrunkCountedKTimes(2, 1, 1)"


def test_no_name_may_stand_for_a_verifier_on_the_broken_policy():
    with pytest.raises(ValueError, match=r"TrunkCountedKTimes\(2, 1, 1\)"):
        simulate("naive_tree", TrunkCountedKTimes(2, 1, 1), PAIR, 10)


def test_the_broken_policy_and_the_broken_procedure_are_one_defect():
    by_policy = simulate(PROCEDURES["specinfer"], TrunkCountedKTimes(3, 1, 1), PAIR, 1000)
    by_procedure = simulate(trunk_counted_k_times(PROCEDURES["specinfer"]), Delayed(3, 1, 1), PAIR, 1000)
    assert np.array_equal(by_policy.string_counts, by_procedure.string_counts)


@pytest.mark.parametrize("name", LOSSY)
def test_trials_see_a_trunk_counted_k_times(name):
    policy = Delayed(3, 1, 1)
    run = simulate(trunk_counted_k_times(PROCEDURES[name]), policy, PAIR, 30_000, seed=32)
    found = compare(run, name, policy, PAIR)
    assert found.verifier == f"{name}_trunk_counted_k_times"
    assert found.outcome is Agreement.DIFFERS
    certified = certify(name, TrunkCountedKTimes(3, 1, 1), PAIR, any_policy=True).total_variation
    assert found.total_variation == pytest.approx(float(certified), abs=found.smallest_total_variation)


@pytest.mark.parametrize("name", UNTOUCHED)
def test_trials_agree_where_multiplicity_is_not_read(name):
    policy = Delayed(3, 1, 1)
    run = simulate(trunk_counted_k_times(PROCEDURES[name]), policy, PAIR, 30_000, seed=33)
    assert compare(run, name, policy, PAIR).outcome is Agreement.AGREES


def test_bias_total_variation_is_what_is_missing_at_the_token():
    assert bias_total_variation(0.1, 1, [0.5, 0.3, 0.2]) == pytest.approx(0.07)
    assert bias_total_variation(0.0, 1, [0.5, 0.3, 0.2]) == 0


def test_bias_of_one_emits_nothing_but_the_token():
    run = simulate(biased(PROCEDURES["naive_tree"], 1.0, 3), Delayed(2, 1, 1), PAIR, 100)
    assert run.mean_acceptance_length == 0
    assert run.string_counts.reshape(4, 4, 4)[3].sum() == 100
    assert run.verifier == "biased_naive_tree"


def test_bias_of_zero_changes_nothing():
    policy = Delayed(2, 1, 1)
    plain, none = (simulate(p, policy, PAIR, 500) for p in ("spectr", biased(PROCEDURES["spectr"], 0.0, 0)))
    assert np.array_equal(plain.depth_counts, none.depth_counts)


def test_bad_biases_are_named():
    with pytest.raises(ValueError, match=r"epsilon must lie in \[0, 1\], but is 1.5"):
        biased(PROCEDURES["nss"], 1.5, 0)
    with pytest.raises(ValueError, match="token must be at least 0, but is -1"):
        biased(PROCEDURES["nss"], 0.5, -1)
    with pytest.raises(ValueError, match=r"token must lie in \[0, 4\), but is 4"):
        simulate(biased(PROCEDURES["nss"], 0.5, 4), Delayed(2, 1, 1), PAIR, 10)
    with pytest.raises(ValueError, match="target_row row 0 sums to"):
        bias_total_variation(0.5, 0, [0.5, 0.4])
