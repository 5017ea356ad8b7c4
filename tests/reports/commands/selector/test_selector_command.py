"""``veridraft selector``: one tiny run by its command, evaluated, shown again, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="selectors need torch")

from selector_tiny import head_pair

from veridraft.gpu.selecting.job import SelectorJob
from veridraft.gpu.selecting.training import SelectorTraining
from veridraft.reports.cli import main
from veridraft.reports.commands.selector import train

LATENCY = Path(__file__).parents[4] / "reports" / "runs" / "latency-cpu"
TINY = ["--texts", "5", "--held-out", "3", "--roots", "2", "--spacing", "2", "--paths", "2", "--levels", "1",
        "--samplings", "1,0.7:0.9", "--verifiers", "block,traversal", "--steps", "4", "--batch", "4"]  # fmt: skip


@pytest.fixture(scope="module")
def pair():
    return head_pair()


@pytest.fixture
def tiny_models(monkeypatch, pair):
    monkeypatch.setattr(train, "load_models", lambda options: pair)


def test_a_run_is_stopped_goes_on_and_is_evaluated(tmp_path, capsys, monkeypatch, tiny_models):
    out, plain = tmp_path / "chosen", SelectorTraining.step

    def stops(run):
        if run.steps == 3:
            raise KeyboardInterrupt
        return plain(run)

    with monkeypatch.context() as patched:
        patched.setattr(SelectorTraining, "step", stops)
        assert main(["selector", "train", "--out", str(out), *TINY]) == 130
    assert "what was finished is kept" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["selector", "evaluate", str(out)])
    assert stop.value.code == 2 and "is not finished" in capsys.readouterr().err
    assert main(["selector", "train", "--out", str(out), *TINY]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == str(out) and "traversal: the state of step " in said
    assert "--samplings 1:1,0.7:0.9" in json.loads((out / "selector.json").read_text())["command"]

    assert main(["selector", "evaluate", str(out), "--format", "json"]) == 0
    said = capsys.readouterr().out
    for title in ("Tokens per second", "Share of the room", "Over Traversal with", "What is chosen", "Best settings"):
        assert title in said
    assert "times of 8B with head on an H100 by roofline" in said and "ms on the GPU, which is an assumption" in said
    records = [json.loads(line) for line in (out / "evaluation.jsonl").read_text().splitlines()[1:]]
    assert [one["verifier"] for one in records] == ["block", "traversal"]
    rows = json.loads((out / "evaluation.json").read_text())
    assert {"selector", "static", "entropy", "oracle"} <= {row["way"] for row in rows if row["verifier"] == "block"}
    assert (out / "evaluation.txt").read_text().strip() in said
    assert "<table" in (out / "evaluation.html").read_text()

    monkeypatch.setattr("veridraft.gpu.selecting.scores.Evaluation.measure", None)
    assert main(["selector", "evaluate", str(out), "--show"]) == 0
    assert "Tokens per second" in capsys.readouterr().out
    assert main(["selector", "evaluate", str(out)]) == 0  # nothing is left to compute


@pytest.mark.parametrize(
    "words, said",
    [
        (["--verifiers", "traversl"], "did you mean traversal"),
        (["--verifiers", "greedy"], "'greedy' is lossless for no delayed tree"),
        (["--paths", "0"], "paths must be at least 1, but is 0"),
        (["--trees", "1"], "trees must be at least 2"),
        (["--samplings", "warm"], "'warm' is no temperature"),
        (["--samplings", "0"], "samplings must have temperatures above 0"),
        (["--gpu", "H1000"], "H1000"),
        (["--shapes", "8B"], "shapes must be a target's and a draft's"),
        (["--texts", "3"], "texts must be at least 5"),
        (["--worst", "2"], "worst is 2"),
        (["--choice", "-1"], "choice must be a number of seconds"),
        (["--draft", "no/where/at/all"], "no/where/at/all"),
        (["--checkpoint-seconds", "-1"], "checkpoint-seconds must be at least 0"),
        (["--latency", str(LATENCY), "--gpu", "H100"], "latency must be left out with --gpu or --shapes"),
        (["--latency", str(LATENCY)], "choice is missing: with --latency say how many seconds"),
        (["--latency", "no/where", "--choice", "0.01"], "there is no latency at 'no/where'"),
        (["--latency", str(LATENCY), "--choice", "0.01", "--verifiers", "block"], "outside the measured 1 to 16"),
        (["--latency", str(LATENCY), "--choice", "0.01", "--levels", "3", "--verifiers", "specinfer"],
         "knows no verification by 'specinfer'"),
    ],
)
def test_bad_input_is_one_sentence_before_any_work(tmp_path, capsys, words, said):
    with pytest.raises(SystemExit) as stop:
        main(["selector", "train", "--out", str(tmp_path / "out"), *words])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and said in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_run_and_one_without_a_selector_are_refused(tmp_path, capsys, tiny_models, monkeypatch):
    monkeypatch.setattr(SelectorJob, "run", lambda *_: [])
    assert main(["selector", "train", "--out", str(tmp_path), *TINY]) == 0
    with pytest.raises(SystemExit) as stop:
        main(["selector", "train", "--out", str(tmp_path), *TINY, "--seed", "1"])
    assert stop.value.code == 2 and "give another folder" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["selector", "evaluate", str(tmp_path / "nothing")])
    assert stop.value.code == 2 and "holds no selector" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["selector", "nothing"])
    assert stop.value.code == 2
