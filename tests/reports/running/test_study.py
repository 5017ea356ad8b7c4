"""What every study has in common: words, resuming, refusing, progress, stops, what is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from veridraft.gpu.files.cell_file import CellFile
from veridraft.reports.running import study as running
from veridraft.reports.running.options import numbers, policy_names
from veridraft.reports.running.study import Study


class SquaresFile(CellFile):
    """The finished squares."""

    kind, name, what, fields = "veridraft squares", "squares.jsonl", "study", ("number",)


class SquaresPlan:
    """The squares of some numbers; measured ones are kept in ``asked``."""

    asked: list[int] = []  # noqa: RUF012
    stop_at: int | None = None

    def __init__(self, numbers: tuple[int, ...]) -> None:
        if min(numbers) < 0:
            raise ValueError(f"numbers must not be negative, but are {numbers}")
        self.numbers = numbers

    def settings(self) -> dict:
        return {"cells": [[number] for number in self.numbers]}

    def measure(self, number: int) -> dict:
        if number == SquaresPlan.stop_at:
            raise KeyboardInterrupt
        if number == 13:
            raise FloatingPointError("a square is not finite")
        SquaresPlan.asked.append(number)
        return {"square": number**2}


STUDY = Study.of_cells(
    "squares",
    "squares of numbers",
    {
        "--numbers": {"type": numbers, "default": (1, 2, 3), "help": "which"},
        "--policies": {"type": policy_names, "help": "nothing"},
        "--fast": {"action": "store_true", "help": "nothing"},
    },
    SquaresFile,
    lambda options: SquaresPlan(options.numbers),
    text=lambda file: "\n".join(f"{cell['number']}: {cell['square']}" for cell in file.cells),
    pages={"csv": lambda file: ",".join(str(cell["square"]) for cell in file.cells)},
    agrees=lambda file: all(cell["square"] < 100 for cell in file.cells),
)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(SquaresPlan, "asked", [])
    monkeypatch.setattr(SquaresPlan, "stop_at", None)
    monkeypatch.setattr(running, "source_digest", lambda *modules: "this module is not below veridraft")


def run(*words) -> int:
    return running.run(STUDY, [str(word) for word in words])


def test_a_study_runs_in_a_folder_of_its_name_and_shows_what_it_found(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run() == 0
    printed = capsys.readouterr()
    assert printed.out == "1: 1\n2: 4\n3: 9\n\nsquares/squares.txt\nsquares/squares.csv\n"
    assert "squares 3/3" in printed.err
    assert Path("squares/squares.txt").read_text() == "1: 1\n2: 4\n3: 9\n"
    assert Path("squares/squares.csv").read_text() == "1,4,9"
    Path("squares/squares.txt").unlink()
    assert running.show(STUDY, []) == 0
    assert capsys.readouterr().out == printed.out
    assert Path("squares/squares.txt").exists()
    assert SquaresPlan.asked == [1, 2, 3]


def test_a_stopped_study_goes_on_even_from_a_line_cut_short(tmp_path, capsys):
    path = tmp_path / "squares.jsonl"
    SquaresPlan.stop_at = 3
    assert run("--out", tmp_path) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert not (tmp_path / "squares.txt").exists()
    path.write_bytes(path.read_bytes()[:-4])
    SquaresPlan.stop_at = None
    assert running.show(STUDY, ["--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("1: 1\n\n")
    assert run("--out", tmp_path) == 0
    assert SquaresPlan.asked == [1, 2, 2, 3]
    assert [json.loads(line)["square"] for line in path.read_text().splitlines()[1:]] == [1, 4, 9]
    assert run("--out", tmp_path) == 0
    assert SquaresPlan.asked == [1, 2, 2, 3]


def test_other_settings_code_and_versions_are_refused_and_nothing_is_lost(tmp_path, capsys, monkeypatch):
    assert run("--out", tmp_path) == 0
    held = (tmp_path / "squares.jsonl").read_text()
    capsys.readouterr()
    changes = (("source_digest", lambda *modules: "other", "code"), ("versions", lambda: {"numpy": "0"}, "numpy"))
    for name, other, said in (*changes, ("", None, "cells")):
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
            if name:
                patch.setattr(running, name, other)
            run("--out", tmp_path, *([] if name else ["--numbers", "1,2"]))
        assert stop.value.code == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"{said} is" in error and "give another folder" in error
    assert (tmp_path / "squares.jsonl").read_text() == held


def test_statuses(tmp_path, capsys):
    assert run("--numbers", "9,10", "--out", tmp_path / "large") == 1
    with pytest.raises(SystemExit) as stop:
        run("--numbers", "1,13,2", "--out", tmp_path / "broken")
    assert stop.value.code == 1
    assert "veridraft study run squares: error: a square is not finite" in capsys.readouterr().err
    assert len(SquaresFile.load(tmp_path / "broken").cells) == 1


BAD = {
    "--numbers -1": "numbers must not be negative, but are (-1,)",
    "--numbers one": "invalid numbers value: 'one'",
    "--what": "unrecognized arguments: --what",
    "--out FILE": "cannot be made a folder",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_line_and_status_2(words, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as stop:
        run(*words.replace("FILE", str(tmp_path / "file")).split())
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert BAD[words] in printed.err


def test_showing_a_folder_without_the_study_is_bad_input(tmp_path, capsys):
    (tmp_path / "squares.jsonl").write_text('{"kind": "veridraft circles"}\n')
    for folder, said in (("none", "there is no study at"), ("", "lacks 'command'")):
        with pytest.raises(SystemExit) as stop:
            running.show(STUDY, ["--out", str(tmp_path / folder)])
        assert stop.value.code == 2
        assert said in capsys.readouterr().err


def test_a_study_without_a_finished_cell_shows_nothing(tmp_path, capsys):
    SquaresPlan.stop_at = 1
    assert run("--out", tmp_path) == 130
    capsys.readouterr()
    assert running.show(STUDY, ["--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "veridraft study run squares: no cell is finished\n"


def test_without_the_packages_of_pages_the_text_stands(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("veridraft.reports.writing.html.find_spec", lambda name: None)
    assert run("--out", tmp_path) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == str(tmp_path / "squares.txt")
    assert "squares.csv is left out: the page needs matplotlib and jinja2" in printed.err


def test_the_command_that_is_kept_is_the_one_that_was_given():
    words = ["--numbers", "4,5", "--policies", "Chain(3); Iid(4, 3)", "--fast", "--out", "x y"]
    options = running.run_parser(STUDY).parse_args(words)
    assert running.given_command(STUDY, options) == (
        "veridraft study run squares --numbers 4,5 --policies 'Chain(3); Iid(4, 3)' --fast --out 'x y'"
    )
    assert running.given_command(STUDY, running.run_parser(STUDY).parse_args([])) == "veridraft study run squares"


def test_a_command_of_its_own_shows_with_a_flag(tmp_path, capsys):
    study = replace(STUDY, command="square")
    assert running.run(study, ["--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert running.run(study, ["--show", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == shown
    assert SquaresFile.load(tmp_path).command == f"veridraft square --out {tmp_path}"
