"""Reports of engines in their own shapes: objects under several names, wrapped; log lines; benchmarks; sums alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from engine_samples import OBJECT, put, response

from veridraft.gpu.engines.agreement.predictions import given_rates
from veridraft.gpu.engines.lengths import read_run
from veridraft.gpu.engines.logs import read_log
from veridraft.gpu.engines.runs import Format

SGLANG = {
    "spec_accept_rate": 13 / 28, "spec_accept_length": 20 / 7, "spec_num_correct_drafts": 13,
    "spec_num_proposed_drafts": 28, "spec_verify_ct": 7, "spec_correct_drafts_histogram": [1, 2, 2, 1, 1],
}  # fmt: skip
TENSORRT = {
    "acceptance_rate": 0.5, "total_accepted_draft_tokens": 12, "total_draft_tokens": 24, "num_spec_steps": 8,
    "acceptance_histogram": [3, 0, 3, 2], "num_spec_tokens": 3,
}  # fmt: skip


def run_of(tmp_path, document):
    return read_run(put(tmp_path / "run.json", document if isinstance(document, str) else json.dumps(document)))


@pytest.mark.parametrize(
    "document",
    [
        SGLANG,
        {"text": "x", "meta_info": SGLANG | {"completion_tokens": 20}},
        {"choices": [{}], "usage": {"completion_tokens": 20}, "sglext": {"spec": SGLANG}},
        {"meta_info": {"spec_verify_ct": 7, "spec_accept_histogram": [1, 2, 2, 1, 1], "spec_accept_token_num": 13}},
        {"spec_verify_ct": 7, "spec_acceptance_histogram": [1, 2, 2, 1, 1], "spec_accepted_tokens": 13},
    ],
    ids=["object", "meta_info", "sglext", "old names", "older names"],
)
def test_sglang_is_read_under_new_and_old_names(tmp_path, document):
    run = run_of(tmp_path, document)
    assert (run.format, run.spec_tokens, run.histogram.tolist()) == (Format.SGLANG, 4, [1, 2, 2, 1, 1])
    assert run.notes == ()


def test_sglangs_rate_has_one_of_two_denominators(tmp_path):
    short = SGLANG | {"spec_num_proposed_drafts": 20}
    for rate, words in ((13 / 20, "the drafts that were proposed"), (13 / 28, "all draft slots"), (0.9, "neither")):
        assert any(words in note for note in run_of(tmp_path, short | {"spec_accept_rate": rate}).notes)


def test_what_contradicts_is_named_as_the_engine_names_it(tmp_path):
    with pytest.raises(ValueError, match="spec_verify_ct is 8, but spec_correct_drafts_histogram makes it 7"):
        run_of(tmp_path, SGLANG | {"spec_verify_ct": 8})
    with pytest.raises(ValueError, match="total_draft_tokens is 25, but must lie between total_accepted"):
        run_of(tmp_path, TENSORRT | {"total_draft_tokens": 25})
    lacking = {name: value for name, value in SGLANG.items() if name != "spec_num_correct_drafts"}
    with pytest.raises(ValueError, match="spec_num_correct_drafts is missing"):
        run_of(tmp_path, lacking)


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: {"choices": [{"index": 0} | one]}])
def test_tensorrt_is_read_with_its_choice_alone(tmp_path, wrap):
    run = run_of(tmp_path, wrap({"speculative_decoding": TENSORRT}))
    assert (run.format, run.histogram.tolist(), run.missing) == (Format.TENSORRT, [3, 0, 3, 2], 0)


@pytest.mark.parametrize(
    "document",
    [
        {"data": response(OBJECT)},
        {"choices": [{"speculative_decoding_stats": OBJECT}]},
        [{"result": {"body": [response(OBJECT)]}}],
        f": ping\n\ndata: {json.dumps(response(OBJECT))}\n\n: ping\n\ndata: [DONE]\n",
    ],
    ids=["captured", "on the choice", "deep", "stream with comments"],
)
def test_vllms_object_is_found_wherever_proxies_put_it(tmp_path, document):
    run = run_of(tmp_path, document)
    assert (run.format, run.histogram.tolist()) == (Format.VLLM, [39, 1, 0, 3])


def test_tokens_that_were_accepted_and_not_emitted_are_counted(tmp_path):
    """43 steps accept 10 drafts: with the token of the prompt's pass 54 tokens."""
    lines = [response(OBJECT) | {"usage": {"completion_tokens": count}} for count in (54, 50)]
    run = run_of(tmp_path, "\n".join(map(json.dumps, lines)))
    assert any("108 tokens of 2 requests, 4 more than usage.completion_tokens (104)" in note for note in run.notes)
    assert not run_of(tmp_path, lines[0]).notes


