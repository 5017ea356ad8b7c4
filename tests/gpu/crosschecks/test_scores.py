"""Scores of surprise and of tau: their arithmetic, what has no variance, and the level of an interval."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from veridraft.gpu.crosschecks.scores import NO_COMPARISON, NO_SCORE, Score, surprise

THRESHOLD = 4


def test_surprise_is_the_mean_and_variance_of_the_negative_log():
    rows = torch.tensor([[0.5, 0.25, 0.25, 0.0], [1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    logs = np.log([2, 4, 4])
    mean, second = np.dot([0.5, 0.25, 0.25], logs), np.dot([0.5, 0.25, 0.25], logs**2)
    score = surprise(rows, [1, 0])
    assert score.total == pytest.approx(np.log(4) - mean)
    assert score.variance == pytest.approx(second - mean**2)
    assert score.count == 2


def test_a_token_of_probability_zero_fails_the_score():
    score = surprise(torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64), [2])
    assert score.z is None and not score.holds(THRESHOLD)
    assert score.note == "an observation has probability 0 in the row it was held against"


def test_certainty_that_is_missed_fails_the_score():
    assert Score(0.0, 0.0, 5).holds(THRESHOLD) and Score(0.0, 0.0, 5).z is None
    missed = Score(1.0, 0.0, 5)
    assert not missed.holds(THRESHOLD) and "yet a difference of 1.0" in missed.note


def test_the_interval_covers_the_difference_at_its_level():
    """Trees with means and coins of known variance: the share inside a 90 % interval, at four sigma of 500 runs."""
    rng, runs, roots, inside = np.random.default_rng(0), 500, 40, 0
    for _ in range(runs):
        comparison = NO_COMPARISON
        for _ in range(roots):
            own, other = rng.choice([0.2, 0.8], size=2)
            comparison = comparison.plus(int(rng.random() < own), own, other, other * (1 - other))
        inside += comparison.interval(0.9)[0] <= comparison.difference <= comparison.interval(0.9)[1]
    assert abs(inside / runs - 0.9) < 4 * (0.9 * 0.1 / runs) ** 0.5 + 0.01


def test_an_empty_score_is_not_applicable():
    assert NO_SCORE.z is None and NO_SCORE.note == "not applicable: zero variance"
