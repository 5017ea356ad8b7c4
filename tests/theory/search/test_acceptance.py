"""Rates by position and mean lengths: what they determine, by hand, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from veridraft.theory import VERIFIERS, AcceptanceRates, MarkovPair, block_efficiency, get_verifier
from veridraft.theory.search import MeanLengths

HALF, THIRD = Fraction(1, 2), Fraction(1, 3)


def test_rates_determine_chains_by_hand():
    """1 + 3/4 + 11/20 + 2/5; given that the token before is accepted: 3/4, 11/15, 8/11."""
    rates = AcceptanceRates((Fraction(3, 4), Fraction(11, 20), Fraction(2, 5)))
    assert [rates.tokens(drafted) for drafted in range(4)] == [1, Fraction(7, 4), Fraction(23, 10), Fraction(27, 10)]
    assert rates.conditional == (Fraction(3, 4), Fraction(11, 15), Fraction(8, 11))
    assert AcceptanceRates.of_conditional(rates.conditional) == rates
    assert rates.depth == 3


def test_conditional_rates_of_nothing_are_nothing():
    """AIConfigurator's default: 0.85, 0.3, 0, 0, 0 emits 1 + 0.85 + 0.255 tokens."""
    rates = AcceptanceRates.of_conditional((0.85, 0.3, 0, 0, 0))
    assert rates.tokens(5) == pytest.approx(1 + 0.85 + 0.255)
    assert rates.conditional == pytest.approx((0.85, 0.3, 0, 0, 0))


EXACT = MarkovPair(
    [[HALF, THIRD, Fraction(1, 6)], [Fraction(1, 5), Fraction(3, 5), Fraction(1, 5)], [THIRD] * 3],
    [[THIRD] * 3, [HALF, Fraction(1, 4), Fraction(1, 4)], [Fraction(1, 6), HALF, THIRD]],
)


@pytest.mark.parametrize("name", VERIFIERS)
def test_what_is_drafted_deeper_changes_no_rate_of_any_rule_of_the_table(name):
    """Exact laws: Pr(tau >= 1) of one level and of two, on chains, paths and top tokens plus one draw."""
    forms = [form for form in ("Chain({})", "Iid(2, {})", "TopPlusOne(2, {})", "HubPairs({})", "Static({})")
             if get_verifier(name).supports(depths(form)[1])]  # fmt: skip
    assert forms
    for form in forms:
        one, two = (np.array(block_efficiency(name, policy, EXACT, "enumerate").by_depth) for policy in depths(form))
        assert one[1] == two[1:].sum(), form


def depths(form):
    """A policy of one level, and the same of two."""
    return [form.format("2" if levels == 1 else "2x2") if "Static" in form else form.format(levels)
            for levels in (1, 2)]  # fmt: skip


@pytest.mark.parametrize("name", ["naive", "block"])
def test_rates_of_three_tokens_give_chains_of_one_and_two(name):
    by_depth = np.array(block_efficiency(name, "Chain(3)", EXACT).by_depth)
    rates = AcceptanceRates(tuple(by_depth[::-1].cumsum()[::-1][1:]))
    for length in (1, 2, 3):
        assert rates.tokens(length) == block_efficiency(name, f"Chain({length})", EXACT).value


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ((), "rates must be at least one"),
        ((0.5, 0.6), r"rates row 1 is 0\.6 after 0\.5: unconditional rates \(the first 2 tokens are all accepted\)"),
        ((1.2,), r"rates row 0 must lie in \[0, 1\], but is 1\.2"),
        ((0.5, float("nan")), "rates row 1 must lie"),
        ((0.5, -0.1), "rates row 1 must lie"),
    ],
)
def test_what_are_no_rates_is_said_by_row(rates, message):
    with pytest.raises(ValueError, match=message):
        AcceptanceRates(rates)


def test_more_tokens_than_were_measured_are_refused():
    with pytest.raises(ValueError, match="drafted is 2, but rates are known for 1 positions"):
        AcceptanceRates((0.5,)).tokens(2)
    with pytest.raises(ValueError, match="conditional rates row 1 must lie"):
        AcceptanceRates.of_conditional((0.5, 2))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [({}, "at least one"), ({3: 4.1}, r"must lie in \[1, 4\], as 3 tokens"), ({2: 0.9}, r"\[1, 3\]"),
     ({0: 1.0}, "drafted must be at least 1")],
)  # fmt: skip
def test_mean_lengths_that_cannot_be_are_refused(lengths, message):
    with pytest.raises(ValueError, match=message):
        MeanLengths(lengths)


def test_measured_lengths_need_not_grow_as_one_rules_do():
    """A published table of lengths at 6, 7 and 8 drafted tokens: 3.78, 3.91, 4.06 grow by 0.13 and then by 0.15."""
    assert MeanLengths({6: 3.78, 7: 3.91, 8: 4.06}).by_drafted[8] == 4.06
