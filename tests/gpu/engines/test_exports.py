"""Runs written as engines report them are read back as they were."""

from __future__ import annotations

from veridraft.gpu.engines.exports import write_lengths, write_prometheus, write_vllm
from veridraft.gpu.engines.lengths import read_run
from veridraft.gpu.engines.runs import EngineRun


def test_exports_are_read_back(tmp_path):
    run = EngineRun.of_lengths([[0, 3, 1], [2, 2], []], 3, [[3, 3, 2], [3, 2], []])
    write_vllm(run, tmp_path / "v.jsonl", detailed=True)
    write_lengths(run, tmp_path / "l.jsonl")
    for name in ("v.jsonl", "l.jsonl"):
        back = read_run(tmp_path / name)
        assert [one.accepted for one in back.requests] == [one.accepted for one in run.requests]
        assert [one.drafted for one in back.requests] == [one.drafted for one in run.requests]
    write_vllm(run, tmp_path / "s.jsonl")
    summary = read_run(tmp_path / "s.jsonl")
    assert (summary.histogram.tolist(), summary.missing, summary.ordered) == ([1, 1, 2, 1], 2, False)
    for prefix in ("vllm:", "llamacpp:"):
        write_prometheus(run, tmp_path / "p.txt", prefix)
        back = read_run(tmp_path / "p.txt")
        assert (back.histogram.tolist(), back.missing) == (run.histogram.tolist(), 2)
