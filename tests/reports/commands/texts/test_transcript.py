"""``veridraft audit-transcript``: logs with rows, with a control, with a model's rows; bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_server import HashedRows

from veridraft.reports.cli import main
from veridraft.simulate.defects import DEFECTS
from veridraft.simulate.defects.correct.token_wise import TokenWise
from veridraft.simulate.transcripts import TranscriptWriter
from veridraft.simulate.transcripts.simulated import chain_transcript, plain_transcript


@pytest.fixture
def log(tmp_path):
    """Writes a log of a decoder with a verifier, of a plain one without; its path."""

    def write(name, verifier, count, seed):
        rng, rows = np.random.default_rng(seed), HashedRows(12)
        writer = TranscriptWriter(tmp_path / name)
        for number in range(count):
            prompt = (number % 12,)
            if verifier is None:
                writer.write(plain_transcript(rows, prompt, 32, rng))
            else:
                writer.write(chain_transcript(verifier, rows, prompt, 32, 3, rng))
        return tmp_path / name

    return write


def test_a_log_that_is_right_passes(log, capsys):
    assert main(["audit-transcript", str(log("log", TokenWise(), 20, 0)), "--by-place"]) == 0
    assert capsys.readouterr().out.startswith("NO DEFECT FOUND: ")


def test_a_log_with_a_defect_is_lossy_beside_its_control(log, capsys, tmp_path):
    broken = log("broken", DEFECTS["uniform_always_zero"].broken, 100, 0)
    words = ["audit-transcript", str(broken), "--control", str(log("plain", None, 100, 1)), "--json", "-"]
    assert main(words) == 1
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert answer["verdict"] == "lossy" and answer["control"]["pairs"] == 100
    assert "LOSSY: " in said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/nowhere"], "'/nowhere' is no file"),
        (["{log}", "--control", "/nowhere"], "'/nowhere' is no file"),
        (["{log}", "--json", "/proc/x/y"], "cannot be written"),
        (["{log}", "--level", "2"], "level must lie in (0, 1)"),
        (["{log}", "--margin", "-1"], "margin must be at least 0"),
        (["{bad}"], "line 2: tokens is missing"),
        (["{bare}"], "rows are missing"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, said, log, tmp_path, capsys):
    good = log("log", TokenWise(), 1, 0)
    (tmp_path / "bad").write_text(good.read_text() + '{"prompt": [1]}\n')
    (tmp_path / "bare").write_text('{"prompt": [1], "tokens": [2]}\n')
    places = {name: str(tmp_path / name) for name in ("log", "bad", "bare")}
    with pytest.raises(SystemExit) as stop:
        main(["audit-transcript", *(word.format(**places) for word in words)])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error
