"""Bets on tokens are fair, whatever the rows; what is learnt from a pass is true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy
from small_server import HashedRows

from veridraft.simulate.defects import DEFECTS
from veridraft.simulate.transcripts import KnownRow, Transcript
from veridraft.simulate.transcripts.betting.bets import BINS, Bets, alternatives, ranks
from veridraft.simulate.transcripts.betting.control import PairedEvidence, departure
from veridraft.simulate.transcripts.betting.laws import DRAFTED, cut_to_min_p, cut_to_top_p, law_of_mechanism
from veridraft.simulate.transcripts.betting.texts import OF_TARGET, Text, text_of
from veridraft.simulate.transcripts.simulated import chain_transcript

AWKWARD = [
    ([0.5, 0.3, 0.2, 0.0], [0.1, 0.1, 0.1, 0.7]),
    ([1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]),
    ([0.25, 0.25, 0.25, 0.25], [0.0, 0.0, 0.0, 1.0]),
    ([0.4, 0.3, 0.2, 0.1], [0.4, 0.3, 0.2, 0.1]),
    ([1 - 1e-12, 1e-12, 0.0, 0.0], [1e-300, 1 - 1e-12, 1e-12, 0.0]),
]
"""Rows of target and draft."""


def awkward_text(told: bool) -> Text:
    count = len(AWKWARD)
    rows, drafts = zip(*(map(np.array, pair) for pair in AWKWARD), strict=True)
    steps = ((1, 1, 0), (1, 2, 1)) if told else (None, None)
    transcript = Transcript(
        (0,), (0,) * count, {}, None, *steps, tuple(map(KnownRow.of_row, rows)), tuple(map(KnownRow.of_row, drafts))
    )
    return text_of(transcript, transcript.rows)


@pytest.mark.parametrize("told", [False, True])
def test_every_law_that_is_bet_on_is_a_law(told):
    text = awkward_text(told)
    for name, laws in alternatives(text, by_place=told):
        assert (laws >= 0).all(), name
        np.testing.assert_allclose(laws.sum(axis=1), 1.0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("told", [False, True])
def test_no_bet_gains_on_average_under_the_row_itself(told):
    """The rows, not the rows with the floor: a decoder draws from these."""
    text = awkward_text(told)
    rows = np.array([row for row, _ in AWKWARD])
    gains = {}
    for column in range(text.target.shape[1]):
        mass = rows[:, column] if column < rows.shape[1] else np.zeros(len(rows))
        emitted = replace(text, emitted=np.full(len(text), column))
        for name, logs in Bets(emitted, told).logs.items():
            gains[name] = gains.get(name, 0.0) + mass * np.exp(logs)
    for name, mean in gains.items():
        assert (mean <= 1 + 1e-9).all(), (name, mean)


def test_ranks_are_uniform_under_the_row():
    """Exactly, for the mean over a fine grid of coins, but for the floor."""
    text = awkward_text(False)
    rows = np.array([row for row, _ in AWKWARD])
    coins = (np.arange(4000) + 0.5) / 4000

    class Grid:
        def random(self, count):
            return np.full(count, self.coin)

    grid, shares = Grid(), {}
    for column in range(rows.shape[1]):
        for grid.coin in coins[::40]:
            for name, bins, counted in ranks(replace(text, emitted=np.full(len(text), column)), grid):
                share = shares.setdefault(name, np.zeros((len(text), BINS)))
                share[np.flatnonzero(counted), bins[counted]] += rows[counted, column] / 100
    for name, share in shares.items():
        np.testing.assert_allclose(share, 1 / BINS, atol=0.02, err_msg=name)


def test_a_wide_row_is_a_law_over_few_columns():
    rng = np.random.default_rng(0)
    row, draft = rng.dirichlet(np.full(5000, 0.1), size=2)
    emitted = int(np.argsort(row)[100])
    told = Transcript((0,), (emitted,), {}, None, None, None, (KnownRow.of_row(row),), (KnownRow.of_row(draft),))
    text = text_of(told, told.rows)
    assert text.target.shape[1] <= 2 * OF_TARGET
    np.testing.assert_allclose([text.target.sum(), text.draft.sum()], 1.0)
    assert text.emitted[0] == text.target.shape[1] - 1  # not among the likeliest


CHAINS = {
    "corrections are drawn from the target's row, not from the residual": "correction_from_target_row",
    "every draft is accepted": "uniform_always_zero",
}


@pytest.mark.parametrize(("law", "defect"), CHAINS.items())
def test_the_law_of_a_mechanism_is_that_of_the_broken_verifier(law, defect):
    """First tokens of 20,000 steps behind one context: chi-square at level 1e-6."""
    rng, rows, trials = np.random.default_rng(1), HashedRows(8), 20_000
    text = text_of(told := chain_transcript(DEFECTS[defect].broken, rows, (3, 4), 1, 1, rng), told.rows)
    expected = law_of_mechanism(text, DRAFTED[law], by_place=True)[0]
    draft = rows.draft_row((3, 4))
    drafts = rng.choice(8, p=draft, size=(trials, 1))
    target = np.broadcast_to(rows.target_row((3, 4)), (trials, 2, 8))
    drawn = DEFECTS[defect].broken(target, np.broadcast_to(draft, (trials, 1, 8)), drafts, rng).tokens[:, 0]
    chance = scipy.stats.chisquare(np.bincount(drawn, minlength=8), trials * expected[:8] / expected[:8].sum()).pvalue
    assert chance > 1e-6


def test_paired_evidence_is_fair_for_texts_that_may_be_exchanged():
    """Both orders of a pair: the mean gain of every strength and score is at most 1."""
    rng, rows = np.random.default_rng(2), HashedRows(8)
    broken = DEFECTS["uniform_always_zero"].broken
    told = [chain_transcript(broken, rows, (1, 2), 9, 2, rng) for _ in range(2)]
    texts = [Bets(text_of(text, text.rows), False) for text in told]
    one, other = PairedEvidence(seed=5), PairedEvidence(seed=5)
    one.add(*texts)
    other.add(*texts[::-1])
    for name, logs in one._logs.items():
        if not name.startswith("by "):  # ranks have coins of their own, which are not exchanged here
            assert (np.exp(logs) + np.exp(other._logs[name]) <= 2 + 1e-9).all(), name


def test_bounds_on_the_departure_of_ranks_hold():
    """A histogram that is off by 0.1: the bounds miss with probability 0.002 each time; 200 times, at most 5 (2e-7)."""
    rng = np.random.default_rng(3)
    law = np.full(BINS, 1 / BINS)
    law[0] += 0.1
    law[1:] -= 0.1 / (BINS - 1)
    bounds = [departure(rng.multinomial(5000, law)) for _ in range(200)]
    assert sum(not low <= 0.1 <= high for low, high in bounds) <= 5
    assert max(high - low for low, high in bounds) < 0.1


@pytest.mark.parametrize("known", [5, 40])
@pytest.mark.parametrize(("cut", "value"), [(cut_to_top_p, 0.5), (cut_to_top_p, 0.9), (cut_to_min_p, 0.05)])
def test_settings_of_a_row_of_which_little_is_known_are_those_of_the_whole_row(known, cut, value):
    """Trap: all unknown tokens together may be likelier than any known one, and yet are the first to be cut."""
    row = np.full(200, 0.4 / 190)
    row[:10] = 0.6 * 0.7 ** np.arange(10) / (0.7 ** np.arange(10)).sum()
    whole, little = (
        text_of(Transcript((0,), (0,), {}), [KnownRow(np.arange(count), row[:count])]) for count in (200, known)
    )
    true, found = cut(whole, value)[0], cut(little, value)[0]
    if known == 5 and cut is cut_to_min_p:
        assert found[known] == pytest.approx(little.target[0, known], abs=1e-5)
        return
    np.testing.assert_allclose(found[:known], true[:known], rtol=4e-3)  # the last token kept overshoots the share
    assert found[known] == pytest.approx(true[known:].sum(), abs=2e-3)


def test_rows_of_which_nothing_is_known_are_laws_too():
    text = text_of(Transcript((0,), (0,), {}), [KnownRow(np.arange(0), np.zeros(0))])
    for name, laws in alternatives(text, by_place=False):
        np.testing.assert_allclose(laws, [[1.0]], err_msg=name)
