"""The study of audits of texts: its decoders, its pieces on small budgets, its page."""

import numpy as np
import pytest

from veridraft.reports import cli
from veridraft.reports.studies.texts import decoders, measuring
from veridraft.reports.studies.texts.study import TextsStudyFile
from veridraft.simulate.defects.table import DEFECTS
from veridraft.simulate.forms.form import Form

STRONG = "top-k 8 scored as all"


def test_every_defect_of_a_chain_or_a_loop_is_a_decoder():
    applicable = {name for name, defect in DEFECTS.items() if defect.form in (Form.CHAIN, Form.GENERATE)}
    assert applicable < set(decoders.BROKEN)
    assert set(decoders.BROKEN) - applicable == set(decoders.SETTINGS)


def test_the_mismatch_is_as_large_as_the_page_says():
    pair = decoders.pair()
    rows = np.array([pair.target_row((token,)) for token in range(decoders.VOCABULARY)])
    weights = np.full(len(rows), 1 / len(rows))
    for _ in range(100):
        weights = weights @ rows
    other = measuring.apply_temperature(rows, measuring.MISMATCH)
    assert weights @ (rows * np.log(rows / other)).sum(1) == pytest.approx(0.0046, abs=5e-5)
    assert weights @ np.abs(rows - other).sum(1) / 2 == pytest.approx(0.039, abs=5e-4)


def test_a_strong_departure_is_found_in_every_way_and_a_right_decoder_in_none():
    needed = measuring.power(STRONG, 0)["needed"]
    assert all(0 < tokens < measuring.MOST for tokens in needed.values())
    right = decoders.plain(decoders.pair())
    assert measuring.needed(right, "draft rows", 0) is None


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A study of one departure and of few audits, as its arguments."""
    broken = {STRONG: decoders.BROKEN[STRONG]}
    monkeypatch.setattr("veridraft.reports.studies.texts.study.BROKEN", broken)
    monkeypatch.setattr(measuring, "BROKEN", broken)
    for module in ("study", "measuring"):
        monkeypatch.setattr(f"veridraft.reports.studies.texts.{module}.PIECE", 2)
    out = tmp_path / "out"
    return ["study", "run", "texts", "--seeds", "1", "--audits", "2", "--out", str(out)], out


def test_the_study_writes_cells_a_text_and_a_page_and_shows_them_again(small, capsys):
    words, out = small
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    assert STRONG in printed
    cells = TextsStudyFile.load(out / TextsStudyFile.name).cells
    assert [(cell["part"], cell["name"]) for cell in cells] == [
        ("power", STRONG), *(("alarms", name) for name in decoders.RIGHT),
    ]  # fmt: skip
    assert {way for cell in cells[1:] for way in cell["alarms"]} == {"steps", "control", "draft rows"}
    assert (out / "texts.html").is_file()
    assert cli.main(["study", "show", "texts", "--out", str(out)]) == 0
    assert "False alarms" in capsys.readouterr().out
