"""Rows from logits against the definitions of veridraft.theory, and draws at the edges."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from veridraft.theory.rows.distributions import apply_temperature, keep_top_k, keep_top_p

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from veridraft.gpu.trees import sampling
from veridraft.gpu.trees.sampling import Sampling, draw


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), list(product((0.0, 0.3, 1.0, 1.7), (None, 1, 5, 99), (1.0, 0.9, 0.2)))
)
def test_rows_are_those_of_theory(temperature, top_k, top_p):
    logits = np.random.default_rng(1).normal(0, 3, (4, 12)).astype(np.float32)
    logits[2, 3] = logits[2, 8]  # a tie
    plain = np.exp(logits.astype(float))
    expected = apply_temperature(plain / plain.sum(axis=1, keepdims=True), temperature)
    expected = keep_top_p(keep_top_k(expected, top_k), top_p)
    found = Sampling(temperature, top_k, top_p).rows(torch.from_numpy(logits))
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-14)


def test_rows_of_bfloat16_logits_sum_to_one():
    rows = Sampling().rows(torch.randn(3, 50_000, generator=torch.Generator().manual_seed(0)).bfloat16())
    np.testing.assert_allclose(rows.sum(dim=1).numpy(), 1, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "temperature must be finite and at least 0, but is -1.0"),
        ({"temperature": float("nan")}, "temperature .* is nan"),
        ({"draft_temperature": -0.5}, "draft_temperature must be finite and at least 0, but is -0.5"),
        ({"top_k": 0}, "top_k must be at least 1, but is 0"),
        ({"top_p": 0.0}, r"top_p must lie in \(0, 1\], but is 0.0"),
        ({"top_p": 1.5}, r"top_p must lie in \(0, 1\], but is 1.5"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**options)


def test_a_draft_has_the_targets_settings_but_for_a_temperature_of_its_own():
    assert Sampling(0.7, 5, 0.9).of("draft") == Sampling(0.7, 5, 0.9)
    assert Sampling(0.0, 5, 0.9, draft_temperature=0.8).of("draft") == Sampling(0.8, 5, 0.9)
    assert Sampling(1.0, draft_temperature=0.0).of("draft") == Sampling(0.0)


def test_a_draw_never_returns_a_token_of_probability_zero():
    row = torch.tensor([0.0, 0.25, 0.0, 0.75, 0.0], dtype=torch.float64)
    uniforms = torch.tensor([0.0, 0.25 - 1e-16, 0.25, 1 - 2**-53], dtype=torch.float64)
    assert draw(row, uniforms).tolist() == [1, 1, 3, 3]
    assert draw(row * 1e-9, uniforms).tolist() == [1, 1, 3, 3]


def test_a_draw_past_a_short_cumulative_sum_is_the_last_token_with_mass():
    row = torch.full((32_000,), 1 / 32_000, dtype=torch.float32)
    row[-7:] = 0
    assert draw(row, torch.tensor([1 - 2**-24], dtype=torch.float32)).item() <= 32_000 - 8


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("ties", [False, True])
def test_the_largest_entries_alone_give_the_rows_that_whole_sorting_gives(monkeypatch, sharpness, ties):
    logits = torch.from_numpy(np.random.default_rng(3).normal(scale=sharpness, size=(4, 2000)))
    logits = logits.round() if ties else logits
    whole = Sampling(0.9, top_p=0.7).rows(logits)  # a row this short is sorted as a whole
    monkeypatch.setattr(sampling, "SHORT", 64)
    found = sampling._short_cut(torch.softmax(logits / 0.9, dim=-1), 0.7)
    assert torch.equal(Sampling(0.9, top_p=0.7).rows(logits), whole)
    nucleus = (whole > 0).sum(dim=-1).max()
    assert (found is None) == (bool(ties) or nucleus >= 64), "the short way must be taken, and left, in these cases"
