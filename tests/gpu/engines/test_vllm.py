"""vLLM's metrics of each request: documented shapes, truncated and contradictory files."""

from __future__ import annotations

import json

import pytest
from engine_samples import DETAILED, OBJECT, put, response

from veridraft.gpu.engines.exports import vllm_object
from veridraft.gpu.engines.runs import RequestSteps
from veridraft.gpu.engines.vllm import read_vllm


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
    assert run.notes == ("2 documents without speculative steps left out",)
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


def test_runs_of_different_draft_lengths_and_files_without_metrics_are_refused(tmp_path):
    other = vllm_object(RequestSteps.of_steps("x", [1, 2], 2))
    with pytest.raises(ValueError, match="line 2: num_spec_tokens is 2, but line 1 has 3"):
        read_vllm(put(tmp_path / "two.jsonl", "\n".join(map(json.dumps, (OBJECT, other)))))
    with pytest.raises(ValueError, match="start vLLM with --per-request-spec-decode-metrics"):
        read_vllm(put(tmp_path / "none.json", response(None)))
