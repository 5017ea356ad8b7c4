"""The study as a person meets it: shown, stopped and continued, bad input."""

from __future__ import annotations

import json

import pytest
from gpu_tiny import tiny_pair
from suite_samples import MACHINE
from wins_samples import made, told

from veridraft.gpu.crosschecks import wins as same_roots
from veridraft.gpu.files.kinds import WinsFile
from veridraft.reports import cli
from veridraft.reports.running.study import given_command, run_parser
from veridraft.reports.studies.wins import study as wins_study


def command(*words):
    """The study run, or shown where the first word says so."""
    action, *rest = words if words and words[0] == "show" else ("run", *words)
    return cli.main(["study", action, "wins", *map(str, rest)])


def test_show_prints_a_half_finished_run_and_what_is_missing(tmp_path, capsys):
    made(tmp_path, done=9)
    with (tmp_path / WinsFile.name).open("a") as file:
        file.write('{"temperature": 1.0, "top_')
    assert command("show", "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "Texts: 9 of 16 finished (the first that is not: 1 at T 1, top-p 1)" in told(printed)
    assert "Not shown, with fewer than 3 units of roots: T 1, top-p 1" in told(printed)
    assert printed.splitlines()[-2:] == [str(tmp_path / "wins.txt"), str(tmp_path / "wins.html")]
    assert (tmp_path / "wins.txt").read_text().strip() in printed


def test_a_run_with_too_little_says_so(tmp_path, capsys):
    made(tmp_path, done=1)
    with pytest.raises(SystemExit) as stop:
        command("show", "--out", tmp_path)
    assert stop.value.code == 2
    assert "units enough" in capsys.readouterr().err


@pytest.fixture
def tiny(monkeypatch):
    """Random networks in place of the embedded ones."""
    monkeypatch.setattr("veridraft.gpu.models.random_models.load_timing_pair", lambda *names: tiny_pair())
    return ("--verifiers", "block,naive", "--policies", "Chain(1); Chain(2)", "--temperatures", "1", "--top-ps",
            "1", "--texts", "3", "--roots", "1", "--stride", "1")  # fmt: skip


def test_a_run_is_stopped_goes_on_and_is_printed(tiny, tmp_path, capsys, monkeypatch):
    record, calls = same_roots._TextWalk.record, []

    def once(walk):
        calls.append(walk.text)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return record(walk)

    monkeypatch.setattr(same_roots._TextWalk, "record", once)
    assert command(*tiny, "--out", tmp_path) == 130
    assert len(WinsFile.load(tmp_path).cells) == 1
    assert "the same command goes on" in capsys.readouterr().err
    assert command(*tiny, "--out", tmp_path) == 0
    assert calls == [0, 1, 1, 2]
    printed = capsys.readouterr()
    assert "Texts: 3 of 3 finished" in printed.out
    assert "wins 3/3" in printed.err
    assert "--policies 'Chain(1); Chain(2)' --temperatures 1" in WinsFile.load(tmp_path).command


BAD = {
    "--verifiers none": "none",
    "--policies Tree(3)": "Tree(3)",
    "--temperatures 1,1": "temperatures must be distinct",
    "--top-ps 0": "0",
    "--texts 0": "texts must be at least 1, but is 0",
    "--stride 0": "stride must be at least 1, but is 0",
    "--seed -1": "seed must be at least 0, but is -1",
    "--device nowhere": "device 'nowhere'",
    "show --out NOWHERE": "there is no run at",
    "show --out BROKEN": "line 1 is no JSON",
    "show --out POOR": "text 0 at T 0.6, top-p 1 lacks 'verification' for nss, Chain(0)",
    "show --out ZERO": "text 0 at T 0.6, top-p 1: tokens, roots or seconds of nss, Chain(0) are not positive",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_line_and_status_2(words, capsys, tmp_path):
    places = {name: tmp_path / name.lower() for name in ("NOWHERE", "BROKEN", "POOR", "ZERO")}
    for name in ("BROKEN", "POOR", "ZERO"):
        places[name].mkdir()
        spoil(places[name], name)
    with pytest.raises(SystemExit) as stop:
        command(*(places.get(word, word) for word in words.split()))
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert BAD[words] in printed.err


def spoil(folder, how):
    """A run's file that is broken, lacks a time, or has a unit without tokens."""
    file = made(folder, done=1)
    (unit, *_) = file.cells[0]["units"]
    cell = unit["cells"]["nss Chain(0)"]
    if how == "POOR":
        del cell["verification"]
    cell["tokens"] = 0
    head = {"kind": WinsFile.kind, "command": "", "settings": file.settings, "machine": MACHINE}
    lines = ["{]"] if how == "BROKEN" else [json.dumps(head), json.dumps(file.cells[0])]
    (folder / WinsFile.name).write_text("\n".join(lines) + "\n")


def test_defaults_are_those_of_the_plan():
    options = run_parser(wins_study.STUDY).parse_args([])
    plan = same_roots.RootPlan((), (), {}, ())
    assert wins_study.numbers_of(options) == {name: getattr(plan, name) for name in wins_study.numbers_of(options)}
    assert given_command(wins_study.STUDY, options) == "veridraft study run wins"
