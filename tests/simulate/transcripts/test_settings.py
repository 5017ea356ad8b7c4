"""Rows behind sampling settings: whole, or as far as the tokens that are known settle them."""

from __future__ import annotations

import numpy as np
import pytest

from veridraft.simulate.transcripts import KnownRow, behind_settings, is_settled, sampled_rows

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


def test_a_cooler_row_is_settled_by_fewer_tokens_than_all():
    """The others, none likelier than the least known one, have less than one in a million of it together."""
    row = np.concatenate([[0.9 - 1e-4, 0.1], np.full(1000, 1e-7)])
    partial = KnownRow(np.arange(2), row[:2])
    assert not is_settled(KnownRow(np.arange(2), np.array([0.6, 0.3])), {"temperature": 0.25})
    assert is_settled(KnownRow(np.arange(3), row[:3]), {"temperature": 0.25})
    found = behind_settings(KnownRow(np.arange(3), row[:3]), {"temperature": 0.25})
    whole = sampled_rows(row[None], {"temperature": 0.25})[0]
    np.testing.assert_allclose(found.at(np.arange(3))[:-1], whole[:3], atol=1e-6)
    assert not is_settled(partial, {"temperature": 2.0})


def test_min_p_settles_what_has_a_token_below_it():
    row = KnownRow(np.arange(4), ROW[:4])
    settings = {"temperature": 0.5, "min_p": 0.1}
    assert is_settled(row, settings)
    np.testing.assert_allclose(behind_settings(row, settings).masses, sampled_rows(ROW[None], settings)[0][:4])
    assert not is_settled(row, {"temperature": 2.0, "min_p": 0.1})
    assert not is_settled(row, settings | {"top_p": 0.96})


def test_top_k_of_more_than_is_known_settles_nothing():
    assert not is_settled(KnownRow(np.arange(3), ROW[:3]), {"top_k": 4, "top_p": 0.5})


def test_a_nucleus_of_a_cooler_row_is_settled_if_the_others_cannot_move_its_edge():
    settings = {"temperature": 0.5, "top_p": 0.9}
    row = np.concatenate([[0.5, 0.2, 0.1], np.full(200, 0.001)])
    known = KnownRow(np.arange(20), row[:20])
    assert known.rest > 0.1 and is_settled(known, settings)
    whole = sampled_rows(row[None], settings)[0]
    np.testing.assert_allclose(behind_settings(known, settings).at(np.arange(5))[:-1], whole[:5])
    edge = {"temperature": 0.5, "top_p": 0.29 / 0.30005}
    assert not is_settled(KnownRow(np.arange(4), row[:4]), edge)
