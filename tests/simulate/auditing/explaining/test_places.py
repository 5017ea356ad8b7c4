"""Where a law departs: judged by the exact law's first departing token, at a threshold of its own."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from draws import choice

from veridraft.simulate import Verdict, audit
from veridraft.simulate.auditing.evidence import Evidence
from veridraft.simulate.auditing.explaining.places import PLACE_LEVEL, departure
from veridraft.simulate.forms.cases import Case
from veridraft.theory import Chain, MarkovPair

ROWS = np.array([[0.5, 0.3, 0.2], [0.2, 0.6, 0.2], [0.3, 0.3, 0.4]])


def law(rows_by_place):
    """(3, 3, 3) probabilities of strings, each token's row chosen by its place and the token before."""
    table = np.ones((3, 3, 3))
    for string in product(range(3), repeat=3):
        for place, token in enumerate(string):
            table[string] *= rows_by_place[place][string[place - 1] if place else 0][token]
    return table


def off(rows, size):
    """Rows with some mass moved from token 0 to token 2."""
    return rows + size * np.array([-1.0, 0.0, 1.0])


def drawn(expected, actual, trials, seed):
    """The evidence of so many strings of one law against another."""
    one = Evidence(expected, 1e-6)
    one.count(np.random.default_rng(seed).choice(27, size=trials, p=actual.ravel()))
    return one


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_place_is_the_first_at_which_the_exact_law_departs(place):
    target = law([ROWS] * 3)
    actual = law([off(ROWS, 0.1 if at >= place else 0.0) for at in range(3)])
    margins = [np.abs((actual - target).sum(axis=tuple(range(d, 3)))).sum() for d in (1, 2, 3)]
    assert [bool(margin > 1e-12) for margin in margins] == [at >= place for at in range(3)]
    # each of 20 samples is placed too early with probability at most PLACE_LEVEL: all right, but for 2e-3
    assert {departure(drawn(target, actual, 6_000, seed)) for seed in range(20)} == {place}


def test_no_place_is_named_under_the_law_itself():
    target = law([ROWS] * 3)
    named = sum(departure(drawn(target, target, 3_000, seed)) is not None for seed in range(300))
    assert named <= 2 and PLACE_LEVEL == 1e-4  # more than 2 of 300 at 1e-4: below 5e-6


def no_drafts_needed(rng):
    """Two tokens from the target, then one that is off: nothing was drafted."""
    out = [0]
    for place in range(3):
        row = off(ROWS, 0.2)[out[-1]] if place == 2 else ROWS[out[-1]]
        out.append(choice(row, rng))
    return out[1:]


class Target:
    vocabulary_size = 3

    def target_row(self, context):
        return ROWS[context[-1] if context else 0]


def test_of_a_loop_nothing_is_said_of_drafts_and_never_that_nothing_is_seen():
    result = audit(no_drafts_needed, "generate", target=Target(), length=3, trials=30_000)
    assert result.verdict is Verdict.LOSSY
    assert "departs at token 3 of 3" in result.findings[0].place
    assert "draft" not in result.findings[0].place and "nothing is seen" not in result.text()


def wrong_bonus(target, draft, tokens, rng):
    """Token-wise, but the token behind a whole draft is drawn from the first row."""
    for place, token in enumerate(tokens):
        if rng.random() * draft[place, token] >= target[place, token]:
            weights = np.maximum(target[place] - draft[place], 0)
            return [*tokens[:place], choice(weights / weights.sum(), rng)]
    return [*tokens, choice(target[0], rng)]


def test_behind_a_draft_accepted_whole_is_said_where_there_are_drafts():
    draft = [[0.4, 0.4, 0.2], [0.3, 0.4, 0.3], [0.2, 0.3, 0.5]]
    result = audit(wrong_bonus, cases=[Case("one", MarkovPair(ROWS, draft), Chain(2), "a test")], trials=30_000)
    assert "token 3 of 3, which stands behind a draft accepted whole" in result.findings[0].place


def test_a_tiny_first_token_is_not_said_to_be_right():
    """The token of probability 3e-10 comes 3 times of 4 behind a rejection: exact, it departs at the first token."""
    tiny = Fraction(3, 10**10)
    rows = [[float(1 - 2 * tiny), float(tiny), float(tiny)]] * 3
    case = Case("tiny", MarkovPair(rows, [[0.2, 0.4, 0.4]] * 3), Chain(1), "a test")
    result = audit(lambda target, draft, tokens, rng: [int(tokens[0])], cases=[case], trials=2_000)
    assert "departs at token 1 of 2" in result.findings[0].place
