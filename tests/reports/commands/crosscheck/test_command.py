"""``veridraft crosscheck --from`` as a person meets it: every format, both answers, the writer, bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from engine_samples import LLAMA_TEXT, OBJECT, VLLM_TEXT, decoded, put, random_pair, response

from veridraft.gpu.engines.exports import write_lengths, write_prometheus, write_vllm
from veridraft.gpu.engines.runs import EngineRun
from veridraft.reports import cli
from veridraft.simulate.defects.broken.planted import biased
from veridraft.simulate.procedures.table import PROCEDURES

WRITERS = {
    "summary": lambda run, path: write_vllm(run, path),
    "detailed": lambda run, path: write_vllm(run, path, detailed=True),
    "vllm counters": lambda run, path: write_prometheus(run, path),
    "llama.cpp counters": lambda run, path: write_prometheus(run, path, "llamacpp:"),
    "lengths": lambda run, path: write_lengths(run, path),
}
LEVEL = ["--level", "0.999999", "--within", "0.5"]


def command(*words) -> int:
    return cli.main(["crosscheck", *map(str, words)])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of `naive`, one of it and one of a defect of it with their traces, in a folder."""
    folder = tmp_path_factory.mktemp("runs")
    broken = biased(PROCEDURES["naive"], 0.5, 0)
    found = {}
    for seed, (name, procedure) in enumerate({"right": "naive", "other": "naive", "broken": broken}.items()):
        lengths, writer = decoded(random_pair(), procedure, requests=30, steps=15, seed=seed)
        writer.save(folder / f"{name}.npz")
        found[name] = EngineRun.of_lengths(lengths, 3)
    return folder, found


@pytest.mark.parametrize("shape", WRITERS)
def test_the_product_s_runs_in_every_shape(runs, shape, capsys):
    """Exported, read back, held against rows recorded in another run: `naive` agrees, the defect does not."""
    folder, found = runs
    for name, status in (("right", 0), ("broken", 1)):
        path = folder / f"{name}.txt"
        WRITERS[shape](found[name], path)
        effect = ["--design-effect", 1.5] if "counters" in shape else []
        assert command("--from", path, "--prediction", folder / "other.npz", *LEVEL, *effect) == status
        printed = capsys.readouterr().out
        assert "Prediction: naive with Chain(3) on 450 recorded steps" in printed
        assert ("DISAGREES" if status else "AGREES: at any position an observed difference of") in printed
        assert "Lengths alone were compared" in printed


def test_a_trace_against_its_own_rows(runs, capsys):
    folder, _ = runs
    assert command("--from", folder / "right.npz", *LEVEL) == 0
    assert "450 steps, given their trees" in capsys.readouterr().out
    assert command("--from", folder / "broken.npz", *LEVEL) == 1
    assert command("--from", folder / "right.npz", "--verifier", "nss") == 1
    assert command("--from", folder / "right.npz", "--prediction", "0.9,0.8,0.7") == 1
    assert command("--from", folder / "right.npz", "--prediction", folder / "other.npz", *LEVEL) == 0


def test_rates_by_position_and_json(tmp_path, capsys):
    path = put(tmp_path / "metrics.txt", VLLM_TEXT)
    words = ["--from", path, "--prediction", "0.8,0.45,0.25", "--within", "0.2", "--json", "-"]
    assert command(*words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["outcome"] == "agrees"
    assert found["histogram"] == [202, 353, 203, 252]
    assert [row["observed"] for row in found["positions"]] == [808 / 1010, 455 / 1010, 252 / 1010]
    assert found["whole"]["holds"]
    assert any("Counters are sums" in limit for limit in found["limits"])
    assert command(*words, "--design-effect", "1") == 0
    assert command("--from", path, "--prediction", "0.5,0.45,0.25") == 1
    conditional = ["--prediction", f"0.8,{0.45 / 0.8},{0.25 / 0.45}", "--conditional", "--within", "0.2"]
    assert command("--from", path, *conditional) == 0


def test_too_few_steps_are_undecided(tmp_path, capsys):
    path = put(tmp_path / "one.json", response(OBJECT))
    assert command("--from", path, "--prediction", "0.1,0.07,0.07") == 2
    printed = capsys.readouterr().out
    assert "UNDECIDED: nothing fails, but position" in printed
    assert "43 single steps, counted as 4.3" in printed


def test_counters_with_short_drafts_say_what_they_hide(tmp_path, capsys):
    path = put(tmp_path / "llama.txt", LLAMA_TEXT)
    assert command("--from", path, "--prediction", "0.8,0.45,0.25", "--within", "0.2") == 0
    printed = capsys.readouterr().out
    assert "50 tokens were drafted less than in full drafts" in printed
    assert "Whole distribution: not tested" in printed


def test_the_printed_writer_is_the_one_that_is_tested(capsys):
    assert command("--print-writer") == 0
    names: dict = {}
    exec(capsys.readouterr().out, names)
    writer = names["TraceWriter"]()
    writer.step(0, [1], np.eye(2), np.eye(2)[1:], 1)
    assert set(writer.arrays()) > {"requests", "draws", "target_values"}


BAD = {
    "": "--from is missing",
    "--from METRICS": "--prediction is missing",
    "--from METRICS --prediction 0.5": "accepted up to 3 tokens, but the prediction has 1 positions",
    "--from METRICS --prediction 0.5,0.6,0.1": "position 2 is 0.6, above 0.5",
    "--from METRICS --prediction nonsense": "must be numbers",
    "--from METRICS --prediction TRACE --conditional": "--conditional is for given rates",
    "--from METRICS --prediction TRACE --verifier foo": "--verifier 'foo' is unknown; known are naive",
    "--from METRICS --prediction TRACE --policy Iid(2": "'Iid(2'",
    "--from METRICS --prediction TRACE --policy Chain(2)": "no step drafted as Chain(2)",
    "--from METRICS --prediction 0.8,0.4,0.2 --level 2": "level must lie in (0, 1), but is 2.0",
    "--from METRICS --prediction 0.8,0.4,0.2 --design-effect 0": "design_effect must be at least 1",
    "--from METRICS --prediction 0.8,0.4,0.2 --model x": "no counters of the model 'x'",
    "--from TRACE --model x": "--model is for Prometheus text",
    "--from NOTHING --prediction 0.5": "No such file",
    "--from METRICS --format nonsense": "invalid choice: 'nonsense'",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_line_and_status_2(runs, words, capsys, tmp_path):
    places = {"METRICS": put(tmp_path / "m.txt", VLLM_TEXT), "TRACE": str(runs[0] / "right.npz"), "NOTHING": "no/x.txt"}
    with pytest.raises(SystemExit) as stop:
        command(*(places.get(word, word) for word in words.split()))
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert BAD[words] in printed.err
