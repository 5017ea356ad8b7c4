"""Predicted against measured throughput: the arithmetic by hand, and a run on a tiny pair under a clock that counts."""

from __future__ import annotations

import json
from dataclasses import replace
from math import log

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import PROMPTS, Words, counted_clock, tiny_pair

from veridraft.gpu.latency.speed_check import SpeedFile, SpeedPlan, check_speed
from veridraft.gpu.latency.speed_rows import SpeedRow
from veridraft.reports.cli import main
from veridraft.reports.studies.speed.study import rows_of, speed_text
from veridraft.theory import Chain, Iid
from veridraft.theory.speed import Term

ROWS = (("block", Chain(2)), ("traversal", Iid(2, 2)))


def record(tokens, expected, seconds, foreseen, steps=2):
    """A round; seconds are those of draft, target, verification and overhead, CPU time a tenth of them."""

    def by_term(values):
        return {term.value: {"wall": value, "cpu": value / 10} for term, value in zip(Term, values, strict=True)}

    return {"steps": steps, "tokens": tokens, "predicted_tokens": expected,
            "seconds": by_term(seconds), "predicted_seconds": by_term(foreseen)}  # fmt: skip


def row(rounds, clock="wall"):
    return SpeedRow("block", "Chain(2)", clock, rounds)


def test_throughput_and_its_parts_by_hand():
    rounds = [record(4, 5.0, (1, 2, 0, 1), (1, 1, 0, 0)), record(6, 5.0, (1, 2, 0, 1), (1, 1, 0, 0))] * 2
    found = row(rounds)
    assert found.steps == 8
    assert found.measured == pytest.approx(20 / 16)
    assert found.predicted == pytest.approx(20 / 8)
    assert found.ratio.value == pytest.approx(0.5)
    assert found.tokens() == found.tokens("predicted_tokens") == 2.5
    assert found.step().total == pytest.approx(2)
    assert found.step("predicted_seconds").target == pytest.approx(0.5)
    assert found.parts["target pass"].value == pytest.approx(-0.5)
    assert found.parts["overhead"].value == pytest.approx(-0.5)
    assert found.parts["tokens a step"].value == pytest.approx(0)
    assert found.parting == "target pass"
    assert found.time_ratio.value == pytest.approx(2)
    assert not found.agrees
    assert row(rounds, "cpu").measured == pytest.approx(200 / 16)


def test_the_interval_is_the_jackknife_of_the_rounds():
    rounds = [record(tokens, 4.0, (1, 1, 1, 1), (1, 1, 1, 1)) for tokens in (3, 4, 5)]
    without = [log(sum({3, 4, 5} - {gone}) / 8) for gone in (3, 4, 5)]
    error = np.sqrt(2 / 3 * np.sum((np.array(without) - np.mean(without)) ** 2))
    half = 4.302653 * error  # Student's 0.975 quantile with two degrees of freedom
    ratio = row(rounds).ratio
    assert (log(ratio.low), log(ratio.high)) == (pytest.approx(-half), pytest.approx(half))
    assert row(rounds).agrees
    assert row(rounds).parting is None
    tokens = row(rounds).parts["tokens a step"]  # one of five: at level 0.99, the quantile is 9.924843
    assert tokens.high == pytest.approx(9.924843 * error)
    with pytest.raises(ValueError, match="block has 2 rounds; 3 are the fewest"):
        row(rounds[:2])


@pytest.fixture(scope="module")
def pair():
    return tiny_pair()


@pytest.fixture
def counted(monkeypatch):
    """Clocks that count."""
    counted_clock(monkeypatch)


def run(pair, rounds, out=None):
    plan = SpeedPlan(ROWS, rounds=rounds, steps=2, prompts=PROMPTS)
    for _, file in check_speed(pair, plan, out, "by hand"):  # noqa: B007
        pass
    return file


def test_under_a_clock_that_counts_passes_the_prediction_of_a_chain_is_its_measurement(pair, counted):
    """A pass is 2 readings of the clock, of the grid and of a decoder: feeding and rows are read apart."""
    found = run(pair, 3).row("block", "Chain(2)", "wall")
    assert found.steps == 6
    assert found.step().target == found.step("predicted_seconds").target == 2
    assert found.step().draft == found.step("predicted_seconds").draft == 4
    assert found.step().verification == found.step("predicted_seconds").verification == 1
    assert found.step().overhead == found.step("predicted_seconds").overhead
    assert found.parting in (None, "tokens a step")


