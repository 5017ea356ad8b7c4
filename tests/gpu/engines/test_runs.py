"""Readers of engines' reports: documented shapes, truncated and contradictory files, the product's own runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from engine_samples import DETAILED, LLAMA_TEXT, OBJECT, VLLM_TEXT, put, response

from veridraft.gpu.engines.exports import vllm_object, write_lengths, write_prometheus, write_vllm
from veridraft.gpu.engines.lengths import format_of, read_lengths, read_run
from veridraft.gpu.engines.prometheus import read_prometheus
from veridraft.gpu.engines.runs import EngineRun, Format, RequestSteps
from veridraft.gpu.engines.vllm import read_vllm

PER_POS = "spec_decode_num_accepted_tokens_per_pos"


def test_the_documented_response_is_read(tmp_path):
    for document in (response(OBJECT), {"speculative_decoding": OBJECT}, OBJECT, [response(OBJECT)]):
        run = read_vllm(put(tmp_path / "one.json", json.dumps(document, indent=2)))
        assert run.histogram.tolist() == [39, 1, 0, 3]
        assert run.requests[0].reached.tolist() == [4, 3, 3]
        assert (run.steps, run.spec_tokens, run.missing, run.ordered) == (43, 3, 0, False)


def test_lines_streams_and_empty_requests_are_read(tmp_path):
    nothing = OBJECT | {"acceptance_histogram": [0] * 4, "mean_acceptance_length": 1.0, "draft_acceptance_rate": 0.0}
    nothing |= {"num_spec_steps": 0, "num_accepted_draft_tokens": 0, "num_draft_tokens": 0}
    chunks = [{"choices": [{"delta": {}}]}, response(OBJECT), response(None), response(nothing), response(DETAILED)]
    text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n"
    run = read_vllm(put(tmp_path / "stream.txt", text))
    assert run.histogram.tolist() == [41, 2, 0, 4]
    assert run.notes == ("2 documents without metrics.speculative_decoding left out",)
    assert run.requests[2].accepted == (0, 3, 1, 0)
    assert run.missing == 2


def test_a_sparse_histogram_is_read(tmp_path):
    found = OBJECT | {"acceptance_histogram": {"0": 39, "1": 1, "3": 3}}
    assert read_vllm(put(tmp_path / "one.json", response(found))).histogram.tolist() == [39, 1, 0, 3]


VLLM_ERRORS = {
    "num_spec_steps is 44, but acceptance_histogram makes it 43": {"num_spec_steps": 44},
    "num_accepted_draft_tokens is 9, but acceptance_histogram makes it 10": {"num_accepted_draft_tokens": 9},
    "num_draft_tokens is 130, but must lie between": {"num_draft_tokens": 130},
    "num_draft_tokens is 9, but must lie between": {"num_draft_tokens": 9},
    "acceptance_histogram must have num_spec_tokens + 1 = 5 entries, but has 4": {"num_spec_tokens": 4},
    "acceptance_histogram has keys": {"acceptance_histogram": {"0": 40, "7": 3}},
    "acceptance_histogram[1] must be at least 0, but is -1": {"acceptance_histogram": [41, -1, 0, 3]},
    "num_spec_steps must be an integer, but is 43.0": {"num_spec_steps": 43.0},
    "mean_acceptance_length is 2.5, but the counts make it": {"mean_acceptance_length": 2.5},
    "draft_acceptance_rate is 'x', but the counts make it": {"draft_acceptance_rate": "x"},
    "per_step_accepted is there, but per_step_drafted is missing": {"per_step_accepted": [0] * 43},
    "per_step_drafted must have num_spec_steps = 43 entries": {"per_step_accepted": [0] * 43, "per_step_drafted": [3]},
    "per_step_accepted counts to [43, 0, 0, 0]": {"per_step_accepted": [0] * 43, "per_step_drafted": [3] * 43},
}


@pytest.mark.parametrize("message", VLLM_ERRORS)
def test_a_contradiction_names_line_and_field(tmp_path, message):
    path = put(tmp_path / "two.jsonl", "\n".join(json.dumps(response(one)) for one in
               (OBJECT, OBJECT | VLLM_ERRORS[message])))  # fmt: skip
    with pytest.raises(ValueError, match="line 2: ") as error:
        read_vllm(path)
    assert message in str(error.value)


@pytest.mark.parametrize("field", [name for name in OBJECT if not name.endswith(("length", "rate"))])
def test_a_missing_field_is_named(tmp_path, field):
    found = {name: value for name, value in OBJECT.items() if name != field}
    with pytest.raises(ValueError, match=f"line 1: {field} is missing"):
        read_vllm(put(tmp_path / "one.json", response(found)))


def test_step_arrays_that_contradict_are_named(tmp_path):
    for change, message in (
        ({"per_step_drafted": [3, 3, 3, 2]}, "per_step_drafted sums to 11, but num_draft_tokens is 10"),
        ({"per_step_drafted": [3, 2, 3, 2]}, "step 1 accepted 3 of 2 drafted tokens"),
        ({"per_step_drafted": [3, 4, 2, 1]}, "step 1 accepted 3 of 4 drafted tokens, at most 3"),
    ):
        with pytest.raises(ValueError, match=message):
            read_vllm(put(tmp_path / "one.json", response(DETAILED | change)))


def test_truncated_files_name_the_line(tmp_path):
    lines = "\n".join(json.dumps(response(OBJECT)) for _ in range(3))
    for text, line in ((lines[:-40], 3), (json.dumps(response(OBJECT), indent=1)[:-30], 27), ('{"metrics": {', 1)):
        with pytest.raises(ValueError, match=f"line {line} is not JSON.*cut short"):
            read_vllm(put(tmp_path / "cut.jsonl", text))
    for text in (VLLM_TEXT[: VLLM_TEXT.rindex("position")], VLLM_TEXT[: VLLM_TEXT.rindex(" ")]):
        with pytest.raises(ValueError, match=r"line 26 is no Prometheus sample.*cut short"):
            read_prometheus(put(tmp_path / "cut.txt", text))
    with pytest.raises(ValueError, match="line 2 is not JSON"):
        read_lengths(put(tmp_path / "cut.jsonl", "[1, 2]\n[1, "))
    with pytest.raises(ValueError, match="is empty"):
        read_run(put(tmp_path / "empty.json", ""), Format.VLLM)


def test_runs_of_different_draft_lengths_and_files_without_metrics_are_refused(tmp_path):
    other = vllm_object(RequestSteps.of_steps("x", [1, 2], 2))
    with pytest.raises(ValueError, match="line 2: num_spec_tokens is 2, but line 1 has 3"):
        read_vllm(put(tmp_path / "two.jsonl", "\n".join(map(json.dumps, (OBJECT, other)))))
    with pytest.raises(ValueError, match="start vLLM with --per-request-spec-decode-metrics"):
        read_vllm(put(tmp_path / "none.json", response(None)))


def test_documented_counters_are_read(tmp_path):
    run = read_prometheus(put(tmp_path / "vllm.txt", VLLM_TEXT))
    assert run.histogram.tolist() == [202, 353, 203, 252]
    assert [request.steps for request in run.requests] == [1000, 10]
    assert (run.pooled, run.missing, run.notes) == (True, 0, ("2 engines summed",))
    run = read_prometheus(put(tmp_path / "llama.txt", LLAMA_TEXT))
    assert (run.histogram.tolist(), run.missing) == ([200, 350, 200, 250], 50)
    bare = VLLM_TEXT.replace("_total", "")
    assert read_prometheus(put(tmp_path / "bare.txt", bare)).histogram.tolist() == [202, 353, 203, 252]


PROMETHEUS_ERRORS = {
    'num_accepted_tokens is 1500, but the positions sum to 1501': ('position="2"} 250', 'position="2"} 251'),
    'per_pos{position="1"} is 850, more than the 800 steps': ('position="1"} 450', 'position="1"} 850'),
    'per_pos{position="0"} is 800, more than the 799 steps': ("drafts_total 1000", "drafts_total 799"),
    "num_draft_tokens is 3001, but must lie between": ("draft_tokens_total 2950", "draft_tokens_total 3001"),
    "num_draft_tokens is 1499, but must lie between": ("draft_tokens_total 2950", "draft_tokens_total 1499"),
    'per_pos{position="1"} is missing': ('position="1"', 'position="3"'),
    'per_pos{position="0"} is missing': ("tokens_per_pos", "tokens_by_pos"),
    "spec_decode_num_drafts is missing": ("num_drafts", "num_rafts"),
    "line 9: spec_decode_num_drafts is 1e3x, which is no number": ("drafts_total 1000", "drafts_total 1e3x"),
    "line 9: spec_decode_num_drafts is -1, which is no count": ("drafts_total 1000", "drafts_total -1"),
    "line 9: spec_decode_num_drafts is NaN, which is no count": ("drafts_total 1000", "drafts_total NaN"),
    "has the position 'a', which is no number": ('position="0"', 'position="a"'),
    "stands there twice": ('position="1"', 'position="0"'),
    "no counter vllm:spec_decode_num_drafts": ("llamacpp:", "other:"),
    "counters of both vLLM and llama.cpp": ("llamacpp:spec_decode_num_drafts", "vllm:spec_decode_num_drafts"),
}  # fmt: skip


@pytest.mark.parametrize("message", PROMETHEUS_ERRORS)
def test_counters_that_do_not_add_up_are_named(tmp_path, message):
    text = LLAMA_TEXT.replace(*PROMETHEUS_ERRORS[message])
    assert text != LLAMA_TEXT
    with pytest.raises(ValueError) as error:
        read_prometheus(put(tmp_path / "bad.txt", text))
    assert message.replace("is 1e3x", "is '1e3x'") in str(error.value)


def test_counters_since_the_start_of_the_run(tmp_path):
    after, before = put(tmp_path / "after.txt", VLLM_TEXT), put(tmp_path / "before.txt", _halved(VLLM_TEXT))
    assert read_prometheus(after, before).histogram.tolist() == [101, 176, 102, 126]
    with pytest.raises(ValueError, match=r"num_drafts of \{engine=0, model_name=org/m\} went back by 500"):
        read_prometheus(before, after)
    with pytest.raises(ValueError, match="holds no speculative step"):
        read_prometheus(after, after)


def _halved(text):
    """The counters half as large, rounded down."""
    lines = []
    for line in text.splitlines():
        head, _, value = line.rpartition(" ")
        counts = not line.startswith("#") and "_created" not in line
        lines.append(f"{head} {int(float(value) / 2)}" if counts else line)
    return "\n".join(lines)


def test_several_models_must_be_chosen_from(tmp_path):
    both = VLLM_TEXT.replace('engine="1",model_name="org/m"', 'engine="0",model_name="org/n"')
    path = put(tmp_path / "two.txt", both)
    with pytest.raises(ValueError, match="counters of 2 models: choose one of org/m, org/n"):
        read_prometheus(path)
    assert read_prometheus(path, model="org/n").steps == 10
    with pytest.raises(ValueError, match="no counters of the model 'x'"):
        read_prometheus(path, model="x")


def test_the_six_digits_of_a_large_count_are_rounding_not_a_contradiction(tmp_path):
    lengths = np.repeat([0, 1, 2, 3], [200_003, 35_001, 20_009, 1_250_004])
    request = RequestSteps("all", tuple(np.bincount(lengths).tolist()))
    write_prometheus(EngineRun(Format.PROMETHEUS, 3, (request,), True), tmp_path / "big.txt", "llamacpp:")
    text = (tmp_path / "big.txt").read_text()
    assert "num_drafts_total 1.50502e+06\n" in text
    run = read_prometheus(tmp_path / "big.txt")
    assert run.requests[0].reached.tolist() == request.reached.tolist()
    assert abs(run.steps - request.steps) <= 5
    assert run.notes == ("the server rounds its counters: they are known to ±5",)
    path = put(tmp_path / "vllm.txt", text.replace("llamacpp:", "vllm:"))
    with pytest.raises(ValueError, match=r"num_accepted_tokens is \d+, but the positions sum to"):
        read_prometheus(path)


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
