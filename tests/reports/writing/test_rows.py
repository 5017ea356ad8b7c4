"""Rows of studies for programs: the same in every format, also where columns differ or hold several types."""

from __future__ import annotations

import csv
import json
import sys

import pytest

from veridraft.reports import cli
from veridraft.reports.studies.actions.study import STUDY, ActionFile
from veridraft.reports.writing.rows import flat, write_rows

ROWS = [
    flat({"name": "a,b", "one": {"x": 1.5, "y": {"z": [1, 2]}}, "mixed": 1}),
    flat({"name": "c", "one": {"x": None}, "mixed": "two", "late": True}),
]


def test_inner_mappings_become_columns():
    assert list(ROWS[0]) == ["name", "one.x", "one.y.z", "mixed"]


def test_csv_and_json_hold_every_column(tmp_path):
    assert json.loads(write_rows(ROWS, tmp_path / "rows.json").read_text()) == ROWS
    with write_rows(ROWS, tmp_path / "rows.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert read[0] == {"name": "a,b", "one.x": "1.5", "one.y.z": "[1, 2]", "mixed": "1", "late": ""}
    assert read[1] == {"name": "c", "one.x": "", "one.y.z": "", "mixed": "two", "late": "True"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "rows.json"]


def test_parquet_keeps_types_and_lists(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    read = parquet.read_table(write_rows(ROWS, tmp_path / "rows.parquet")).to_pylist()
    assert read[0] == {"name": "a,b", "one.x": 1.5, "one.y.z": [1, 2], "mixed": "1", "late": None}
    assert read[1] == {"name": "c", "one.x": None, "one.y.z": None, "mixed": '"two"', "late": True}


def actions(folder) -> ActionFile:
    """A study of actions of one small cell."""
    place = {"family": "steady", "temperature": 1.0, "top_p": 1.0, "seed": 0}
    names = ("nss", "naive_tree", "specinfer", "spectr", "traversal", "lifted_k_seq", "khisti")
    errors = {name: [[[0.5] * 9] * 9] * 4 for name in names[4:]}
    profiles = {name: {"acceptance": [0.5] * 8, "total_variation": [0.5] * 8} for name in names[:4]}
    values = {name: [[[1.25] * 9] * 9] * 4 for name in names}
    file = ActionFile.open(folder, "command", {"cells": [list(place.values())]}, {})
    file.add(place | {"values": values, "errors": errors, "profiles": profiles})
    return file


def test_show_writes_the_rows_that_a_study_says(tmp_path, capsys, monkeypatch):
    """Of the study of actions: one for each verifier and action."""
    pytest.importorskip("pyarrow.parquet")
    import pandas

    file = actions(tmp_path)
    assert cli.main(["study", "show", "actions", "--out", str(tmp_path), "--format", "parquet"]) == 0
    path = tmp_path / "actions.parquet"
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    frame = pandas.read_parquet(path)
    assert len(frame) == 7 * 324 == len(STUDY.rows(file))
    assert set(frame.loc[frame.verifier == "khisti", "standard_error"]) == {0.5}
    assert set(frame.loc[frame.verifier == "nss", "standard_error"]) == {0.0}
    assert (frame.groupby("verifier")[["K", "L1", "L2"]].max() == [4, 8, 8]).all(axis=None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SystemExit) as stop:
        cli.main(["study", "show", "actions", "--out", str(tmp_path), "--format", "parquet"])
    assert stop.value.code == 2
    assert "pip install 'veridraft[frames]'" in capsys.readouterr().err
