"""Files that a run writes: checked before the work, never seen half written."""

from __future__ import annotations

import json

import pytest

from veridraft.gpu.files import check_folder
from veridraft.reports.running.files import check_file, say, write_json


def test_a_place_that_cannot_be_written_is_said_before_the_work(tmp_path):
    (tmp_path / "file").write_text("kept")
    for place, why in ((tmp_path, "a folder"), (tmp_path / "file" / "below", "Not a directory|File exists")):
        with pytest.raises(ValueError, match=rf"json '.*' cannot be written: ({why})"):
            check_file("json", place)
    for place in (None, "-", tmp_path / "file", tmp_path / "new" / "answer.json"):
        check_file("json", place)
    assert (tmp_path / "new").is_dir() and not list((tmp_path / "new").iterdir())
    assert (tmp_path / "file").read_text() == "kept"
    with pytest.raises(ValueError, match="cannot be made a folder"):
        check_folder(tmp_path / "file")


def test_an_answer_goes_where_it_is_asked_for(tmp_path, capsys):
    say("text", {"value": 1}, None)
    assert capsys.readouterr() == ("text\n", "")
    say("text", {"value": 1}, "-")
    printed = capsys.readouterr()
    assert (json.loads(printed.out), printed.err) == ({"value": 1}, "text\n")
    say("text", {"value": 1}, str(tmp_path / "answer.json"))
    assert capsys.readouterr() == ("text\n", "")
    assert json.loads((tmp_path / "answer.json").read_text()) == {"value": 1}


def test_a_number_that_json_cannot_hold_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "numbers.json"
    write_json(path, [1.0])
    with pytest.raises(ValueError):
        write_json(path, [float("nan")])
    assert json.loads(path.read_text()) == [1.0]