def test_a_stopped_run_goes_on_and_says_the_same(pair, counted, tmp_path):
    path = tmp_path / "speed.json"
    run(pair, 1, path)
    file = run(pair, 2, path)
    assert {len(rounds) for rounds in file.rounds.values()} == {2}
    fresh = run(pair, 2)
    for name, rounds in fresh.rounds.items():
        for kept, new in zip(file.rounds[name], rounds, strict=True):
            assert (kept["tokens"], kept["predicted_tokens"]) == (new["tokens"], new["predicted_tokens"])
    assert SpeedFile.load(path) == file


def test_predicted_tokens_are_those_of_the_law(pair):
    """Many rounds of a tiny pair: measured and predicted tokens agree, |z| < 4."""
    rounds = run(pair, 16).rounds["traversal Iid(2, 2)"]
    differences = np.array([one["tokens"] - one["predicted_tokens"] for one in rounds])
    assert abs(differences.mean()) < 4 * differences.std(ddof=1) / np.sqrt(len(differences))


def test_another_run_in_the_file_and_bad_plans_are_refused(pair, tmp_path):
    path = tmp_path / "speed.json"
    run(pair, 1, path)
    with pytest.raises(ValueError, match="holds a run with steps = 2, not 3"):
        list(check_speed(pair, SpeedPlan(ROWS, rounds=1, steps=3, prompts=PROMPTS), path))
    with pytest.raises(ValueError, match="rounds must be at least 1"):
        SpeedPlan(ROWS, rounds=0)
    with pytest.raises(ValueError, match="seed must be at least 0, but is -1"):
        SpeedPlan(ROWS, seed=-1)
    with pytest.raises(ValueError, match=r"temperature .* is nan"):
        SpeedPlan(ROWS, temperature=float("nan"))
    with pytest.raises(ValueError, match="not known to be lossless"):
        SpeedPlan((("block", Iid(2, 2)),))
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match="its kind is not"):
        SpeedFile.load(tmp_path / "other.json")


def test_what_the_pair_cannot_do_is_refused_before_the_first_round(pair):
    with pytest.raises(ValueError, match="no tokenizer"):
        check_speed(pair, SpeedPlan(ROWS))
    with pytest.raises(ValueError, match="positions, but the target has 1024"):
        check_speed(pair, SpeedPlan(ROWS, steps=400, prompts=PROMPTS))
    with pytest.raises(ValueError, match="lists every child list"):
        check_speed(pair, SpeedPlan((("optimal_plan", Iid(4, 1)),), prompts=PROMPTS))


def test_the_command_says_in_a_line_what_stopped_it(pair, tmp_path, monkeypatch, capsys):
    broken = replace(tiny_pair(), tokenizer=Words())
    with torch.no_grad():
        broken.target.lm_head.weight[3] = float("nan")
    monkeypatch.setattr("veridraft.gpu.models.pairs.load_pair", lambda *_: broken)
    words = ["speed", "--rows", "block:Chain(1)", "--out", str(tmp_path / "speed.json"), "--rounds"]
    broken_off = "step 0, request 0, row 0 are not finite"
    for rounds, status, said in (("2", 2, "rounds must be at least 3"), ("3", 1, broken_off)):
        with pytest.raises(SystemExit) as stop:
            main([*words, rounds])
        assert stop.value.code == status
        assert said in capsys.readouterr().err.splitlines()[-1]


def test_rows_are_read_and_bad_ones_named():
    assert rows_of("block:Chain(2); traversal: Iid(2, 2)") == ROWS
    with pytest.raises(ValueError, match="'block' is not of the form VERIFIER:POLICY"):
        rows_of("block")


def test_the_tables_say_which_term_parts_them(pair, counted, tmp_path, capsys):
    path = tmp_path / "speed.json"
    file = run(pair, 3, path)
    assert "no term of 1 % or more parts them" in speed_text(file)
    for rounds in file.rounds.values():  # as if the target's passes had taken longer than those of the grid
        for one in rounds:
            one["seconds"][Term.TARGET.value]["wall"] *= 2
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rounds": file.rounds}))
    text = speed_text(file)
    heads = ("Throughput, wall clock", "Throughput, CPU time", "The step, ms", "traversal, Iid")
    for words in (*heads, "they part by target pass"):
        assert words in text
    assert main(["speed", "--show", "--out", str(path)]) == 0
    assert capsys.readouterr().out.strip() == text
