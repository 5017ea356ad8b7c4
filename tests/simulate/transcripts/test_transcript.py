"""Transcripts: fields, steps and rows of a request, and the file of requests."""

from __future__ import annotations

import json

import numpy as np
import pytest

from veridraft.simulate.transcripts import KnownRow, Transcript, TranscriptWriter, read_transcripts

LINE = {
    "prompt": [1, 2], "tokens": [3, 4, 5, 6], "sampling": {"temperature": 0.5, "top_p": 0.9}, "seed": 7,
    "accepted": [1, 0, 2], "drafted": [2, 2, 2],
    "rows": [{"ids": [3, 4], "logp": [-1.0, -0.5]}] * 4,
    "draft_rows": [{"ids": [3], "logp": [-0.1]}, None, None, {"ids": [6], "logp": [0.0]}],
}  # fmt: skip


def test_a_request_survives_its_file(tmp_path):
    writer = TranscriptWriter(tmp_path / "log.jsonl")
    writer.write(Transcript.of_json(LINE))
    writer.write(Transcript.of_json({"prompt": [0], "tokens": []}))
    first, second = read_transcripts(tmp_path / "log.jsonl")
    again = first.to_json()
    assert {name: again[name] for name in LINE if "rows" not in name} == {
        name: LINE[name] for name in LINE if "rows" not in name
    }
    np.testing.assert_allclose(first.rows[0].masses, np.exp([-1.0, -0.5]))
    assert [row is None for row in first.draft_rows] == [False, True, True, False]
    assert second.tokens == () and second.rows is None


def test_places_and_bonus_tokens_follow_from_the_steps():
    told = Transcript.of_json(LINE)
    assert told.places.tolist() == [0, 1, 0, 0]  # the last step accepted 2, and was cut behind the first
    assert told.bonus.tolist() == [False, False, False, False]
    whole = Transcript((1,), (1, 2, 3, 4), {}, None, (2, 0), (2, 1))
    assert whole.places.tolist() == [0, 1, 2, 0]
    assert whole.bonus.tolist() == [False, False, True, False]
    undrafted = Transcript((1,), (5,), {}, None, (0,), (0,))
    assert undrafted.bonus.tolist() == [True]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokens": None}, "tokens must be a list"),
        ({"tokens": [1, 2.5, 3, 4]}, "tokens holds 2.5"),
        ({"prompt": "text"}, "prompt must be a list of integers"),
        ({"tokens": [1, -1, 2, 3]}, "tokens holds -1"),
        ({"accepted": [1, 0]}, "accepted tells of 3 tokens in 2 steps, but there are 4"),
        ({"accepted": [1, 0, 3]}, "step 2 accepts 3 of 2 drafts"),
        ({"drafted": [2, 2]}, "drafted has 2 steps, accepted 3"),
        ({"rows": LINE["rows"][:2]}, "rows has 2 entries for 4 tokens"),
        ({"rows": [{"ids": [1, 1], "logp": [-1, -1]}] * 4}, "rows, entry 0: the token 1 stands twice"),
        ({"rows": [{"ids": [1, 2], "logp": [-0.1, -0.2]}] * 4}, "sum to 1.72"),
        ({"rows": [{"ids": [1, 2], "logp": [-0.1]}] * 4}, "2 ids, but 1 logp"),
        ({"rows": [{"ids": [1], "logp": ["x"]}] * 4}, "logp holds 'x'"),
        ({"rows": [[1, 2]] * 4}, "a row is an object"),
        ({"sampling": {"top_q": 1}}, "the setting 'top_q'"),
        ({"sampling": {"temperature": -1}}, "sampling temperature is -1"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(change, said, tmp_path):
    file = tmp_path / "log.jsonl"
    file.write_text(json.dumps(LINE) + "\n\n" + json.dumps(LINE | change) + "\n")
    with pytest.raises(ValueError, match="line 3: ") as error:
        list(read_transcripts(file))
    assert said in str(error.value)


def test_a_line_that_is_cut_says_so(tmp_path):
    file = tmp_path / "log.jsonl"
    file.write_text(json.dumps(LINE) + "\n" + json.dumps(LINE)[:40])
    reader = read_transcripts(file)
    assert next(reader).seed == 7
    with pytest.raises(ValueError, match=r"line 2: no JSON .*its writer was stopped"):
        next(reader)


def test_a_row_counts_unknown_tokens_as_one():
    row = KnownRow(np.array([5, 2]), np.array([0.2, 0.5]))
    assert row.ids.tolist() == [2, 5]
    np.testing.assert_allclose(row.at(np.array([2, 3, 5])), [0.5, 0.0, 0.2, 0.3])
    np.testing.assert_allclose(row.rest, 0.3)
    assert KnownRow(np.array([1]), np.array([1.0005])).masses[0] == 1.0
