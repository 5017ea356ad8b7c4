from __future__ import annotations

import json

import pytest

from veridraft.reports.running.store import Store, make_key


def test_a_finished_piece_is_computed_once_and_read_back(tmp_path):
    path, calls = tmp_path / "pieces.jsonl", []

    def compute():
        calls.append(1)
        return {"value": [1, 2.5]}

    first = Store(path, "code")
    assert first.piece("key", compute) == first.piece("key", compute) == {"value": [1, 2.5]}
    assert Store(path, "code").piece("key", compute) == {"value": [1, 2.5]}
    assert len(calls) == 1


def test_pieces_of_other_code_are_not_read(tmp_path):
    path = tmp_path / "pieces.jsonl"
    Store(path, "old").put("key", 1)
    assert Store(path, "new").get("key") is None
    assert Store(path, "old").get("key") == 1


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_last_line_cut_off_by_a_kill_is_dropped_and_the_next_piece_is_whole(tmp_path, cut):
    path = tmp_path / "pieces.jsonl"
    store = Store(path, "code")
    store.put("first", 1)
    store.put("second", 2)
    path.write_bytes(path.read_bytes()[:-cut])
    again = Store(path, "code")
    assert (again.get("first"), again.get("second")) == (1, None)
    again.put("third", 3)
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["first", "third"]


def test_a_number_that_json_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ValueError):
        Store(tmp_path / "pieces.jsonl", "code").put("key", float("nan"))


def test_keys_tell_parameters_apart():
    assert make_key("a", x=1, y=2) == make_key("a", y=2, x=1) != make_key("a", x=1, y=3)
