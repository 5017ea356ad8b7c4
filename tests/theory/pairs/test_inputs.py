"""Rows as people have them: float32, half precision, logits, torch tensors, and rows along a text."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from veridraft.theory import (
    Chain,
    Iid,
    LayeredPair,
    MarkovPair,
    RecordedPair,
    TablePair,
    block_efficiency,
    certify,
    tree_optimum,
)
from veridraft.theory.pairs import MissingRowError, iid_pair
from veridraft.theory.rows import apply_temperature, keep_top_k, keep_top_p, rows_of_logits
from veridraft.theory.verifiers import Losslessness

V = 6
LOGITS = np.random.default_rng(0).normal(size=(V + 1, V)) * 3
ROWS = rows_of_logits("logits", LOGITS)


def makers(rows, **options):
    """Every kind of pair made of V + 1 rows, the last at the start."""
    target, draft = rows, rows * 1
    return [
        MarkovPair(target[:V], draft[:V], (target[V], draft[V]), **options),
        MarkovPair(target[:V], draft[:V], **options),
        LayeredPair([(target[V], draft[V]), (target[:V], draft[:V])], **options),
        iid_pair(target[0], draft[0], **options),
        TablePair({(): target[0]}, {(): draft[0]}, **options),
        RecordedPair({(): target[0]}, {(): draft[0]}, **options),
    ]


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_rows_of_less_precision_are_refused_with_the_ways_on_and_taken_with_normalise(kind) -> None:
    rows = ROWS.astype(kind)
    assert np.abs(rows.astype(float).sum(axis=1) - 1).max() > 1e-9
    for place in range(6):
        with pytest.raises(ValueError, match=r"row \d sums to [01]\.\d+, not 1: .*normalise=True.*from_logits"):
            makers(rows)[place]
    for pair in makers(rows, normalise=True):
        assert pair.target_row(()).dtype == np.float64
        assert pair.target_row(()).sum() == pytest.approx(1, abs=1e-15)


def test_a_certificate_holds_on_rows_of_float32() -> None:
    pair = makers(ROWS.astype(np.float32), normalise=True)[0]
    assert certify("traversal", Iid(2, 1), pair, "float").outcome is Losslessness.LOSSLESS


def test_a_row_of_zeros_cannot_be_normalised() -> None:
    with pytest.raises(ValueError, match="target row 0 sums to 0: it cannot be normalised"):
        iid_pair([0.0, 0.0], [0.5, 0.5], normalise=True)
    with pytest.raises(ValueError, match="entries must be >= 0"):
        iid_pair([-1.0, 2.0], [0.5, 0.5], normalise=True)  # logits by mistake


def test_pairs_of_logits_apply_temperature_then_top_k_then_top_p() -> None:
    options = {"temperature": 0.7, "top_k": 4, "top_p": 0.8}
    wanted = keep_top_p(keep_top_k(apply_temperature(ROWS, 0.7), 4), 0.8)
    found = [
        MarkovPair.from_logits(LOGITS[:V], LOGITS[:V], (LOGITS[V], LOGITS[V]), **options).draft_row(()),
        LayeredPair.from_logits([(LOGITS[V], LOGITS[V])], **options).target_row((1,)),
        TablePair.from_logits({(): LOGITS[V]}, {(): LOGITS[V]}, **options).target_row(()),
        RecordedPair.from_logits({(): LOGITS[V]}, {(): LOGITS[V]}, **options).draft_row(()),
    ]
    for row in found:
        np.testing.assert_allclose(row, wanted[V], atol=1e-14, rtol=0)


def test_logits_may_mask_and_be_cold_but_must_have_a_softmax() -> None:
    masked = np.array([1.0, -np.inf, 3.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for temperature in (0.0, 5e-324, 1e-3):
            assert rows_of_logits("logits", masked, temperature).tolist() == [0, 0, 1]
    for bad, message in (
        ([[0.0, 1.0], [np.nan, 1.0]], "logits row 1 has the logit nan at token 0"),
        ([0.0, np.inf], "logits row 0 has the logit inf at token 1"),
        ([-np.inf, -np.inf], "logits row 0 masks out every token"),
    ):
        with pytest.raises(ValueError, match=message):
            rows_of_logits("logits", bad)
    with pytest.raises(ValueError, match="temperature must be finite and at least 0, but is -1"):
        rows_of_logits("logits", [0.0, 1.0], -1)


def test_torch_tensors_of_any_type_are_taken_where_arrays_are() -> None:
    torch = pytest.importorskip("torch")
    for kind in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        rows = torch.tensor(ROWS, dtype=kind, requires_grad=True)
        for pair in makers(rows, normalise=True) if kind != torch.float64 else makers(rows):
            assert pair.target_row(()).sum() == pytest.approx(1, abs=1e-12)
        by_row = MarkovPair(list(rows[:V]), list(rows[:V]), normalise=True)
        assert (by_row.target == makers(rows, normalise=True)[1].target).all()
        logits = torch.tensor(LOGITS, dtype=kind)
        pair = MarkovPair.from_logits(logits[:V], logits[:V])
        np.testing.assert_allclose(pair.target, rows_of_logits("l", logits[:V].double().numpy()), atol=1e-15)


def test_a_masked_array_is_refused() -> None:
    with pytest.raises(TypeError, match=r"target is a masked array, whose mask would be lost: fill it first"):
        iid_pair(np.ma.masked_array([0.5, 0.5], [False, True]), [0.5, 0.5])


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_plain_rows_along_a_text_load_as_a_recorded_pair(tmp_path, ahead: int) -> None:
    text = np.array([2, 0, 5, 1])
    contexts = [tuple(text[:end].tolist()) for end in range(ahead, 5)]
    rows = ROWS[: len(contexts)]
    np.savez(tmp_path / "rows.npz", tokens=text, target=rows, draft=rows[::-1])
    pair = RecordedPair.load(tmp_path / "rows.npz")
    assert pair.contexts == tuple(contexts)
    for context, target, draft in zip(contexts, rows, rows[::-1], strict=True):
        assert (pair.target_row(context) == target).all() and (pair.draft_row(context) == draft).all()
    assert block_efficiency("naive", Chain(0), pair, context=contexts[0]).value == pytest.approx(1)


def test_rows_of_a_file_are_refused_where_they_do_not_fit(tmp_path) -> None:
    text, rows = np.array([2, 0]), ROWS[:2]
    cases = (
        ({"tokens": text, "target": rows.astype(np.float32), "draft": rows}, "normalise=True"),
        ({"tokens": text, "target": ROWS[:4], "draft": rows}, "target has 4 rows, but a text of 2 tokens has 3"),
        ({"tokens": text + 0.5, "target": rows, "draft": rows}, r"tokens must be integers \(M,\)"),
        ({"tokens": text + 9, "target": rows, "draft": rows}, r"tokens must lie in \[0, 6\)"),
        ({"tokens": text, "target": rows}, "lacks the array 'vocabulary_size' .or draft, to be rows along a text"),
    )
    for arrays, message in cases:
        np.savez(tmp_path / "rows.npz", **arrays)
        with pytest.raises(ValueError, match=message):
            RecordedPair.load(tmp_path / "rows.npz")
    np.savez(tmp_path / "rows.npz", tokens=text, target=rows.astype(np.float16), draft=rows.astype(np.float32))
    assert RecordedPair.load(tmp_path / "rows.npz", normalise=True).contexts == ((2,), (2, 0))


def test_a_policy_that_asks_for_rows_that_were_not_recorded_is_named() -> None:
    pair = RecordedPair.along([2, 0, 5], ROWS[:4], ROWS[:4])
    message = r"policy Chain\(1\) at the context \(2,\) asks for an unknown row: target has no row for the context"
    for call in (block_efficiency, certify):
        arguments = ("float",) if call is certify else ()
        with pytest.raises(MissingRowError, match=message):
            call("naive", Chain(1), pair, *arguments, context=(2,))
    with pytest.raises(MissingRowError, match=r"policy Chain\(3\)"):
        tree_optimum(Chain(3), pair, (2,))
    with pytest.raises(MissingRowError, match=r"policy Chain\(2\)"):
        block_efficiency("naive", Chain(2), pair, "sample", context=(2,))


@pytest.mark.parametrize(
    ("context", "error", "message"),
    [
        ((-1,), ValueError, r"context row 0 is -1; it must lie in \[0, 6\)"),
        ((0, -2), ValueError, r"context row 1 is -2; it must lie in \[0, 6\)"),
        ((6,), ValueError, r"context row 0 is 6; it must lie in \[0, 6\)"),
        (("x", -7, None), TypeError, r"context row 0 is 'x'; a token is an integer in \[0, 6\)"),
        ([1], TypeError, r"context must be a tuple of tokens, but is \[1\]"),
    ],
)
def test_a_context_that_is_none_is_refused_by_every_pair(context, error, message) -> None:
    for pair in (*makers(ROWS)[:4], *(pair.transformed(0.5) for pair in makers(ROWS)[:4])):
        for ask in (pair.target_row, pair.draft_row):
            with pytest.raises(error, match=message):
                ask(context)
        for method in ("enumerate", "dp"):
            with pytest.raises(error, match=message):
                block_efficiency("specinfer", Iid(2, 1), pair, method, context=context)
