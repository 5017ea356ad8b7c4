"""Verifiers broken on purpose: lossy by their certificates, and by their trials."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from defect_trials import error_bound, named_case, ready

from veridraft.simulate import PROCEDURES, Agreement, compare, simulate
from veridraft.simulate.batches.rows import rounded
from veridraft.simulate.defects.broken import chains as chain_defects
from veridraft.simulate.defects.broken import engines as drafting_defects
from veridraft.simulate.defects.broken.planted import (
    TrunkCountedKTimes,
    bias_total_variation,
    biased,
    specinfer_trunk_pair,
    trunk_counted_k_times,
)
from veridraft.simulate.defects.correct.token_wise import TokenWise
from veridraft.simulate.defects.table import DEFECTS
from veridraft.simulate.defects.traps import TRAPS
from veridraft.simulate.forms.drawing import Drawing
from veridraft.simulate.forms.form import Form
from veridraft.simulate.procedures.one_step import naive
from veridraft.theory import Delayed, certify, dirichlet_pair
from veridraft.theory.verifiers import Losslessness

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


ROWS = {*range(1, 12), 13, 14, 15, *range(17, 25), 26, 27, 29, 30, 32, 34, 37, 38, 39, 41, 42, 43}
LATER = set(range(45, 65))
LEVEL = 1e-6 / 100  # fewer than 100 tests below; all of them together err with probability 1e-6
TRIALS = {"residual_by_cancelling_logarithms": 1_000_000, "small_residual_made_uniform": 100_000,
          "relaxed_by_uncertainty": 100_000}  # fmt: skip
DEFAULT = {
    "equality_test_on_top_of_ratio": "flat target", "block_cut_by_value": "equal", "generator_restored": "ties",
    "mask_off_behind_forbidden_draft": "zeros", "forbidden_draft_sampled_anew": "zeros",
}  # fmt: skip
"""The default case that a defect shows on; of the others random."""
TOO_SMALL = {"drawn_in_coarser_float"}  # a total variation of 0.0017: looked at exactly
VERIFIERS = [
    *((f"{defect.name} {side}", defect.form, getattr(defect, side), defect.cases)
      for defect in DEFECTS.values() for side in ("broken", "correct")),
    *((trap.name, trap.form, trap.verifier, trap.cases) for trap in TRAPS.values()),
]  # fmt: skip


class Chosen:
    """A generator whose uniforms are all one chosen number."""

    def __init__(self, uniform):
        self.uniform = uniform

    def random(self, size=None):
        return np.full(() if size is None else size, self.uniform)


def shown(form, cases, name=""):
    """The case that a verifier is tried on: the first of its own, or a default case."""
    return cases[0] if cases else named_case(form, DEFAULT.get(name, "random"))


def test_every_real_defect_is_there_and_one_more():
    assert {defect.number for defect in DEFECTS.values()} == ROWS | {44} | LATER
    assert len(ROWS) == 34
    assert [defect.number for defect in DEFECTS.values()] == sorted(ROWS | {44} | LATER)


def test_the_tables_say_what_happened_and_where():
    for name, defect in DEFECTS.items():
        assert defect.name == name and name == name.lower().replace(" ", "_")
        assert defect.seen_in and len(defect.mechanism) > 30 and defect.shown_on
        assert defect.broken is not defect.correct
    for name, trap in TRAPS.items():
        assert trap.name == name and trap.source
        assert len(trap.looks_wrong) > 20 and len(trap.is_right) > 20
    assert len({defect.mechanism for defect in DEFECTS.values()}) == len(DEFECTS)


@pytest.mark.parametrize(("_name", "form", "verifier", "cases"), VERIFIERS, ids=[one[0] for one in VERIFIERS])
def test_a_batched_verifier_keeps_the_contract(_name, form, verifier, cases):
    case, rng = shown(form, cases), np.random.default_rng(1)
    call, length = ready(verifier, form, case), case.policy.depth + 1
    if form is Form.GENERATE:
        first, second = (call(np.random.default_rng(2), 40) for _ in range(2))
        check_tokens(first, length)
        assert np.array_equal(first, second)
        return
    for one in Drawing(case, form).draw(12, rng)[0]:
        given = tuple(array.copy() for array in one.arrays)
        words = {"trunk": one.trunk} if one.trunk else {}
        first, second = (call(*given, np.random.default_rng(2), **words) for _ in range(2))
        check_tokens(first.tokens, length)
        assert np.array_equal(first.tokens, second.tokens)
        assert np.array_equal(first.accepted, (first.tokens >= 0).sum(axis=1) - 1)
        assert all(np.array_equal(before, after) for before, after in zip(one.arrays, given, strict=True))


def check_tokens(tokens, length):
    """Integers (T, L + 1), the first there, and nothing but -1 behind the first -1."""
    assert tokens.shape[1] == length and tokens.dtype == np.int64
    assert (tokens[:, 0] >= 0).all() and (tokens >= -1).all()
    assert ((tokens[:, 1:] >= 0) <= (tokens[:, :-1] >= 0)).all()


@pytest.mark.parametrize("name", [name for name in DEFECTS if name not in TOO_SMALL])
def test_a_broken_verifier_has_another_law_than_the_target(name):
    defect = DEFECTS[name]
    case = shown(defect.form, defect.cases, name)
    assert error_bound(defect.broken, defect.form, case, TRIALS.get(name, 20_000), seed=3) < LEVEL


@pytest.mark.parametrize("name", DEFECTS)
def test_the_correct_verifier_beside_it_has_the_targets_law(name):
    defect = DEFECTS[name]
    case = shown(defect.form, defect.cases)
    assert error_bound(defect.correct, defect.form, case, 20_000, seed=4) > LEVEL


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_has_the_targets_law(name):
    trap = TRAPS[name]
    assert error_bound(trap.verifier, trap.form, shown(trap.form, trap.cases), 40_000, seed=5) > LEVEL


def test_a_draft_drawn_in_bfloat16_is_off_by_the_rounding():
    case = DEFECTS["drawn_in_coarser_float"].cases[0]
    row = case.pair.draft_row(())
    drawn = drafting_defects.normalised_bfloat16(row[None])[0]
    assert np.array_equal(case.pair.target_row(()), row)  # so that every draft is accepted
    assert np.abs(drawn - row).sum() / 2 == pytest.approx(0.0017, abs=5e-5)
    tables = drafting_defects.drawn_in_bfloat16(case.pair, 1)
    assert np.array_equal(tables.drawn[0][0], rounded(row, 8))
    assert np.array_equal(tables.told[0][0], row)


@pytest.mark.parametrize("uniform", [0.0, np.nextafter(1.0, 0.0), 0.5])
@pytest.mark.parametrize("name", [name for name, defect in DEFECTS.items() if defect.form is Form.CHAIN])
def test_no_uniform_makes_a_correct_chain_verifier_emit_what_the_target_cannot(name, uniform):
    for case in (named_case(Form.CHAIN, "zeros"), named_case(Form.CHAIN, "disjoint"), *DEFECTS[name].cases):
        assert not impossible(DEFECTS[name].correct, case, Chosen(uniform)).any()


def test_a_comparison_with_equality_emits_the_impossible_at_zero():
    case = named_case(Form.CHAIN, "zeros")
    assert impossible(DEFECTS["uniform_compared_with_equality"].broken, case, Chosen(0.0)).any()


def impossible(verifier, case, coins):
    """(T,) which of some trials emitted a token of target probability 0."""
    (one,), _ = Drawing(case, Form.CHAIN).draw(60, np.random.default_rng(6))
    tokens = verifier(*one.arrays, coins).tokens
    chances = np.take_along_axis(one.arrays[0], np.maximum(tokens, 0)[..., None], axis=2)[..., 0]
    return ((tokens >= 0) & (chances == 0)).any(axis=1)


def test_the_hooked_procedure_is_speculative_sampling():
    (one,), _ = Drawing(named_case(Form.CHAIN, "random"), Form.CHAIN).draw(500, np.random.default_rng(7))
    hooked = TokenWise()(*one.arrays, np.random.default_rng(8))
    plain = naive(*(array[:, None] for array in one.arrays), np.random.default_rng(8))
    assert np.array_equal(hooked.accepted, plain.accepted)  # decided by the same coins, thrown first


def test_coarse_uniforms_alone_are_exact_on_their_grid():
    """A strict test by uniforms of 8 bits is exact where every ratio is a multiple of 1/256."""
    strict = TokenWise(passing=lambda chains, rng: chain_defects.coarse_uniforms(chains, rng) < chains.ratios())
    case = DEFECTS["uniform_compared_with_equality"].cases[0]
    assert error_bound(strict, Form.CHAIN, case, 40_000, seed=9) > LEVEL


@pytest.mark.parametrize(("bits", "value", "wanted"), [
    (8, 1.0 + 2.0**-8, 1.0), (8, 1.0 + 3 * 2.0**-8, 1.0 + 2.0**-6), (53, 0.1, 0.1), (11, 0.1, float(np.float16(0.1))),
    (24, 0.1, float(np.float32(0.1))), (8, -np.inf, -np.inf), (8, 0.0, 0.0),
])  # fmt: skip
def test_rounding_is_to_significant_bits_half_to_even(bits, value, wanted):
    assert rounded(np.array([value]), bits)[0] == wanted


@pytest.mark.parametrize("name", ["draft_rows_of_another_request", "placeholder_taken_for_draft"])
def test_cases_with_several_requests_are_needed(name):
    defect = DEFECTS[name]
    alone = replace(defect.cases[0], contexts=((),), lengths=None)
    assert error_bound(defect.broken, defect.form, alone, 20_000, seed=10) > LEVEL


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"draft must have shape \(2, 1, 3\), but has shape \(2, 2, 3\)"):
        TokenWise()(np.ones((2, 2, 3)), np.ones((2, 2, 3)), np.zeros((2, 1), int), np.random.default_rng())
    with pytest.raises(ValueError, match=r"tokens must have shape \(T, N\), but have shape \(2,\)"):
        DEFECTS["sibling_row_read"].correct(
            np.ones((2, 2, 3)), np.ones((2, 2, 3)), np.zeros((2, 2)), np.zeros(2), np.random.default_rng()
        )
    with pytest.raises(ValueError, match=r"parents must have shape \(2, 2\), but has shape \(2, 3\)"):
        DEFECTS["sibling_row_read"].correct(
            np.ones((2, 2, 3)), np.ones((2, 2, 3)), np.zeros((2, 3)), np.zeros((2, 2)), np.random.default_rng()
        )
