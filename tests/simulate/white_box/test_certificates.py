"""Certificates of white boxes: right verifiers exactly lossless, broken ones off by the number that a hand finds."""

import doctest
import math
from fractions import Fraction

import numpy as np
import pytest
from strategies import P, Q, one_step_pair, random_pairs
from white_boxes import (
    block,
    draw,
    last_passing,
    naive_tree,
    nss,
    residual,
    rrs,
    speculative,
    tree_without_replacement,
)

from veridraft.simulate import PROCEDURES
from veridraft.simulate.forms.guard import CallError, Fault
from veridraft.simulate.white_box import certificates as white_box
from veridraft.simulate.white_box import every_draft
from veridraft.simulate.white_box.certificates import certify, enumerate_law
from veridraft.simulate.white_box.injection import InexactDecisionError, NotEnumerableError, NotRepeatableError
from veridraft.theory import VERIFIERS, Chain, Delayed, Iid, Static, Topology, block_efficiency
from veridraft.theory import certify as certify_entry
from veridraft.theory.policies import HubPairs
from veridraft.theory.verifiers import Losslessness

F = Fraction
PAIR = one_step_pair()
THIRDS = one_step_pair(np.array([F(1, 3), F(2, 3)]), np.array([F(2, 3), F(1, 3)]))
PAIRS = [pair for pair in random_pairs(12) if pair.vocabulary_size < 4]
WITHOUT_REPLACEMENT = Static(Topology.from_expansion((2,)), replacement=False)

CORRECT = [
    (speculative, "chain", Chain(2), "naive"),
    (block, "chain", Chain(2), "block"),
    (nss, "paths", Iid(2, 1), "nss"),
    (naive_tree, "paths", Iid(2, 1), "naive_tree"),
    (rrs, "paths", Iid(2, 1), "specinfer"),
    (tree_without_replacement, "tree", WITHOUT_REPLACEMENT, "rrsw"),
]


@pytest.mark.parametrize(("verifier", "form", "policy", "name"), CORRECT)
@pytest.mark.parametrize("pair", PAIRS, ids=repr)
def test_a_right_verifier_is_exactly_lossless_and_accepts_what_theory_says(verifier, form, policy, name, pair):
    found = enumerate_law(verifier, policy, pair, form)
    certificate = found.certificate()
    assert certificate.total_variation == 0 and type(certificate.total_variation) is F
    assert certificate.outcome is Losslessness.LOSSLESS and certificate.arithmetic == "rational"
    assert found.block_efficiency == block_efficiency(name, policy, pair).value
    assert sum(found.strings.values()) == 1


@pytest.mark.parametrize(
    ("verifier", "form", "policy", "rate"),
    [
        (speculative, "chain", Chain(1), F(13, 20)),
        (nss, "paths", Iid(2, 1), F(1883, 4000)),
        (naive_tree, "paths", Iid(2, 1), F(289, 400)),
        (rrs, "paths", Iid(2, 1), F(77, 100)),
        (tree_without_replacement, "tree", WITHOUT_REPLACEMENT, F(77, 90)),
    ],
)
def test_published_acceptance_rates(verifier, form, policy, rate):
    assert enumerate_law(verifier, policy, PAIR, form).acceptance_rate == rate


def test_published_block_efficiencies_of_two_positions():
    assert enumerate_law(speculative, Chain(2), THIRDS, "chain").block_efficiency == F(19, 9)
    assert enumerate_law(block, Chain(2), THIRDS, "chain").block_efficiency == F(20, 9)


@pytest.mark.parametrize("policy", [Iid(2, 2), Delayed(2, 1, 1)], ids=repr)
def test_paths_that_part_and_a_trunk(policy):
    found = enumerate_law(rrs, policy, THIRDS, "paths")
    assert found.certificate().total_variation == 0
    assert found.block_efficiency == block_efficiency("specinfer", policy, THIRDS).value
    assert found.law.trees == 16 if policy == Iid(2, 2) else 8


