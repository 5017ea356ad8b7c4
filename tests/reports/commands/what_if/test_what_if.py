"""What-if questions: the table against the theory's own numbers, sources of trees, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from veridraft.gpu.engines.recorder import write_tree
from veridraft.gpu.engines.trace_writer import TraceWriter
from veridraft.reports.cli import main
from veridraft.reports.commands.what_if.questions import Question
from veridraft.reports.commands.what_if.sources import FamilySource, Sampling, TraceSource, source_of
from veridraft.theory import (
    Chain,
    Iid,
    LatencyModel,
    MarkovPair,
    RecordedPair,
    Schedule,
    block_efficiency,
    get_verifier,
)
from veridraft.theory.pairs import contexts_below
from veridraft.theory.speed import NETWORKS, ByLength, get_device, roofline_model

FAST = LatencyModel(ByLength(lambda length: 1.0), ByLength(lambda length: 0.1), name="fast drafts")
SLOW = LatencyModel(ByLength(lambda length: 1.0), ByLength(lambda length: 2.0), name="slow drafts")


def question(**changes):
    asked = {"models": (FAST,), "source": FamilySource("near"), "samplings": (Sampling(),), "verifiers": ("block",),
             "policies": (Chain(1), Chain(3)), "lengths": (10,), "trees": 40}  # fmt: skip
    return Question(**{**asked, **changes})


def test_exact_answers_are_the_theorys():
    answers, left_out = question(exact=True).answers()
    assert not left_out
    pairs = FamilySource("near").pairs(Sampling())
    for answer in answers:
        policy = Chain(1) if answer.policy == "Chain(1)" else Chain(3)
        mean = np.mean([block_efficiency("block", policy, pair).value for pair in pairs])
        assert answer.result.block_efficiency == pytest.approx(mean)
        assert answer.tokens_per_second == pytest.approx(mean / (1 + 0.1 * policy.depth))
        assert answer.plain == 1


def test_drawn_answers_come_near_the_exact_ones():
    exact = {one.policy: one.tokens_per_second for one in question(exact=True).answers()[0]}
    for answer in question(trees=400).answers()[0]:
        low, high = answer.result.confidence_interval(0.9999)
        assert low <= exact[answer.policy] <= high


def test_the_best_comes_first_and_depends_on_the_hardware():
    fast, slow = (question(models=(model,)).answers()[0] for model in (FAST, SLOW))
    assert [one.policy for one in fast] == ["Chain(3)", "Chain(1)"]
    assert [one.policy for one in slow] == ["Chain(1)", "Chain(3)"]


def test_all_verifiers_of_a_policy_are_asked_on_the_same_trees():
    answers = question(verifiers=("specinfer", "traversal", "lifted_k_seq"), policies=(Iid(3, 2),)).answers()[0]
    assert len({answer.result.times for answer in answers}) == 1


def test_what_cannot_be_predicted_is_left_out_with_its_reason():
    half = LatencyModel(FAST.target, FAST.draft, {"nss": FAST.overhead}, name="half measured")
    answers, left_out = question(models=(half,), verifiers=("block", "nss", "univer"), policies=(Iid(2, 2),)).answers()
    assert [one.verifier for one in answers] == ["nss"]
    answers, left_out = question(models=(half,), policies=(Chain(1), Iid(2, 2))).answers()
    assert not answers
    assert left_out == ["block on half measured: its verification was not measured",
                        "Iid(2, 2): none of the verifiers is lossless for it"]  # fmt: skip


def markov():
    return MarkovPair([[0.6, 0.3, 0.1]] * 3, [[0.3, 0.4, 0.3]] * 3)


def test_a_recording_gives_trees_where_its_rows_are_complete(tmp_path):
    pair, path = markov(), tmp_path / "rows.npz"
    RecordedPair.record(pair, contexts_below((0,), range(3), 2)).save(path)
    source = source_of(str(path))
    trees = source.trees(Chain(2), Sampling(), 26, 0)
    assert trees
    assert all(tree.size == 3 for tree in trees)
    with pytest.raises(ValueError, match=r"lacks rows that Chain\(4\) draws"):
        source.trees(Chain(4), Sampling(), 26, 0)
    with pytest.raises(ValueError, match="--exact needs all rows"):
        source.exact_tokens("block", Chain(2), Sampling())


def test_a_trace_gives_the_trees_that_it_holds(tmp_path):
    pair, writer, rng = markov(), TraceWriter(), np.random.default_rng(0)
    trees = [Chain(2).sample(pair, rng) for _ in range(12)]
    for tree in trees:
        write_tree(writer, 0, tree, 1)
    path = tmp_path / "steps.npz"
    writer.save(str(path))
    source = source_of(str(path))
    assert isinstance(source, TraceSource)
    (answer,), _ = question(source=source, policies=(Chain(2),)).answers()
    expected = np.mean([float(get_verifier("block").law(tree).block_efficiency) for tree in trees])
    assert answer.result.block_efficiency == pytest.approx(expected)
    with pytest.raises(ValueError, match="drafted at its own temperature"):
        question(source=source, policies=(Chain(2),), samplings=(Sampling(0.5),)).answers()


def test_the_command_ranks_presets(capsys):
    words = ["what-if", "--gpu", "H100,RTX 4090", "--target", "8B", "--draft", "1B", "--pair", "near",
             "--verifiers", "block", "--policies", "Chain(2);Chain(4)", "--trees", "20"]  # fmt: skip
    assert main([*words, "--json", "-"]) == 0
    held = json.loads(capsys.readouterr().out)
    speeds = [answer["tokens_per_second"] for answer in held["answers"]]
    assert speeds == sorted(speeds, reverse=True)
    assert held["answers"][0]["hardware"] == "H100, 8B with 1B"
    model = roofline_model(NETWORKS["8B"], NETWORKS["1B"], get_device("H100"), weight_bytes=2.0)
    shown = next(answer for answer in held["answers"] if answer["policy"] == "Chain(4)")
    assert shown["seconds"] == pytest.approx(model.step(Schedule.of_policy(Chain(4)), 512).total)
    assert main([*words, "--top", "1"]) == 0
    printed = capsys.readouterr().out
    assert "3 more rows" in printed
    best = printed[: printed.index("The best 1")]
    assert all(best.count(f"on {name}") == 1 for name in ("H100, 8B with 1B", "RTX4090, 8B with 1B"))
    assert "roofline from published figures, not measured" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--latency FILE or --gpu NAME is missing"),
        (("--gpu", "TPU"), "GPU 'TPU' is unknown"),
        (("--gpu", "H100", "--target", "70B"), "needs 133.7 GiB, but H100 has 80"),
        (("--gpu", "H100", "--pair", "nowhere"), "neither a file nor a family"),
        (("--gpu", "H100", "--trees", "1"), "trees must be at least 2"),
        (("--gpu", "H100", "--verifiers", "nobody"), "unknown verifier 'nobody'"),
        (("--gpu", "H100", "--policies", "Bush(2)"), "policy 'Bush(2)' is none of"),
    ],
)
def test_bad_questions_are_one_line(words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["what-if", *words])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_latency_file_brings_its_verifiers_and_a_context_that_it_measured(capsys):
    """The committed file measured contexts of 64 and 256 tokens, and steps of three verifiers."""
    path = Path(__file__).parents[4] / "reports" / "runs" / "latency-cpu"
    assert main(["what-if", "--latency", str(path), "--policies", "Chain(2)", "--trees", "20"]) == 0
    text = capsys.readouterr().out
    assert "context 160" in text
    assert all(name in text for name in ("block", "traversal", "lifted_k_seq"))
    with pytest.raises(SystemExit) as stop:
        main(["what-if", "--latency", str(path), "--contexts", "4000"])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "lies outside the measured 64 to 256" in error and "more" in error and len(error) < 700


def test_rows_along_a_text_predict_trees_of_one_level_and_others_are_left_out_by_name(tmp_path, monkeypatch, capsys):
    """Behind a token that the text has not, no row is known: one level is all that can be drawn."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    target = rng.dirichlet(np.ones(6), size=40).astype(np.float32)
    draft = (0.7 * target + 0.3 * rng.dirichlet(np.ones(6), size=40)).astype(np.float32)
    np.savez("text.npz", tokens=rng.integers(6, size=40), target=target, draft=draft)
    words = ["what-if", "--gpu", "H100", "--pair", "text.npz"]
    words += ["--verifiers", "naive", "--policies", "Chain(1); Chain(3)"]
    with pytest.raises(SystemExit) as stop:
        main([*words, "--json", "-"])
    assert stop.value.code == 2
    assert "normalise" in capsys.readouterr().err
    assert main([*words, "--normalise", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    (row,) = found["answers"]
    expected = np.minimum(target, draft).sum(axis=1).mean()
    assert row["policy"] == "Chain(1)"
    assert row["block_efficiency"] == pytest.approx(1 + expected, abs=0.08)
    assert found["left_out"] == ["Chain(3): text.npz lacks rows that Chain(3) draws, below each of 40 contexts"]
