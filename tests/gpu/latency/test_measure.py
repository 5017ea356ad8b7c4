"""The microbenchmark on a tiny pair: the file it leaves, how it goes on, the model it is; under a clock that counts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import counted_clock, tiny_pair

from veridraft.gpu.latency.file import LatencyFile, median_interval, pass_cell, step_cell
from veridraft.gpu.latency.measure import LatencyPlan, measure_latency
from veridraft.gpu.models.random_models import load_timing_pair, random_model
from veridraft.reports.cli import main
from veridraft.theory import Chain, Iid, Schedule
from veridraft.theory.speed import Network

PLAN = LatencyPlan((8, 16), (1, 4), (1, 2), ("block", "traversal"), (Chain(2), Iid(2, 2)), rounds=3)


@pytest.fixture(scope="module")
def pair():
    return tiny_pair()


@pytest.fixture
def counted(monkeypatch):
    """Clocks that count: a pass of either network takes 2, feeding and making rows."""
    counted_clock(monkeypatch)


def measured(pair, out=None, plan=PLAN):
    for _, _, file in measure_latency(pair, plan, out, "made by hand"):  # noqa: B007
        pass
    return file


# The file


def test_every_cell_has_one_sample_a_round(pair, counted, tmp_path):
    file = measured(pair, tmp_path)
    passes = [pass_cell("target", c, n) for c in (8, 16) for n in (1, 4)]
    passes += [pass_cell("draft", c, n) for c in (8, 16) for n in (1, 2)]
    steps = [step_cell("block", "Chain(2)"), step_cell("traversal", "Chain(2)"), step_cell("traversal", "Iid(2, 2)")]
    assert set(file.blocks) == {*passes, *steps}
    assert set(file.finished) == {(block, turn) for block in (*passes, *steps) for turn in range(3)}
    assert all(file.samples(block, "wall") == [2.0] * 3 for block in passes)
    assert all(file.samples(block, "cpu") == [1.0] * 3 for block in passes)
    assert LatencyFile.load(tmp_path) == file
    assert file.machine["name"]


def test_a_file_is_a_latency_model(pair, counted, tmp_path):
    model = measured(pair, tmp_path).model()
    step = model.step(Schedule((1, 2), 4), 12, "block")
    assert step.draft == 2 * 2
    assert step.target == 2
    assert step.verification == pytest.approx(4 / 3)  # one size was measured, 3 nodes in a second: proportional
    assert model.note == "measured"
    assert not model.knows("specinfer")
    halves = LatencyFile.load(tmp_path).model("mean", "cpu")
    assert halves.step(Schedule((1, 2), 4), 12, "block").target == 1
    with pytest.raises(ValueError, match="new tokens 5 lies outside the measured 1 to 4"):
        model.step(Schedule((1, 2), 5), 12, "block")


def test_a_stopped_run_goes_on_without_losing_or_repeating(pair, counted, tmp_path):
    whole = len(list(measure_latency(pair, PLAN)))
    run = measure_latency(pair, PLAN, tmp_path)
    for _ in range(whole // 2):
        next(run)
    kept = LatencyFile.load(tmp_path).finished
    assert len(kept) == whole // 2 - 1
    file = measured(pair, tmp_path)
    assert not file.missing and len(file.finished) == whole - 1
    assert {key: file.finished[key] for key in kept} == kept
    before = (tmp_path / LatencyFile.name).read_bytes()
    assert measured(pair, tmp_path).finished == file.finished
    assert (tmp_path / LatencyFile.name).read_bytes() == before


def test_a_longer_run_continues_a_shorter_one_and_no_run_shrinks(pair, counted, tmp_path):
    short = measured(pair, tmp_path, replace(PLAN, rounds=2))
    long = measured(pair, tmp_path)
    assert {key: long.finished[key] for key in short.finished} == short.finished
    assert LatencyFile.load(tmp_path) == long and not long.missing
    assert [path.name for path in tmp_path.iterdir()] == [LatencyFile.name]
    with pytest.raises(ValueError, match="whose rounds is 3, not 2"):
        measured(pair, tmp_path, replace(PLAN, rounds=2))


def test_a_file_of_other_settings_or_another_machine_is_refused(pair, counted, tmp_path):
    measured(pair, tmp_path)
    other = LatencyPlan((8, 16), (1, 5), (1, 2), ("block",), (Chain(2),))
    with pytest.raises(ValueError, match=r"holds a latency whose sizes is \[1, 4\], not \[1, 5\]"):
        measured(pair, tmp_path, other)
    path = tmp_path / LatencyFile.name
    head, *lines = path.read_text().splitlines()
    held = json.loads(head)
    held["machine"]["name"] = "another"
    path.write_text("\n".join([json.dumps(held), *lines]) + "\n")
    with pytest.raises(ValueError, match="whose machine's name is 'another'"):
        measured(pair, tmp_path)


def test_bad_files_and_plans_are_refused(pair, tmp_path):
    (tmp_path / "a").write_text("{\n")
    (tmp_path / "b").write_text('{"kind": "veridraft latency", "command": "", "settings": {}}\n')
    (tmp_path / "c").write_text('{"command": "", "settings": {}, "machine": {}}\n')
    for name, message in (("a", "is no JSON"), ("b", "lacks 'machine'"), ("c", "kind is not 'veridraft latency'")):
        with pytest.raises(ValueError, match=message):
            LatencyFile.load(tmp_path / name)
    with pytest.raises(ValueError, match="sizes must rise from 1"):
        LatencyPlan((8,), (4, 1), (1,), (), ())
    with pytest.raises(ValueError, match="verifier 'block' takes none of the policies"):
        LatencyPlan((8,), (1,), (1,), ("block",), (Iid(2, 2),))
    with pytest.raises(ValueError, match="need 1025 positions, but the networks have 1024"):
        next(measure_latency(pair, LatencyPlan((1024,), (1,), (1,), (), ())))


def test_an_unfinished_file_names_the_cell(pair, counted, tmp_path):
    file = measured(pair)
    for turn in range(3):
        del file.finished[pass_cell("draft", 8, 2), turn]
    with pytest.raises(ValueError, match=r"no sample of 'draft\|8\|2'"):
        file.model()


def test_the_interval_of_a_median():
    """Of six samples the extremes, at level 1 - 2 / 64; five reach 1 - 2 / 32 only; of nine the 2nd and 8th, 0.961."""
    assert median_interval([3, 1, 2, 6, 5, 4]) == (1, 6)
    assert median_interval([1, 2, 3, 4, 5]) is None
    assert median_interval(list(range(1, 10))) == (2, 8)
    assert median_interval([]) is None


# Random weights, and the command


def test_random_networks_have_the_shape_and_the_parameters():
    toy = Network("toy", 2, 8, 4, 2, 6, 20, 32)
    model = random_model(toy)
    assert sum(parameter.numel() for parameter in model.parameters()) == toy.parameters
    assert torch.isfinite(model(input_ids=torch.tensor([[1, 2]])).logits).all()


@pytest.mark.parametrize(
    ("target", "draft", "message"),
    [
        ("random:8B", None, "give random:SHAPE for both"),
        ("somewhere", "random:1B", "give random:SHAPE for both"),
        ("random:8B", "random:135M", "128256 and 49152"),
        ("random:9B", "random:1B", "shape '9B' is unknown"),
    ],
)
def test_bad_random_pairs_are_refused_before_any_weight_is_drawn(target, draft, message):
    with pytest.raises(ValueError, match=message):
        load_timing_pair(target, draft)


def test_the_command_measures_shows_and_goes_on(pair, counted, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("veridraft.gpu.models.random_models.load_timing_pair", lambda *_: pair)
    out = tmp_path / "out"
    words = ["latency", "--contexts", "8", "--sizes", "1,7", "--draft-sizes", "1,2", "--policies", "Chain(2); Iid(2,2)"]
    assert main([*words, "--rounds", "6", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "target pass, ms (wall clock): median [95 % interval], by cached tokens and new tokens" in printed
    assert "2e+03 [2e+03, 2e+03]" in printed
    assert printed.rstrip().endswith(str(out / "latency.txt"))
    assert "1e+03 [1e+03, 1e+03]" in printed[printed.index("CPU time") :]
    assert main(["latency", "--show", "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() in printed
    with pytest.raises(SystemExit):
        main([*words, "--sizes", "0,1", "--out", str(out)])
    assert "sizes must rise from 1" in capsys.readouterr().err


def test_policies_may_be_given_as_texts():
    texts = replace(PLAN, policies=("Chain(2)", "Iid(2, 2)"))
    assert texts == PLAN
    with pytest.raises(ValueError, match=r"did you mean Iid\(K, L\)"):
        replace(PLAN, policies=("Idd(2, 2)",))
    with pytest.raises(ValueError, match="seed must be at least 0, but is -1"):
        replace(PLAN, seed=-1)