def pruned(target, draft, tokens, rng):
    """Broken: a token of small draft probability is dropped after it was drawn."""
    if draft[0, tokens[0]] < F(1, 4):
        return [draw(target[0], rng)]
    return speculative(target, draft, tokens, rng)


def accepting(target, draft, tokens, rng):
    """Broken: u is always 0."""
    return [*tokens, draw(target[-1], rng)]


BROKEN = [  # by hand, on P and Q: accepted masses (1/5, 1/4, 1/5), residual (6/7, 1/7, 0) of mass 7/20
    ("residual is the target", lambda *a: speculative(*a, rest=lambda p, q: p), "chain", Chain(1), F(1, 8)),
    ("residual |p - q|", lambda *a: speculative(*a, rest=lambda p, q: abs(p - q) / abs(p - q).sum()), "chain", Chain(1),
     F(7, 40)),
    ("the ratio forgotten", lambda *a: speculative(*a, bar=lambda p, q, x: p[x]), "chain", Chain(1), F(149, 700)),
    ("everything accepted", accepting, "chain", Chain(1), F(7, 20)),
    ("drafts pruned by value", pruned, "chain", Chain(1), F(1, 10)),
    ("no residual for the second draft", lambda *a: rrs(*a, updated=lambda rest, q: rest), "paths", Iid(2, 1), F(1, 8)),
    ("siblings not renormalised", lambda *a: tree_without_replacement(*a, renormalised=False), "tree",
     WITHOUT_REPLACEMENT, F(11, 180)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "verifier", "form", "policy", "variation"), BROKEN, ids=[row[0] for row in BROKEN])
def test_a_broken_verifier_is_off_by_the_number_found_by_hand(name, verifier, form, policy, variation):
    certificate = certify(verifier, policy, PAIR, form)
    assert certificate.total_variation == variation
    assert certificate.outcome is Losslessness.LOSSY
    assert certificate.first_difference.expected != certificate.first_difference.observed
    assert certify(verifier, policy, PAIR, form, "float").total_variation == pytest.approx(float(variation), abs=1e-12)


def test_the_last_passing_position_is_lossy_by_two_ninths():
    certificate = certify(last_passing, Chain(2), THIRDS, "chain")
    assert certificate.total_variation == F(2, 9)
    assert (certificate.trees, certificate.strings) == (4, 8)


@pytest.mark.parametrize("name", PROCEDURES)
def test_the_procedures_of_this_package_are_lossless_in_float_arithmetic(name):
    policy = Chain(2) if name in ("naive", "block") else Iid(2, 1)
    found = enumerate_law(PROCEDURES[name], policy, PAIR, "paths", "float", batched=True)
    assert found.certificate().outcome is Losslessness.LOSSLESS
    expected = block_efficiency(name, policy, PAIR.as_float()).value
    assert found.block_efficiency == pytest.approx(expected, abs=1e-12)


def test_repeated_siblings_or_one_node():
    def shape(target, draft, parents, tokens, rng):
        seen.add(len(tokens))
        return [draw(target[0], rng)]

    seen = set()
    certify(shape, Iid(2, 1), PAIR, "tree")
    assert seen == {3}
    seen.clear()
    assert certify(shape, Iid(2, 1), PAIR, "tree", multiplicity=False).total_variation == 0
    assert seen == {2, 3}


def test_a_context_other_than_the_root():
    pair = random_pairs(1)[0]
    assert certify(speculative, Chain(1), pair, "chain", context=(1, 0)).total_variation == 0
    shifted = lambda target, draft, tokens, rng: [draw(pair.target_row(()), rng)]  # noqa: E731
    assert certify(shifted, Chain(1), pair, "chain", context=(1, 0)).total_variation > 0


