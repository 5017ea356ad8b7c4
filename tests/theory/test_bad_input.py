"""Bad input: an error that names the argument, the row and the value, raised before any work."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
from strategies import P, Q, one_step_pair

from veridraft.theory import (
    VERIFIERS,
    Chain,
    Delayed,
    Iid,
    MarkovPair,
    Pair,
    TablePair,
    block_efficiency,
    certify,
    dirichlet_pair,
    get_verifier,
    parse_policy,
    zipf_pair,
)
from veridraft.theory.pairs import RandomPair, diverging_pair
from veridraft.theory.speed import get_device, get_network

GOOD = np.full((2, 2), 0.5)
FLOATS = one_step_pair(P.astype(float), Q.astype(float))


@pytest.mark.parametrize("value", [True, 1.0, "2", None, Fraction(2)])
@pytest.mark.parametrize("kind", [Chain, lambda n: Iid(n, 2), lambda n: Iid(2, n), lambda n: Delayed(2, n, 1)])
def test_a_policy_takes_integers_only(kind, value) -> None:
    with pytest.raises(TypeError, match=r"(K|L|L1) must be an integer, but is "):
        kind(value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Chain(-1), "L must be at least 0, but is -1"),
        (lambda: Iid(0, 2), "K must be at least 1, but is 0"),
        (lambda: Iid(2, -3), "L must be at least 0, but is -3"),
        (lambda: Delayed(0, 1, 1), "K must be at least 1, but is 0"),
        (lambda: Delayed(1, -1, 1), "L1 must be at least 0, but is -1"),
        (lambda: Delayed(1, 1, -1), "L2 must be at least 0, but is -1"),
        (lambda: Iid(2, 2).tree_count(0), "vocabulary_size must be at least 1, but is 0"),
    ],
)
def test_a_policy_out_of_range_is_named(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


NO_POLICIES = ["", "Iid", "Iid(4)", "Iid(4,,2)", "Iid(4 2)", "Iid(4, 2", "Top(3)", "Chain(--2)", "Chain(2.0)"]


@pytest.mark.parametrize("text", NO_POLICIES)
def test_a_text_that_names_no_policy_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match=r"policy '.*' is none of .*Chain\(L\), Iid\(K, L\), Delayed\(K, L1, L2\)"):
        parse_policy(text)


def test_an_unknown_verifier_is_refused_with_the_list() -> None:
    asked = [(get_verifier, ()), (certify, (Chain(1), one_step_pair())), (block_efficiency, (Chain(1), FLOATS))]
    for call, arguments in asked:
        with pytest.raises(ValueError, match="unknown verifier 'spectre'; known are naive, nss, naive_tree, spectr"):
            call("spectre", *arguments)


@pytest.mark.parametrize("name", ["naive", "block"])
@pytest.mark.parametrize("policy", [Iid(2, 2), Delayed(2, 1, 1)], ids=repr)
def test_a_policy_that_a_verifier_is_not_lossless_for_is_refused(name, policy) -> None:
    assert not VERIFIERS[name].supports(policy)
    for call in (certify, block_efficiency):
        with pytest.raises(ValueError, match=f"verifier '{name}' is not known to be lossless for the policy "):
            call(name, policy, one_step_pair())
    tree = Iid(2, 1).sample(FLOATS, np.random.default_rng(0))
    with pytest.raises(ValueError, match=f"verifier '{name}' takes a single path"):
        VERIFIERS[name].law(tree)


def test_unknown_arithmetic_and_method_are_refused() -> None:
    with pytest.raises(ValueError, match=r'arithmetic must be "rational" or "float", but is .decimal.'):
        certify("naive", Chain(1), one_step_pair(), arithmetic="decimal")
    with pytest.raises(ValueError, match=r"method must be .* but is 'guess'"):
        block_efficiency("naive", Chain(1), one_step_pair(), method="guess")


def test_rational_arithmetic_on_floats_is_refused() -> None:
    with pytest.raises(TypeError, match="rational arithmetic needs rows of Fractions"):
        certify("naive", Chain(1), FLOATS)
    with pytest.raises(TypeError, match=r"temperature 0\.5 makes irrational rows"):
        one_step_pair().transformed(temperature=0.5)


@pytest.mark.parametrize("level", [0, 1, -0.1, 1.5, float("nan")])
def test_a_level_outside_the_open_unit_interval_is_named(level) -> None:
    result = block_efficiency("naive", Chain(1), FLOATS, method="sample", trees=5)
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\), but is "):
        result.confidence_interval(level)


@pytest.mark.parametrize(("trees", "error"), [(1, ValueError), (0, ValueError), (2.0, TypeError), (True, TypeError)])
def test_a_number_of_trees_that_is_none_is_named(trees, error) -> None:
    with pytest.raises(error, match="trees must be"):
        block_efficiency("naive", Chain(1), FLOATS, method="sample", trees=trees)


@pytest.mark.parametrize("token", [-1, 3])
def test_a_context_outside_the_vocabulary_is_named(token) -> None:
    message = rf"is {token}; it must lie in \[0, 3\)"
    for pair in (one_step_pair(), dirichlet_pair(3), dirichlet_pair(3).rationalised()):
        for call in (pair.target_row, pair.draft_row):
            with pytest.raises(ValueError, match=message):
                call((0, token))
        with pytest.raises(ValueError, match=message):
            certify("naive", Chain(1), pair, "float", context=(token,))
        with pytest.raises(ValueError, match=message):
            Chain(1).sample(pair, np.random.default_rng(0), context=(token,))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TablePair({}, {(): P}), TypeError, "target must be a mapping .* at least one entry"),
        (lambda: TablePair([P], {(): P}), TypeError, "target must be a mapping"),
        (lambda: TablePair({0: P}, {(): P}), TypeError, "target has the key 0; a context is a tuple of tokens"),
        (lambda: TablePair({(): P}, {("a",): P}), TypeError, r"draft has the key \('a',\)"),
        (lambda: TablePair({(): P, (3,): P}, {(): P}), ValueError, r"target has the context \(3,\), but tokens must"),
        (lambda: TablePair({(): P}, {(): P[:2] / P[:2].sum()}), ValueError, r"draft\[\(\)\] has 2 entries, but"),
        (lambda: TablePair({(): P}, {(): P.astype(float)}), TypeError, r"draft\[\(\)\] is in another arithmetic"),
        (lambda: TablePair({(): P}, {(): P, (1,): P / 2}), ValueError, r"draft\[\(1,\)\] row 0 sums to 1/2, not 1"),
        (lambda: MarkovPair([P] * 2, [P] * 2), ValueError, r"target must be square \(V, V\), but has shape \(2, 3\)"),
        (lambda: MarkovPair(GOOD, np.full((3, 3), 1 / 3)), ValueError, r"target \(2, 2\) and draft \(3, 3\)"),
        (lambda: MarkovPair(GOOD, GOOD, ([0.5, 0.4], [0.5, 0.5])), ValueError, "start target row 0 sums to 0.9, not 1"),
        (lambda: MarkovPair(GOOD, GOOD, ([1.0], [1.0])), ValueError, "start must be two rows of the matrices' length"),
        (lambda: dirichlet_pair(0), ValueError, "vocabulary_size must be at least 1, but is 0"),
        (lambda: dirichlet_pair(-2), ValueError, "vocabulary_size must be at least 1, but is -2"),
        (lambda: zipf_pair(2.5), TypeError, "vocabulary_size must be an integer, but is 2.5"),
        (lambda: diverging_pair(True), TypeError, "vocabulary_size must be an integer, but is True"),
        (lambda: dirichlet_pair(3, seed=-1), ValueError, "seed must be at least 0, but is -1"),
        (lambda: dirichlet_pair(3, closeness=1.5), ValueError, r"closeness must lie in \[0, 1\], but is 1.5"),
        (lambda: dirichlet_pair(3, concentration=0), ValueError, "concentration must be positive and finite, but is 0"),
        (lambda: zipf_pair(3, noise=float("nan")), ValueError, "noise must be finite and at least 0, but is nan"),
        (lambda: zipf_pair(3, exponent=-1), ValueError, "exponent must be finite and at least 0, but is -1"),
        (lambda: diverging_pair(3, near=-0.1), ValueError, r"near must lie in \[0, 1\], but is -0.1"),
        (lambda: diverging_pair(3, growth=-0.1), ValueError, "growth must be finite and at least 0, but is -0.1"),
        (lambda: dirichlet_pair(3).rationalised(0), ValueError, "denominator must be at least 1, but is 0"),
        (lambda: dirichlet_pair(3).transformed(temperature=-1), ValueError, "temperature must be finite"),
        (lambda: dirichlet_pair(3).transformed(top_k=0), ValueError, "top_k must be at least 1, but is 0"),
        (lambda: dirichlet_pair(3).transformed(top_p=0), ValueError, r"top_p must lie in \(0, 1\], but is 0"),
    ],
)
def test_a_bad_pair_is_named_when_it_is_made(make, error, message) -> None:
    with pytest.raises(error, match=message):
        make()


class OwnPair(Pair):
    """What a user might write: rows that nobody has checked."""

    vocabulary_size, exact = 2, False

    def __init__(self, target, draft) -> None:
        self.rows = target, draft

    def target_row(self, context):
        return self.rows[0]

    def draft_row(self, context):
        return self.rows[1]


@pytest.mark.parametrize("rows", [([0.5, 0.4], [0.5, 0.5]), ([0.5, 0.5], [0.5, float("nan")]), ([1.0], [1.0])])
@pytest.mark.parametrize("random", [True, False])
def test_a_pair_of_ones_own_with_bad_rows_is_found_out(random, rows) -> None:
    target, draft = (np.array(row) for row in rows)
    pair = RandomPair(2, lambda rng, depth: (target, draft)) if random else OwnPair(target, draft)
    for call in (certify, block_efficiency):
        with pytest.raises(ValueError, match=r"(target|draft) (row|must)"):
            call("specinfer", Iid(2, 1), pair, **({"arithmetic": "float"} if call is certify else {}))


@pytest.mark.parametrize(
    ("ask", "meant"),
    [
        (lambda: get_verifier("Lifted_k-seq"), "lifted_k_seq"),
        (lambda: parse_policy("Idd(4, 2)"), "Iid(K, L)"),
        (lambda: parse_policy("delayed(4, 2)"), "Delayed(K, L1, L2)"),
        (lambda: get_device("RTX490"), "RTX4090"),
        (lambda: get_network("135"), "135M"),
    ],
)
def test_a_name_that_is_nearly_right_is_guessed(ask, meant):
    with pytest.raises(ValueError, match=f"; did you mean {re.escape(meant)}\\?$"):
        ask()


def test_a_name_that_is_near_none_is_not_guessed():
    for ask in (lambda: get_verifier("zzzz"), lambda: parse_policy("Zz(9)"), lambda: get_device("TPU")):
        with pytest.raises(ValueError, match=r"^(?!.*did you mean)"):
            ask()
    with pytest.raises(TypeError, match="verifier must be a name of the table, or a Verifier, but is 3"):
        get_verifier(3)
