"""Audits of texts: what is right passes, what is wrong is found, what cannot be judged is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import scipy
from sheets import read
from small_server import HashedRows

from veridraft.simulate.auditing.verdict import Verdict
from veridraft.simulate.defects import DEFECTS
from veridraft.simulate.defects.correct.token_wise import TokenWise
from veridraft.simulate.transcripts import KnownRow, Transcript, audit_transcripts
from veridraft.simulate.transcripts.simulated import chain_transcript, plain_transcript
from veridraft.theory.display.sheet import MOST_ROWS

ROWS = HashedRows(12)
RIGHT = TokenWise()


@cache
def chains(verifier, count, tokens=48, seed=0, rows=ROWS):
    rng = np.random.default_rng(seed)
    return [chain_transcript(verifier, rows, (number % 12,), tokens, 3, rng) for number in range(count)]


@cache
def plain(count, tokens=48, seed=1):
    rng = np.random.default_rng(seed)
    return [plain_transcript(ROWS, (number % 12,), tokens, rng) for number in range(count)]


def test_false_alarms_are_as_rare_as_the_level_says():
    """200 short audits at level 0.05, by place: at most 10 on average; more than 28 have probability below 1e-6."""
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(200):
        texts = [chain_transcript(TokenWise(), ROWS, (3,), 24, 2, rng)]
        alarms += audit_transcripts(texts, level=0.05, by_place=True).verdict is Verdict.LOSSY
    assert scipy.stats.binom.sf(28, 200, 0.05) < 1e-6
    assert alarms <= 28


SHOWN = [
    DEFECTS[name]
    for name in ("softmax_of_residual", "correction_from_next_row", "uniform_always_zero", "typical_acceptance",
                 "correction_from_target_row", "verified_greedily", "rejection_one_position_late",
                 "padded_width_escapes")
]  # fmt: skip


@pytest.mark.parametrize("defect", SHOWN, ids=[defect.name for defect in SHOWN])
def test_defects_are_found(defect):
    broken = audit_transcripts(chains(defect.broken, 30))
    assert broken.verdict is Verdict.LOSSY and broken.found_after <= broken.tokens


def test_the_twin_of_all_of_them_passes():
    assert {defect.correct for defect in SHOWN} == {RIGHT}
    assert audit_transcripts(chains(RIGHT, 30)).verdict is Verdict.NO_DEFECT_FOUND


def test_a_mechanism_that_is_bet_on_is_named_and_no_other():
    assert audit_transcripts(chains(DEFECTS["correction_from_target_row"].broken, 60)).likely == (
        "corrections are drawn from the target's row, not from the residual"
    )
    sharper = [replace(text, rows=tuple(_warmed(row, 0.8) for row in text.rows)) for text in chains(RIGHT, 80)]
    assert audit_transcripts(sharper).likely == "temperature is 1.25 times the one asked for"


def _warmed(row, temperature):
    masses = row.masses ** (1 / temperature)
    return KnownRow(row.ids, masses / masses.sum())


def test_a_mismatch_of_rows_is_no_defect_with_a_control():
    warm = lambda text: [_warmed(row, 0.8) for row in text.rows]  # noqa: E731
    alone = audit_transcripts(chains(RIGHT, 80), warm)
    assert alone.verdict is Verdict.LOSSY and "a control run" in alone.text()
    beside = audit_transcripts(chains(RIGHT, 80), warm, plain(80))
    assert beside.verdict is Verdict.NO_DEFECT_FOUND and beside.control.departure[0] > 0
    broken = audit_transcripts(chains(DEFECTS["correction_from_target_row"].broken, 150), warm, plain(150))
    assert broken.verdict is Verdict.LOSSY and "whatever the rows" in broken.text().replace("\n", " ")


def test_a_departure_that_the_control_cannot_tell_yet_is_undecided():
    few = audit_transcripts(chains(DEFECTS["uniform_always_zero"].broken, 15), control=plain(15))
    assert few.verdict is Verdict.UNDECIDED
    assert "fewer than 20 pairs" in few.text().replace("\n", " ")


def test_steps_told_find_a_bonus_token_from_the_wrong_row():
    broken = DEFECTS["bonus_row_unprocessed"].broken
    assert audit_transcripts(chains(broken, 60), by_place=True).verdict is Verdict.LOSSY


def test_a_pass_says_what_it_would_have_found():
    found = audit_transcripts(chains(RIGHT, 80))
    for one in found.sensitivities:
        assert one.floor <= one.needed
    needed = {one.name: one.needed for one in found.sensitivities}
    law = "corrections are drawn from the target's row, not from the residual"
    spent = [audit_transcripts(chains(DEFECTS["correction_from_target_row"].broken, 40, seed=seed)).found_after
             for seed in range(7)]  # fmt: skip
    assert 0.4 * needed[law] < np.median(spent) < 2.5 * needed[law]
    assert f"{found.tokens:,} tokens of 80 requests" in found.text()
    seen = read(found)
    assert seen.title == found.headline and seen.facts["judged"] == found.size and seen.sign == "✓"
    assert [row[0] for row in seen.tables[1][1:]] == [one.name for one in found.sensitivities][:MOST_ROWS]


def one_hot(token, gap=3.0):
    """A row over three tokens whose likeliest one leads the next by a gap in nats."""
    masses = np.exp([0.0, -gap, -gap - 1])
    return KnownRow((np.arange(3) + token) % 3, masses / masses.sum())


@pytest.mark.parametrize(("gap", "verdict"), [(0.05, Verdict.NO_DEFECT_FOUND), (0.5, Verdict.LOSSY)])
def test_greedy_texts_are_held_against_the_margin(gap, verdict):
    rows = (one_hot(0), one_hot(0, gap), one_hot(2))
    text = Transcript((0,), (0, 1, 2), {"temperature": 0.0}, None, None, None, rows)
    found = audit_transcripts([text])
    assert found.verdict is verdict
    assert (found.greedy.ties, found.greedy.clear) == ((1, 0) if gap < 0.1 else (0, 1))
    assert found.greedy.worst[1:] == (0, 1)


def test_a_greedy_departure_of_the_control_too_is_no_defect():
    rows = (one_hot(0, 0.5),) * 8
    text = Transcript((0,), (1,) * 8, {"temperature": 0.0}, None, None, None, rows)
    assert audit_transcripts([text], control=[text]).verdict is Verdict.NO_DEFECT_FOUND


def test_what_cannot_be_judged_is_refused():
    texts = chains(RIGHT, 2)
    with pytest.raises(ValueError, match="has the seed 3, as one of the transcripts before"):
        audit_transcripts([replace(text, seed=3) for text in texts])
    with pytest.raises(ValueError, match="has the seed 3, as one of the transcripts before"):
        audit_transcripts([replace(texts[0], seed=3)], control=[replace(plain(1)[0], seed=3)])
    with pytest.raises(ValueError, match="different prompts"):
        audit_transcripts(texts, control=plain(2)[::-1])
    with pytest.raises(ValueError, match="rows are missing"):
        audit_transcripts([replace(texts[0], rows=None)])
    with pytest.raises(ValueError, match="greedy and sampled requests are audited apart"):
        audit_transcripts([texts[0], replace(texts[1], sampling={"temperature": 0.0})])
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\)"):
        audit_transcripts(texts, level=1.0)


def test_a_text_that_comes_again_is_judged_once():
    text = chains(RIGHT, 1)[0]
    found = audit_transcripts([text, replace(text), replace(text)])
    assert (found.requests, found.tokens) == (3, 48)
    assert "2 texts came a second time" in found.text()


def test_nothing_to_judge_is_said():
    assert "There was no request to judge." in audit_transcripts([]).text()
