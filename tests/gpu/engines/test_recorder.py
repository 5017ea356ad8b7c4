"""Decoded texts of a tiny model, exported as engines report them, held against the rows that the run saw."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="veridraft.gpu decodes with torch")
pytest.importorskip("transformers", reason="veridraft.gpu decodes with transformers")

from gpu_tiny import PROMPTS, tiny_pair

from veridraft.gpu import Request, Sampling
from veridraft.gpu.decoding.step_watch import WatchedDecoder, Watcher
from veridraft.gpu.engines.agreement.agreement import LengthOutcome, compare_lengths, compare_same_steps
from veridraft.gpu.engines.agreement.predictions import predict_from_trace
from veridraft.gpu.engines.exports import write_lengths, write_prometheus, write_vllm
from veridraft.gpu.engines.lengths import read_run
from veridraft.gpu.engines.recorder import RunRecorder
from veridraft.gpu.engines.traces import load_trace
from veridraft.theory import Chain, Iid

LEVEL = 1 - 1e-6


class Recording(Watcher):
    """Gives every step of requests that are written one after another to a recorder."""

    def __init__(self, recorder):
        self.recorder, self.observers = recorder, {}

    def after(self, batch, blocks, spent):
        (block,) = blocks
        if block.request not in self.observers:
            self.observers[block.request] = self.recorder.watch()
        self.observers[block.request](SimpleNamespace(tau=block.tau, tree=batch.tree(0)))


@pytest.mark.parametrize(("verifier", "policy"), [("naive", Chain(2)), ("traversal", Iid(2, 2))])
def test_decoded_texts_in_every_shape_agree_with_their_rows(verifier, policy, tmp_path):
    recorder = RunRecorder(2, traced=True)
    requests = [Request([*PROMPTS[number % 3], number], 12, number) for number in range(10)]
    WatchedDecoder(tiny_pair(), verifier, policy, Recording(recorder), Sampling(top_k=8), rows=1).decode(requests)
    run = recorder.run()
    recorder.trace.save(tmp_path / "trace.npz")
    trace = load_trace(tmp_path / "trace.npz")
    prediction = predict_from_trace(trace, verifier, policy)
    assert compare_same_steps(prediction, LEVEL, within=0.5).outcome is LengthOutcome.AGREES
    write_vllm(run, tmp_path / "v.jsonl", detailed=True)
    write_prometheus(run, tmp_path / "p.txt", "llamacpp:")
    write_lengths(run, tmp_path / "l.jsonl")
    for name in ("v.jsonl", "p.txt", "l.jsonl"):
        back = read_run(tmp_path / name)
        assert back.histogram.tolist() == run.histogram.tolist()
        assert compare_lengths(back, prediction, LEVEL).outcome is not LengthOutcome.DISAGREES
    assert compare_same_steps(predict_from_trace(trace, "nss", policy), 0.9).outcome is LengthOutcome.DISAGREES