def test_a_generator_that_drafts_from_another_row_than_it_says():
    def generate(rng, drafted=Q):
        return speculative([P, P], [Q], [int(rng.choice(3, p=drafted))], rng)

    assert certify(generate, Chain(1), PAIR, "generate").total_variation == 0
    top = np.array([F(0), F(5, 16), F(11, 16)])  # q cut to two tokens: accepted 5/16, 1/4; rejected 7/16
    cut = certify(lambda rng: generate(rng, top), Chain(1), PAIR, "generate")
    assert cut.total_variation == F(1, 8)  # 3/8, 3/8, 1/4 for 1/2, 3/10, 1/5


def test_strings_of_a_generator_are_cut():
    def plain(rng):
        return [draw(P, rng) for _ in range(4)]

    assert certify(plain, Chain(1), PAIR, "generate").total_variation == 0


class TestStatedLaws:
    """Verifiers that state their law."""

    def test_an_entry_of_the_table(self):
        for verifier in ("block", VERIFIERS["block"]):
            assert certify(verifier, Chain(2), PAIR) == certify_entry(verifier, Chain(2), PAIR)
        with pytest.raises(ValueError, match="leave it out"):
            certify("block", Chain(2), PAIR, "chain")

    @pytest.mark.parametrize("form", [None, "law"])
    def test_a_law_is_averaged_over_every_tree(self, form):
        stated = certify(VERIFIERS["specinfer"].rule, Iid(2, 2), THIRDS, form)
        own = certify_entry("specinfer", Iid(2, 2), THIRDS)
        assert (stated.total_variation, stated.trees, stated.strings) == (0, own.trees, own.strings)

    def test_a_function_may_return_two_arrays(self):
        def law(tree, accepted=lambda p, q, x: min(1, p[x] / q[x])):
            p, q, token = tree.target[0], tree.draft[0], tree.tokens[1]
            share = accepted(p, q, token)
            return np.array([1 - share, share]), np.array([residual(p, q), tree.target[1]])

        assert certify(law, Chain(1), PAIR, "law").total_variation == 0
        assert certify(lambda tree: law(tree, lambda p, q, x: F(1)), Chain(1), PAIR, "law").total_variation == F(7, 20)
        found = enumerate_law(law, Chain(1), PAIR, "law")
        assert (found.acceptance_rate, found.verifier) == (F(13, 20), "law")

    @pytest.mark.parametrize(
        ("law", "error", "words"),
        [
            (lambda tree: ([F(1, 2), F(1, 4)], tree.target), ValueError, "stopping row 0 sums to 3/4"),
            (lambda tree: ([F(1)], tree.target), ValueError, "must be"),
            (lambda tree: ([F(1), F(0)], tree.target * 2), ValueError, "next_token row 0 sums to 2"),
            (lambda tree: ([1.0, 0.0], tree.target), TypeError, "stopping is stated in floats"),
        ],
    )
    def test_what_is_no_law_is_refused(self, law, error, words):
        with pytest.raises(error, match=words):
            certify(law, Chain(1), PAIR, "law")


def chain(decision):
    """A chain's verifier whose first token is decided by the generator."""
    return lambda target, draft, tokens, rng: [int(decision(rng))]