def llama_line(counts, steps, drafted):
    rates = ", ".join(f"{count / steps:.3f}" for count in counts)
    accepted = sum(counts)
    return (
        f"slot print_timing: id  0 | task 3 | draft acceptance = {accepted / drafted:.5f} ( {accepted:4d} accepted / "
        f"{drafted:5d} generated), mean acceptance length = {1 + accepted / steps:5.2f}, "
        f"acceptance rate per position = ({rates})"
    )


def vllm_line(counts, steps, drafted):
    accepted = sum(counts)
    return (
        f"INFO [metrics.py:96] SpecDecoding metrics: Mean acceptance length: {1 + accepted / steps:.2f}, Accepted "
        f"throughput: 4.37 tokens/s, Drafted throughput: 4.92 tokens/s, Accepted: {accepted} tokens, Drafted: "
        f"{drafted} tokens, Per-position acceptance rate: {', '.join(f'{count / steps:.3f}' for count in counts)}, Avg "
        f"Draft acceptance rate: {100 * accepted / drafted:.1f}%"
    )


@pytest.mark.parametrize("line", [llama_line, vllm_line])
def test_counts_are_had_again_from_the_rates_of_a_log(tmp_path, line):
    """200 random lines of up to 300 steps, where three digits tell every count; some drafts were short."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        steps, positions = int(rng.integers(20, 300)), int(rng.integers(1, 6))
        counts = np.sort(rng.integers(1, steps, positions))[::-1].tolist()
        drafted = steps * positions - int(rng.integers(0, 3)) * (counts[-1] < steps)
        run = read_log(put(tmp_path / "log.txt", f"noise\n{line(counts, steps, drafted)}\nmore\n"))
        if drafted == steps * positions:  # else the printed mean may allow a neighbour too
            assert run.steps == steps
            assert run.requests[0].reached.tolist() == counts
        assert run.requests[0].accepted_tokens == sum(counts)


def test_lines_of_a_log_are_summed_and_coarse_counts_are_said(tmp_path):
    lines = [vllm_line([2300, 1400, 900], 4000, 12000), vllm_line([23, 14, 9], 40, 120)]
    run = read_run(put(tmp_path / "log.txt", "\n".join(lines)))
    assert (run.format, run.steps, run.pooled) == (Format.LOG, 4040, True)
    assert run.notes == ("counts by position are had from printed rates, to within 2",)
    with pytest.raises(ValueError, match="line 2 has rates of 2 positions, line 1 of 3"):
        read_log(put(tmp_path / "two.txt", "\n".join([lines[0], vllm_line([9, 3], 20, 40)])))


def test_a_line_whose_numbers_do_not_belong_together_is_named(tmp_path):
    wrong = vllm_line([23, 14, 9], 40, 120).replace("Accepted: 46", "Accepted: 61")
    with pytest.raises(ValueError, match="line 1: 61 accepted of 120 drafted tokens"):
        read_log(put(tmp_path / "log.txt", wrong))


def test_llama_cpps_steps_are_read_without_their_replays(tmp_path):
    lines = ["slot 1", *(f"accepted  {kept}/ 3 draft tokens" for kept in (2, 2, 0))]
    lines.insert(2, "slot 1 (restore checkpoint)")
    run = read_run(put(tmp_path / "log.txt", "\n".join(lines)))
    assert run.requests[0].accepted == (2, 0)
    assert run.requests[0].drafted == (3, 3)


def test_a_result_of_vllms_benchmark_is_a_run(tmp_path):
    counts, steps = [700, 500, 300], 1000
    bench = {
        "spec_decode_num_drafts": steps, "spec_decode_draft_tokens": 3000, "spec_decode_accepted_tokens": sum(counts),
        "spec_decode_per_position_acceptance_rates": [count / steps for count in counts],
    }  # fmt: skip
    run = run_of(tmp_path, bench)
    assert (run.format, run.requests[0].reached.tolist(), run.notes) == (Format.BENCH, counts, ())
    with pytest.raises(ValueError, match="spec_decode_num_drafts is missing"):
        run_of(tmp_path, {name: value for name, value in bench.items() if name != "spec_decode_num_drafts"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"timings": {"draft_n": 9, "draft_n_accepted": 4}}', "llama.cpp's timings.*draft_n 9, draft_n_accepted 4"),
        ('{"timings": {"draft_rounds": 1, "draft_n": 7}}', "mlx-vlm's timings.*draft_rounds 1"),
        ('sglang:spec_accept_length{model_name="m"} 2.5\n', "SGLang's gauges.*spec_accept_length 2.5"),
        ('trtllm_spec_decode_num_draft_tokens_total{a="b"} 9.0\n', "TensorRT-LLM's totals.*total 9.0"),
        ("0.7, 0.5, 0.4\n", "rates by position, which predict: give it with --prediction"),
        ("hello", "neither JSON, nor Prometheus text with spec_decode counters, nor an engine's log"),
    ],
)
def test_what_does_not_tell_the_steps_is_named_with_what_would(tmp_path, text, said):
    with pytest.raises(ValueError, match=said):
        read_run(put(tmp_path / "file.txt", text))


def test_rates_in_percent_are_told():
    with pytest.raises(ValueError, match=r"77.3, 55.9 look like percent"):
        given_rates([77.3, 55.9])


AIPERF = {
    "engine": "vllm", "mean_acceptance_length": 1 + 13 / 8, "draft_acceptance_rate": 13 / 32,
    "acceptance_histogram": {"0": 2, "1": 2, "3": 3, "2": 1}, "num_accepted_draft_tokens": 13, "num_draft_tokens": 32,
    "num_spec_steps": 8, "num_spec_tokens": 4, "completion_tokens": 22, "per_step_accepted": None,
}  # fmt: skip


def aiperf(tmp_path, *records):
    lines = [
        json.dumps({"metadata": {"benchmark_phase": "profiling"}, "metrics": {}, "spec_decode_acceptance": record})
        for record in records
    ]
    return read_run(put(tmp_path / "profile_export.jsonl", "\n".join(lines)))


@pytest.mark.parametrize(
    ("engine", "read_as"), [("vllm", Format.VLLM), ("sglang", Format.SGLANG), ("tensorrt_llm", Format.TENSORRT)]
)
@pytest.mark.parametrize("most", [4, None])
def test_aiperfs_record_is_read_for_every_engine_whether_it_names_a_longest_draft_or_not(
    tmp_path, engine, read_as, most
):
    run = aiperf(tmp_path, AIPERF | {"engine": engine, "num_spec_tokens": most})
    assert (run.format, run.spec_tokens, run.histogram.tolist()) == (read_as, 4, [2, 2, 1, 3, 0])
    assert run.notes == ()


def test_aiperfs_record_without_speculation_is_left_out_and_one_without_a_step_counts_nothing(tmp_path):
    nothing = {"acceptance_histogram": {}, "num_accepted_draft_tokens": 0, "num_draft_tokens": 0, "num_spec_steps": 0}
    empty = AIPERF | nothing | {"num_spec_tokens": None, "mean_acceptance_length": 1.0, "draft_acceptance_rate": 0.0}
    run = aiperf(tmp_path, None, empty, AIPERF)
    assert (run.steps, len(run.requests)) == (8, 2)
    assert run.notes == ("1 documents without speculative steps left out",)


def test_aiperfs_record_of_drafts_of_many_lengths_needs_the_steps_in_order(tmp_path):
    adaptive = AIPERF | {"engine": "sglang", "num_spec_tokens": None, "num_draft_tokens": 20}
    adaptive["draft_acceptance_rate"] = 13 / 20
    with pytest.raises(ValueError, match=r"drafts are not all of one length.*per_step_drafted"):
        aiperf(tmp_path, adaptive)
    steps = {"per_step_accepted": [0, 0, 1, 1, 2, 3, 3, 3], "per_step_drafted": [1, 1, 1, 2, 3, 4, 4, 4]}
    short = {"per_step_accepted": [1], "per_step_drafted": [2], "acceptance_histogram": {"1": 1},
             "num_accepted_draft_tokens": 1, "num_draft_tokens": 2, "num_spec_steps": 1,
             "mean_acceptance_length": 2.0, "draft_acceptance_rate": 0.5}  # fmt: skip
    run = aiperf(tmp_path, adaptive | steps, adaptive | short)
    assert run.spec_tokens == 4
    assert [request.drafted for request in run.requests] == [(1, 1, 1, 2, 3, 4, 4, 4), (2,)]
    assert run.histogram.tolist() == [2, 3, 1, 3, 0]
