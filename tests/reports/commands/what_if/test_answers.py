"""The command on what people have: rates, mean lengths, an engine's run, a trace, rows; what it prints and exports."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from veridraft.gpu.engines.recorder import write_tree
from veridraft.gpu.engines.runs import EngineRun
from veridraft.gpu.engines.trace_writer import TraceWriter
from veridraft.gpu.engines.traces import Trace
from veridraft.reports.cli import main
from veridraft.reports.commands.what_if.acceptance import rates_of_run
from veridraft.reports.commands.what_if.sources import RecordingSource, Sampling, TraceSource
from veridraft.theory import Chain, Delayed, Iid, MarkovPair, RecordedPair, block_efficiency, get_verifier
from veridraft.theory.search import LackError
from veridraft.theory.speed import DEVICES, NETWORKS

ROWS = [[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.25, 0.5, 0.25]]
DRAFT = [[0.3, 0.4, 0.3], [0.3, 0.3, 0.4], [0.4, 0.3, 0.3]]
PAIR = MarkovPair(ROWS, DRAFT, (ROWS[0], DRAFT[0]))
H100 = ["what-if", "--gpu", "H100"]


def asked(words, capsys):
    """The reply as JSON values."""
    assert main([*H100, *words, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*H100, *words])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


# Rates


def by_hand(drafted, tokens, batch):
    """Tokens a second of the 8B with the 1B on an H100 at 512 tokens, written out from the published shapes."""
    bandwidth, fixed = 3350e9 * 0.7, 2e-4 + 5e-4

    def one_pass(name, context, new):
        network = NETWORKS[name]
        cache = 2 * network.layers * network.cache_heads * network.head_width * 2 * batch * (context + new)
        return (network.read_weights * 2 + cache) / bandwidth + network.layers * 1e-5

    step = sum(one_pass("1B", 511 + j, 1) for j in range(drafted)) + one_pass("8B", 511, drafted + 1)
    step += fixed + batch * (drafted + 1) * 128256 * 32 / bandwidth
    return tokens / step


def test_rates_give_chains_up_to_their_length_by_hand(capsys):
    found = asked(["--rates", "0.75,0.55,0.4", "--batch", "4"], capsys)
    speeds = {one["policy"]: one["tokens_per_second"] for one in found["answers"]}
    assert speeds == pytest.approx({"Chain(1)": by_hand(1, 1.75, 4), "Chain(2)": by_hand(2, 2.3, 4),
                                    "Chain(3)": by_hand(3, 2.7, 4)})  # fmt: skip
    best = found["answers"][0]
    assert best["tokens_per_second_in_all"] == pytest.approx(4 * best["tokens_per_second"])
    assert best["verifier"] == "as measured"
    assert best["reach"] == [1, 0.75, 0.55, 0.4]
    again = asked(["--conditional-rates", f"0.75,{0.55 / 0.75},{0.4 / 0.55}", "--batch", "4"], capsys)
    assert [one["tokens_per_second"] for one in again["answers"]] == pytest.approx(
        [one["tokens_per_second"] for one in found["answers"]]
    )


def test_the_first_line_says_what_to_run_and_the_next_when_it_stops_paying(capsys):
    assert main([*H100, "--rates", "0.75,0.55,0.4", "--batch", "16", "--price", "3.6"]) == 0
    first, second, *rest = capsys.readouterr().out.splitlines()
    speed = by_hand(3, 2.7, 16)
    assert first.startswith(f"Run the measured rule on Chain(3): {speed:.0f} tokens/s for each of 16 requests")
    assert "on H100, 8B with 1B, context 512; acceptance: unconditional rates 0.75, 0.55, 0.4" in first
    assert second.startswith("  it pays at every batch that fits (")
    assert "gain by requests: 1: " in second
    assert f"{3.6 / 3600 / (16 * speed) * 1e6:.3f}" in "\n".join(rest)
    assert "trees, and more than 3 tokens need rows" in "\n".join(rest)


def test_speculation_that_does_not_pay_is_not_recommended(capsys):
    assert main([*H100, "--rates", "0.1"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("Run plain decoding: ")
    assert "the best draft, the measured rule on Chain(1), gives 0.9" in first
    assert "it pays at no batch" in second


def test_a_mean_length_speaks_of_its_own_number_of_tokens(capsys):
    found = asked(["--acceptance-length", "3.88", "--drafted", "5"], capsys)
    assert [(one["policy"], one["block_efficiency"]) for one in found["answers"]] == [("Chain(5)", 3.88)]
    assert found["acceptance"] == "mean tokens 3.88 at 5 drafted, which are no distributions"
    several = asked(["--acceptance-length", "1.84,2.50,2.99", "--draft", "mtp"], capsys)
    tokens = {one["policy"]: one["block_efficiency"] for one in several["answers"]}
    assert tokens == {"Chain(1)": 1.84, "Chain(2)": 2.5, "Chain(3)": 2.99}
    assert all(one["hardware"] == "H100, 8B with a head of 8B" for one in several["answers"])


def test_rates_of_an_engines_lengths_are_shares_of_its_whole_steps(tmp_path, monkeypatch, capsys):
    """Lengths 3, 0, 2, 1 of three drafted tokens, and one of two, which is left out."""
    run = EngineRun.of_lengths([[3, 0, 2, 1, 2]], 3, [[3, 3, 3, 3, 2]])
    assert rates_of_run(run).unconditional == (0.75, 0.5, 0.25)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.jsonl").write_text('{"accepted": [3, 0, 2, 1, 2], "drafted": [3, 3, 3, 3, 2]}\n')
    found = asked(["--rates", "run.jsonl"], capsys)
    assert max(one["block_efficiency"] for one in found["answers"]) == pytest.approx(2.5)


def test_a_latency_file_asks_whose_verification_counts(capsys):
    words = ["what-if", "--latency", str(Path(__file__).parents[4] / "reports" / "runs" / "latency-cpu")]
    with pytest.raises(SystemExit):
        main([*words, "--rates", "0.5,0.2"])
    error = capsys.readouterr().err
    assert "--verifiers NAME is missing: whose verification counts for time, of block, traversal, lifted_k_seq" in error
    assert main([*words, "--rates", "0.5,0.2", "--verifiers", "block"]) == 0
    assert "on AMD EPYC" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*words, "--rates", "0.5", "--verifiers", "block", "--batch", "2"])
    assert "batch must be left out with --latency" in capsys.readouterr().err


# Exports


def test_csv_has_a_row_for_each_answer_and_a_column_for_each_term(capsys):
    assert main([*H100, "--rates", "0.75,0.55", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["policy"] for row in rows] == ["Chain(2)", "Chain(1)"]
    terms = [float(value) for name, value in rows[0].items() if name.startswith("seconds ")]
    assert sum(terms) == pytest.approx(float(rows[0]["seconds"]))
    assert len(terms) == 4


def test_vllms_rates_are_the_unconditional_ones_of_the_best_chain(capsys):
    assert main([*H100, "--rates", "0.75,0.55,0.4", "--format", "vllm"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "num_speculative_tokens": 3, "rejection_sample_method": "synthetic",
        "synthetic_acceptance_rates": [0.75, 0.55, 0.4],
    }  # fmt: skip


def test_json_is_printed_and_written(tmp_path, capsys):
    place = tmp_path / "reply.json"
    assert main([*H100, "--rates", "0.75", "--format", "json", "--json", str(place)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(place.read_text())
    assert printed["paying"][0]["fitting"] == (80 * 2**30 - 2 * sum(
        NETWORKS[name].parameters for name in ("8B", "1B"))) // (512 * 2 * sum(
            NETWORKS[name].cache_entries for name in ("8B", "1B")))  # fmt: skip


# Search


def test_the_question_is_answered_in_one_command_that_names_its_acceptance(capsys):
    words = ["--search", "--target", "8B", "--draft", "1B", "--temperatures", "0.6", "--batch", "16", "--trees", "20"]
    assert main([*H100, *words]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("Run ")
    assert "for each of 16 requests" in first
    assert first.endswith("on H100, 8B with 1B, context 512, T 0.6; acceptance: synthetic rows 'markov', |V| = 256")
    heads = next(place for place, line in enumerate(rest) if line.startswith("  verifier"))
    speeds = [float(line.split()[-4]) for line in rest[heads + 1 : heads + 11]]
    assert speeds == sorted(speeds, reverse=True)
    assert any("of chains, which every engine drafts: " in line for line in rest)


def test_the_family_that_stands_in_accepts_as_the_published_pair_did():
    """2505.12398: Llama-3.1-8B with Llama-3.2-1B, chains of five, temperature 1: 3.88 tokens a pass."""
    from veridraft.reports.commands.what_if.sources import FamilySource

    pairs = FamilySource("markov", 256).pairs(Sampling())
    tokens = [block_efficiency("naive", "Chain(5)", pair, "dp").value for pair in pairs]
    assert np.mean(tokens) == pytest.approx(3.88, abs=0.02)


def test_a_search_looks_at_named_verifiers_and_policies_alone(capsys):
    found = asked(["--search", "--verifiers", "rrsw,traversal", "--policies", "Static(2x2); Chain(2)", "--pair", "near",
                   "--vocabulary", "5", "--trees", "10"], capsys)  # fmt: skip
    assert {(one["verifier"], one["policy"]) for one in found["answers"]} == {
        (name, policy) for name in ("rrsw", "traversal") for policy in ("Static(2x2)", "Chain(2)")
    }
    assert found["considered"] == 4


# Traces and recorded rows


def trace_of(policy, steps=300, pair=PAIR):
    writer, rng = TraceWriter(), np.random.default_rng(0)
    for _ in range(steps):
        write_tree(writer, 0, policy.sample(pair, rng), 0)
    return Trace(writer.arrays())


@pytest.mark.parametrize(
    ("drafted", "policy", "verifier"),
    [(Iid(4, 3), Iid(2, 2), "spectr"), (Iid(3, 2), Chain(2), "block"), (Chain(3), Iid(3, 1), "traversal"),
     (Delayed(3, 1, 2), Delayed(2, 1, 1), "specinfer"), (Delayed(3, 1, 2), Chain(3), "naive"),
     (Chain(2), Chain(1), "naive")],
)  # fmt: skip
def test_a_trace_tells_what_smaller_trees_would_accept(drafted, policy, verifier):
    """The mean over cut steps, or fresh draws at their roots, against the exact value within 5 standard errors."""
    source = TraceSource("t", trace_of(drafted))
    trees = source.trees(policy, Sampling(), 300, 0)
    tokens = [float(get_verifier(verifier).law(tree).block_efficiency) for tree in trees]
    exact = block_efficiency(verifier, policy, PAIR, "enumerate").value
    assert len(tokens) == 300
    assert abs(np.mean(tokens) - exact) < 5 * np.std(tokens) / 300**0.5 + 1e-12


NOT_HELD = [(Iid(2, 3), Iid(3, 2)), (Iid(3, 2), Delayed(2, 1, 1)), (Chain(2), Chain(3)),
            (Delayed(3, 1, 2), Iid(2, 2)), (Chain(3), Iid(2, 2))]  # fmt: skip


@pytest.mark.parametrize(("drafted", "policy"), NOT_HELD)
def test_a_trace_does_not_tell_of_trees_that_it_does_not_hold(drafted, policy):
    """Paths that branch where the recorded ones agreed by chance would favour such chances."""
    with pytest.raises(LackError, match="no step of the trace holds its draws"):
        TraceSource("t", trace_of(drafted, 20)).trees(policy, Sampling(), 5, 0)


def test_rows_in_short_tell_of_naive_rejection_alone(tmp_path, monkeypatch, capsys):
    """The drafted token, accepted at 0.6 / 0.8, and all others: two tokens a row."""
    monkeypatch.chdir(tmp_path)
    writer = TraceWriter()
    for request in range(30):
        writer.step(request, [0, 0], [[0.6, 0.4]] * 3, [[0.8, 0.2]] * 2, 1)
    writer.save("short.npz")
    found = asked(["--search", "--pair", "short.npz"], capsys)
    answers = {(one["verifier"], one["policy"]): one["block_efficiency"] for one in found["answers"]}
    assert answers == pytest.approx({("naive", "Chain(1)"): 1.75, ("naive", "Chain(2)"): 1.75 + 0.75**2})
    assert found["acceptance"] == "trace short.npz, 30 steps, rows in short"
    assert all(one["temperature"] is None for one in found["answers"])
    assert any(reason.startswith("block: short.npz holds of each row the drafted") for reason in found["left_out"])
    error = refused(["--pair", "short.npz", "--verifiers", "block", "--policies", "Chain(2)"], capsys)
    assert "which tells of naive alone" in error


def test_contexts_of_which_only_easy_draws_are_known_are_left_out():
    """Of (1,) the rows behind token 1 alone are known: keeping the draws of 1 there would be a choice by outcome."""
    contexts = [(0,), *((0, token) for token in range(3)), (1,), (1, 1)]
    source = RecordingSource("r", RecordedPair.record(PAIR, contexts))
    trees = source.trees(Chain(2), Sampling(), 200, 0)
    assert all((tree.target[0] == ROWS[0]).all() for tree in trees)
    tokens = [float(get_verifier("naive").law(tree).block_efficiency) for tree in trees]
    exact = block_efficiency("naive", "Chain(2)", PAIR, "enumerate", context=(0,)).value
    assert abs(np.mean(tokens) - exact) < 5 * np.std(tokens) / 200**0.5
    assert len({float(tree.target[0][0]) for tree in source.trees(Chain(1), Sampling(), 30, 0)}) == 3


def test_every_gpu_that_was_asked_for_is_there():
    assert {"A100", "H100", "H200", "B200", "L40S", "MI300X"} <= set(DEVICES)


def test_the_readme_shows_what_the_command_says(capsys):
    text = (Path(__file__).parents[4] / "README.md").read_text(encoding="utf-8")
    shown = text.split("$ veridraft what-if ")[1].split("```")[0].splitlines()
    assert main(["what-if", *shown[0].split()]) == 0
    assert capsys.readouterr().out.splitlines()[0] == shown[1]