class TestWhatCannotBeEnumerated:
    """Clear errors."""

    @pytest.mark.parametrize(
        ("decision", "words"),
        [
            (lambda rng: np.argmax(rng.gumbel(size=3)), r"rng\.gumbel"),
            (lambda rng: rng.exponential() < 1, r"rng\.exponential"),
            (lambda rng: np.argmax(-np.log(rng.random(3))), "log of a uniform"),
            (lambda rng: math.log(rng.random()) < -1, "into a float"),
            (lambda rng: float(rng.random()) < 0.5, "into a float"),
            (lambda rng: np.asarray(rng.random(2), dtype=float).argmax(), "into a float"),
            (lambda rng: rng.random() < rng.random(), "two uniforms"),
            (lambda rng: np.argmax(rng.random(2)), "two uniforms"),
            (lambda rng: rng.random() * rng.random() < 1, "multiplied"),
            (lambda rng: rng.random() ** 2 < 1, "power"),
            (lambda rng: 1 / rng.random() < 1, "divided"),
            (lambda rng: bool(rng.random()), "truth value"),
            (lambda rng: rng.bit_generator.random_raw() % 3, "bit generator"),
            (lambda rng: rng.random(3, out=np.zeros(3)).argmax(), "out="),
            (lambda rng: rng.integers(10**6), "1000000 outcomes"),
        ],
    )
    def test_a_decision_without_a_list_of_outcomes(self, decision, words):
        with pytest.raises(NotEnumerableError, match=words) as error:
            certify(chain(decision), Chain(1), PAIR, "chain")
        assert "use audit()" in str(error.value)

    def test_an_error_that_is_swallowed(self):
        def careless(rng):
            try:
                return float(rng.random()) < 0.5
            except Exception:
                return 0

        with pytest.raises(NotEnumerableError, match="into a float"):
            certify(chain(careless), Chain(1), PAIR, "chain")

    def test_too_many_runs_and_a_loop_without_end(self):
        with pytest.raises(NotEnumerableError, match="more than 20 runs; raise most_runs"):
            certify(nss, Iid(2, 2), PAIR, "paths", most_runs=20)

        def loop(rng):
            while rng.random() < 1 - F(1, 10):
                pass

        with pytest.raises(NotEnumerableError, match="a loop until something is drawn"):
            certify(chain(loop), Chain(1), PAIR, "chain")

    def test_state_and_other_randomness(self):
        calls, other = [], np.random.default_rng(0)

        def counting(rng):
            calls.append(0)
            return len(calls) % 2

        def forgetful(rng):
            calls.append(0)
            return rng.random() < F(1, 2 + len(calls))

        def noisy(rng):
            return rng.random() < F(other.random())

        for decision in (counting, forgetful, noisy, lambda rng: other.integers(3)):
            with pytest.raises(NotRepeatableError, match="another source of randomness"):
                certify(chain(decision), Chain(1), PAIR, "chain")

    def test_floats_in_rational_arithmetic(self):
        def rounding(target, draft, tokens, rng):
            return speculative(target.astype(float), draft.astype(float), tokens, rng)

        with pytest.raises(InexactDecisionError, match='arithmetic="float"'):
            certify(rounding, Chain(1), PAIR, "chain")
        assert certify(rounding, Chain(1), PAIR, "chain", "float").outcome is Losslessness.LOSSLESS
        with pytest.raises(CallError, match='arithmetic="float"'):
            certify(lambda target, *others: [np.exp(target[0]).argmax()], Chain(1), PAIR, "chain")
        with pytest.raises(TypeError, match="needs rows of Fractions"):
            certify(speculative, Chain(1), PAIR.as_float(), "chain")

    def test_answers_that_are_none(self):
        for answer, fault in [
            ([], Fault.WRONG_SHAPE), ([3], Fault.OUTSIDE_VOCABULARY), ([0, 1, 2], Fault.WRONG_SHAPE),
            (None, Fault.WRONG_SHAPE),
        ]:  # fmt: skip
            with pytest.raises(CallError) as error:
                certify(lambda *arrays, answer=answer: answer, Chain(1), PAIR, "chain")
            assert error.value.fault is fault

    def test_what_is_asked_wrongly(self):
        with pytest.raises(ValueError, match="form must be given"):
            certify(speculative, Chain(1), PAIR)
        with pytest.raises(ValueError, match="is none of"):
            certify(speculative, Chain(1), PAIR, "chains")
        with pytest.raises(TypeError, match="the form chain needs"):
            certify(speculative, HubPairs(1), PAIR, "chain")
        with pytest.raises(ValueError, match="arithmetic must be"):
            certify(speculative, Chain(1), PAIR, "chain", "double")


@pytest.mark.parametrize("module", [every_draft, white_box])
def test_the_examples_in_the_docstrings(module):
    assert doctest.testmod(module).failed == 0
