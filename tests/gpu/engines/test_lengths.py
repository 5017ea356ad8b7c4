"""Plain accepted lengths, and how the format of a file is found out."""

from __future__ import annotations

import json

import pytest
from engine_samples import LLAMA_TEXT, OBJECT, VLLM_TEXT, put, response

from veridraft.gpu.engines.lengths import format_of, read_lengths, read_run
from veridraft.gpu.engines.runs import Format


def test_plain_lengths_are_read(tmp_path):
    steps = read_lengths(put(tmp_path / "steps.jsonl", "0\n2\n1\n"))
    assert steps.requests[0].accepted == (0, 2, 1)
    lists = read_lengths(put(tmp_path / "lists.jsonl", '[0, 2]\n{"accepted": [1], "drafted": [3]}\n[]\n'))
    assert [request.accepted for request in lists.requests] == [(0, 2), (1,), ()]
    assert (lists.spec_tokens, lists.histogram.tolist()) == (3, [1, 1, 1, 0])
    for text, message in (
        ("[0, -1]\n[1]", r"line 1 entry 1 must be at least 0, but is -1"),
        ('[1]\n{"taken": [1]}', "line 2: accepted is missing"),
        ('[1]\n["a"]', "line 2 entry 0 must be an integer, but is 'a'"),
        ('{"accepted": [2], "drafted": [1]}\n', "step 0 accepted 2 of 1 drafted"),
        ('{"accepted": [2], "drafted": [2, 2]}\n', "1 accepted lengths, but 2 drafted"),
        ("[]\n[]", "holds no speculative step"),
    ):
        with pytest.raises(ValueError, match=message):
            read_lengths(put(tmp_path / "bad.jsonl", text))


def test_truncated_and_empty_files_name_the_line(tmp_path):
    with pytest.raises(ValueError, match="line 2 is not JSON"):
        read_lengths(put(tmp_path / "cut.jsonl", "[1, 2]\n[1, "))
    with pytest.raises(ValueError, match="is empty"):
        read_run(put(tmp_path / "empty.json", ""), Format.VLLM)


def test_the_format_is_found_out(tmp_path):
    files = {"a.json": json.dumps(response(OBJECT)), "b.txt": VLLM_TEXT, "c.txt": LLAMA_TEXT, "d.jsonl": "[1]\n[2]"}
    found = [format_of(put(tmp_path / name, text)).value for name, text in files.items()]
    assert found == ["vllm", "prometheus", "prometheus", "lengths"]
    assert [read_run(tmp_path / name).format.value for name in files] == found
    assert format_of("x.npz") is Format.TRACE
    with pytest.raises(ValueError, match="neither JSON, nor Prometheus"):
        format_of(put(tmp_path / "e.txt", "hello"))
    with pytest.raises(ValueError, match="model is for Prometheus text"):
        read_run(tmp_path / "a.json", model="m")
