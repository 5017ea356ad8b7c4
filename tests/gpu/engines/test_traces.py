"""Traces: the writer that is pasted into engines, both containers, broken files, and what they predict."""

from __future__ import annotations

import inspect
import json
from types import SimpleNamespace

import numpy as np
import pytest
from engine_samples import decoded, random_pair

from veridraft.gpu.engines import trace_writer
from veridraft.gpu.engines.agreement.predictions import (
    given_rates,
    predict_from_recording,
    predict_from_trace,
    rates_of,
)
from veridraft.gpu.engines.recorder import RunRecorder, write_tree
from veridraft.gpu.engines.trace_writer import TraceWriter
from veridraft.gpu.engines.traces import TRACE_ARRAYS, Trace, is_trace, load_trace
from veridraft.theory import Chain, Delayed, Iid, MarkovPair, RecordedPair, block_efficiency, get_verifier
from veridraft.theory.pairs import contexts_below


def test_the_writer_pasted_into_an_engine_writes_a_trace(tmp_path):
    """Its source alone, in float32 as engines hold rows; the file is read back as it was."""
    names: dict = {}
    exec(inspect.getsource(trace_writer), names)
    writer = names["TraceWriter"]()
    target = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.6, 0.4, 0.0]], dtype=np.float32)
    draft = np.array([[0.2, 0.2, 0.6], [0.1, 0.7, 0.2]], dtype=np.float32)
    writer.step(0, [2, 1], target, draft, accepted=1)
    writer.save(tmp_path / "trace.npz")
    tree = load_trace(tmp_path / "trace.npz").tree(0)
    assert tree.tokens.tolist() == [-1, 2, 1]
    assert np.abs(tree.target - target).max() < 1e-7
    assert np.abs(tree.draft - np.vstack([draft, np.zeros(3)])).max() < 1e-7
    assert np.abs(tree.target.sum(axis=1) - 1).max() < 1e-12
    none = np.zeros((0, 3))
    for wrong, message in (
        ((7, [], target[:1] * 0.9, none, 0), r"a target row of request 7 sums to 0\.[89]"),
        ((7, [], [[1.5, -0.5, 0.0]], none, 0), "or has a negative entry"),
        ((7, [1], target[:1], draft[:1], 0), r"1 drafted tokens, but \[1, 1\] target and draft rows"),
    ):
        with pytest.raises(ValueError, match=message):
            writer.step(*wrong)
    assert len(writer.arrays()["accepted"]) == 1


