"""Rows behind sampling settings: whole, or as far as the tokens that are known settle them."""

from __future__ import annotations

import numpy as np
import pytest

from veridraft.simulate.transcripts import KnownRow, behind_settings, sampled_rows

ROW = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])


def test_settings_come_in_the_order_temperature_top_k_top_p_min_p():
    found = sampled_rows(ROW[None], {"temperature": 0.5, "top_k": 4, "top_p": 0.9, "min_p": 0.2})[0]
    warm = ROW[:4] ** 2 / (ROW[:4] ** 2).sum()
    assert (warm[:2].sum(), warm[:3].sum()) == (pytest.approx(0.872, abs=1e-3), pytest.approx(0.960, abs=1e-3))
    kept = warm[:3] / warm[:3].sum()
    kept = kept * (kept >= 0.2 * kept[0])
    np.testing.assert_allclose(found, [*(kept / kept.sum()), 0, 0, 0])


def test_settings_that_are_off_change_nothing():
    off = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temperature": 1.0}
    assert sampled_rows(ROW[None], off)[0] == pytest.approx(ROW)


@pytest.mark.parametrize(
    ("settings", "known"),
    [
        ({"top_k": 3}, 3), ({"temperature": 0.5, "top_k": 3}, 4), ({"top_p": 0.6}, 2), ({"top_p": 0.75}, 3), ({}, 1),
        ({"temperature": 0.7}, 6), ({"top_p": 0.9, "min_p": 0.3}, 6),
        ({"temperature": 0.5, "top_k": 3, "top_p": 0.7}, 3),
    ],
)  # fmt: skip
def test_known_tokens_that_settle_the_row_give_it(settings, known):
    partial = behind_settings(KnownRow(np.arange(known), ROW[:known]), settings)
    whole = sampled_rows(ROW[None], settings)[0]
    np.testing.assert_allclose(partial.at(np.arange(known))[:-1], whole[:known], atol=1e-12)
    np.testing.assert_allclose(partial.rest, whole[known:].sum(), atol=1e-12)


@pytest.mark.parametrize("settings", [{"temperature": 0.7}, {"top_k": 4}, {"top_p": 0.9}, {"min_p": 0.1}])
def test_known_tokens_that_do_not_settle_it_are_refused(settings):
    with pytest.raises(ValueError, match="ask for more tokens in a row"):
        behind_settings(KnownRow(np.arange(3), ROW[:3]), settings)
