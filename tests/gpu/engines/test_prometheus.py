"""Counters in Prometheus text: documented shapes, truncated and contradictory files, differences, rounding."""

from __future__ import annotations

import numpy as np
import pytest
from engine_samples import LLAMA_TEXT, VLLM_TEXT, put

from veridraft.gpu.engines.exports import write_prometheus
from veridraft.gpu.engines.prometheus import read_prometheus
from veridraft.gpu.engines.runs import EngineRun, Format, RequestSteps


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


def test_truncated_files_name_the_line(tmp_path):
    for text in (VLLM_TEXT[: VLLM_TEXT.rindex("position")], VLLM_TEXT[: VLLM_TEXT.rindex(" ")]):
        with pytest.raises(ValueError, match=r"line 26 is no Prometheus sample.*cut short"):
            read_prometheus(put(tmp_path / "cut.txt", text))


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