def test_npz_and_safetensors_hold_the_same(tmp_path):
    _, writer = decoded(random_pair(), requests=3, steps=4)
    writer.save(tmp_path / "trace.npz")
    save = pytest.importorskip("safetensors.numpy", reason="writes the file").save_file
    save(writer.arrays(), tmp_path / "trace.safetensors")
    first, second = load_trace(tmp_path / "trace.npz"), load_trace(tmp_path / "trace.safetensors")
    for name in TRACE_ARRAYS:
        assert np.array_equal(first.arrays[name], second.arrays[name])
    data = (tmp_path / "trace.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[:-100])
    with pytest.raises(ValueError, match="cut short"):
        load_trace(tmp_path / "cut.safetensors")
    (tmp_path / "head.safetensors").write_bytes(data[:50])
    with pytest.raises(ValueError, match="its header is no JSON"):
        load_trace(tmp_path / "head.safetensors")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("tokens", None, "lacks the array 'tokens'"),
        ("accepted", [4, 0], "accepted row 0 is 4 of 3 draws"),
        ("accepted", [1.0, 0.0], "'accepted' must hold integers"),
        ("requests", [1], r"'requests' must have shape \(2,\), but has \(1,\)"),
        ("draws", [0, 4, 3], "'draws' must have|'draws' must rise from 0 to the length of 'parents'"),
        ("tokens", [9, 0, 0, 0, 0, 0], r"tokens row 0 is 9, outside \[0, 6\)"),
        ("target_values", [1.0], "'target_tokens' has 48 entries, but 'target_values' 1"),
    ],
)
def test_a_broken_trace_names_the_array(tmp_path, name, change, message):
    _, writer = decoded(random_pair(), requests=1, steps=2)
    arrays = writer.arrays()
    if change is None:
        del arrays[name]
    else:
        arrays[name] = np.array(change)
    np.savez_compressed(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        load_trace(tmp_path / "bad.npz")


def test_a_cut_archive_and_rows_that_are_no_laws_are_named(tmp_path):
    _, writer = decoded(random_pair(), requests=1, steps=2)
    writer.save(tmp_path / "trace.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "trace.npz").read_bytes()[:-50])
    with pytest.raises(ValueError, match=r"no \.npz archive, or is cut short"):
        load_trace(tmp_path / "cut.npz")
    arrays = writer.arrays()
    arrays["target_values"] = arrays["target_values"] * 0.5
    with pytest.raises(ValueError, match=r"trace step 0: target row 0 sums to 0\.5"):
        Trace(arrays).tree(0)
    arrays = writer.arrays() | {"parents": np.array([-1, 1, 1, -1, 0, 1])}
    with pytest.raises(ValueError, match=r"trace step 0: the parent of draw 1 is 1; it must lie in \[-1, 1\)"):
        Trace(arrays).tree(0)


@pytest.mark.parametrize("policy", [Chain(3), Iid(3, 2), Delayed(2, 1, 2)])
def test_trees_come_back_as_they_were_recorded(policy):
    pair, rng, writer = random_pair(size=3), np.random.default_rng(0), TraceWriter()
    trees = [policy.sample(pair, rng, (1,)) for _ in range(20)]
    for tree in trees:
        write_tree(writer, 0, tree, 0)
    trace = Trace(writer.arrays())
    assert trace.whole_steps(policy) == list(range(20))
    for step, tree in enumerate(trees):
        back = trace.tree(step)
        key = [sorted((tree.context(node), len(tree.child_lists[node])) for node in range(tree.size)) for tree in
               (tree, back)]  # fmt: skip
        assert key[0] == key[1]
        for name in ("traversal", "lifted_k_seq") if policy.name != "Chain(3)" else ("block", "naive"):
            law = get_verifier(name).law
            assert np.abs(law(tree).by_depth - law(back).by_depth).max() < 1e-12


def test_a_prediction_from_a_trace_is_the_mean_of_the_laws_and_meets_the_exact_one():
    pair = random_pair()
    iid = MarkovPair(np.tile(pair.target[0], (6, 1)), np.tile(pair.draft[0], (6, 1)))
    _, writer = decoded(iid, requests=30, steps=15)
    found = predict_from_trace(Trace(writer.arrays()), "block", Chain(3))
    exact = np.asarray(block_efficiency("block", Chain(3), iid).by_depth)[::-1].cumsum()[::-1][1:]
    errors = np.sqrt(np.diag(found.covariance))
    assert (np.abs(found.rates - exact) < 5 * errors).all()
    assert (errors < 0.04).all()
    assert found.freedom == 29
    assert found.mean == pytest.approx(found.rates.sum())


def test_steps_that_drafted_less_are_left_out_and_other_policies_refused():
    pair, rng, writer = random_pair(), np.random.default_rng(0), TraceWriter()
    for depth in (3, 3, 1):
        write_tree(writer, 0, Chain(depth).sample(pair, rng, (0,)), 0)
    trace = Trace(writer.arrays())
    found = predict_from_trace(trace, "naive", Chain(3))
    assert found.steps == 2
    assert "1 of 3 recorded steps left out: they drafted less" in found.notes
    with pytest.raises(ValueError, match=r"no step drafted as Chain\(2\) does; step 0 drew \{1: 1, 2: 1, 3: 1\}"):
        predict_from_trace(trace, "naive", Chain(2))
    with pytest.raises(ValueError, match="'naive' is not known to be lossless"):
        predict_from_trace(trace, "naive", Iid(2, 2))
    with pytest.raises(ValueError, match="one is too few"):
        predict_from_trace(trace, "naive", Chain(1))


def test_rows_over_two_tokens_are_enough_for_the_chain_rejection():
    """The drafted token, and any other: what an engine may record where V is large."""
    pair = random_pair()
    _, writer = decoded(pair, requests=2, steps=20)
    full, thin = Trace(writer.arrays()), TraceWriter()
    for step in range(full.steps):
        tree = full.tree(step)
        target, draft = tree.target[[0, 1, 2], tree.tokens[1:]], tree.draft[[0, 1, 2], tree.tokens[1:]]
        rows = [np.stack([row, 1 - row], axis=1) for row in (target, draft)]
        thin.step(0, [0, 0, 0], np.vstack([rows[0], [0.5, 0.5]]), rows[1], 0)
    wanted, found = (predict_from_trace(one, "naive", Chain(3)).rates for one in (full, Trace(thin.arrays())))
    assert np.abs(found - wanted).max() < 1e-12


def test_a_recording_of_rows_predicts_exactly_where_it_is_complete(tmp_path):
    pair = random_pair(size=3)
    recorded = RecordedPair.record(pair, contexts_below((0,), range(3), 2) + contexts_below((1,), range(3), 2))
    recorded.save(tmp_path / "rows.npz")
    assert not is_trace(tmp_path / "rows.npz")
    found = predict_from_recording(RecordedPair.load(tmp_path / "rows.npz"), "naive", Chain(2))
    known = [(root, *below) for root in (0, 1) for below in ((), (0,), (1,), (2,))]  # rows of leaves are not asked for
    laws = [np.asarray(block_efficiency("naive", Chain(2), pair, context=context).by_depth) for context in known]
    assert np.abs(found.rates - np.mean(laws, axis=0)[::-1].cumsum()[::-1][1:]).max() < 1e-12
    assert found.steps == len(known)
    with pytest.raises(ValueError, match=r"lacks rows below each of its 26 contexts: Chain\(9\)"):
        predict_from_recording(recorded, "naive", Chain(9))


def test_given_rates(tmp_path):
    assert given_rates([0.8, 0.5], conditional=True).rates.tolist() == [0.8, 0.4]
    (tmp_path / "rates.json").write_text(json.dumps([0.8, 0.5]))
    (tmp_path / "rates.txt").write_text("0.8\n0.5\n")
    for text in ("0.8,0.5", str(tmp_path / "rates.json"), str(tmp_path / "rates.txt")):
        assert rates_of(text) == [0.8, 0.5]
    for rates, message in (([], "at least one"), ([0.5, 0.6], "position 2 is 0.6, above 0.5"), ([1.5], "must lie in")):
        with pytest.raises(ValueError, match=message):
            given_rates(rates)
    with pytest.raises(ValueError, match="must be numbers in"):
        rates_of("0.5,many")


def test_a_recorder_takes_steps_as_decoding_reports_them():
    tree = Iid(2, 2).sample(random_pair(), np.random.default_rng(3), (0,))
    recorder = RunRecorder(2, traced=True)
    for taus in ((0, 2), (1,)):
        observe = recorder.watch()
        for tau in taus:
            observe(SimpleNamespace(tau=tau, tree=SimpleNamespace(to_theory=lambda: tree)))
    assert recorder.run().histogram.tolist() == [1, 1, 1]
    assert Trace(recorder.trace.arrays()).run([0, 1, 2], 2).histogram.tolist() == [1, 1, 1]


def test_rows_of_float32_in_a_file_are_taken_over_their_own_sums(tmp_path):
    _, writer = decoded(random_pair(), requests=1, steps=2)
    arrays = writer.arrays()
    rounded = arrays | {f"{name}_values": arrays[f"{name}_values"].astype(np.float32) for name in ("target", "draft")}
    np.savez(tmp_path / "trace.npz", **rounded)
    tree, exact = load_trace(tmp_path / "trace.npz").tree(0), Trace(arrays).tree(0)
    assert np.abs(tree.target.sum(axis=1) - 1).max() < 1e-14
    np.testing.assert_allclose(tree.target, exact.target, atol=1e-6)
    np.savez(tmp_path / "trace.npz", **(rounded | {"draft_values": rounded["draft_values"] * np.float32(0.9)}))
    with pytest.raises(ValueError, match=r"draft row 0 of float32 sums to 0\.(89|9)"):
        load_trace(tmp_path / "trace.npz")
