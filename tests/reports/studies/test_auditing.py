"""The study of the auditor: its pieces on small budgets, its page, its command."""

import json

import numpy as np
import pytest
from scipy.stats import binom

from veridraft.reports.running.store import Store
from veridraft.reports.studies.auditing import defect_audits, false_alarms, sensitivity
from veridraft.reports.studies.auditing import study as auditing
from veridraft.reports.writing.markdown import note_text, render_note
from veridraft.simulate.auditing import auditor
from veridraft.simulate.auditing.verdict import Verdict
from veridraft.simulate.defects.table import DEFECTS, TRAPS
from veridraft.theory import MarkovPair


def test_false_alarms_of_correct_verifiers_stay_below_the_level():
    audits = 45
    verdicts = [one.value for one in map(false_alarms.one_audit, range(audits))]
    alarms = verdicts.count(Verdict.LOSSY.value)
    assert set(verdicts) <= {Verdict.LOSSY.value, Verdict.NO_DEFECT_FOUND.value}
    # were the rate as high as the level, so many alarms would have probability below 1e-6
    assert binom.sf(alarms - 1, audits, false_alarms.LEVEL) > 1e-6


@pytest.mark.parametrize("name", list(DEFECTS))
def test_every_defect_is_found(name, monkeypatch):
    monkeypatch.setattr(auditor, "likely_mechanism", lambda *_: "")
    monkeypatch.setattr(defect_audits, "TRIALS", 8_000_000)
    found = defect_audits._broken(DEFECTS[name], seed=0)
    assert found["verdict"] == Verdict.LOSSY.value
    assert found["trials"] <= 8_000_000


@pytest.mark.parametrize("name", list(DEFECTS))
def test_every_correct_procedure_beside_a_defect_passes(name, monkeypatch):
    monkeypatch.setattr(defect_audits, "RIGHT_TRIALS", 8_000)
    assert defect_audits._correct(DEFECTS[name])["verdict"] == Verdict.NO_DEFECT_FOUND.value


@pytest.mark.parametrize("name", list(TRAPS))
def test_every_trap_passes(name, monkeypatch):
    monkeypatch.setattr(defect_audits, "RIGHT_TRIALS", 8_000)
    assert defect_audits._trap(TRAPS[name])["verdict"] == Verdict.NO_DEFECT_FOUND.value


@pytest.fixture
def few_tokens(monkeypatch):
    """The study of sensitivity on five tokens in place of fifty."""
    rows = np.random.default_rng(1).dirichlet(np.ones(5), size=(2, 5))
    monkeypatch.setattr(sensitivity, "VOCABULARY", 5)
    monkeypatch.setattr(sensitivity, "pair", lambda: MarkovPair(*rows))


@pytest.mark.parametrize("name", list(sensitivity.PLANTS))
def test_divergence_of_a_planted_deviation_is_that_of_the_whole_law(name, few_tokens):
    plant = sensitivity.PLANTS[name]
    assert sensitivity.divergence(plant, 0.02) == pytest.approx(sensitivity.check_divergence(plant, 0.02), rel=1e-9)


def test_a_planted_deviation_is_found_within_a_few_times_the_floor(few_tokens):
    piece = sensitivity._piece("one token", 0.05, seed=0)
    floor = 13.8155 / sensitivity.divergence(sensitivity.PLANTS["one token"], 0.05)
    assert piece["found"] and floor / 3 < piece["trials"] < 20 * floor


@pytest.fixture
def small(monkeypatch, tmp_path, few_tokens):
    """A study of two defects, one trap, one planted deviation and two audits, as its arguments."""
    monkeypatch.setattr(defect_audits, "DEFECTS", {name: DEFECTS[name] for name in list(DEFECTS)[:2]})
    monkeypatch.setattr(defect_audits, "TRAPS", {name: TRAPS[name] for name in list(TRAPS)[:1]})
    monkeypatch.setattr(defect_audits, "RIGHT_TRIALS", 5_000)
    monkeypatch.setattr(sensitivity, "PLANTS", {"one token": sensitivity.PLANTS["one token"]})
    monkeypatch.setattr(sensitivity, "VARIATIONS", (0.1,))
    monkeypatch.setattr(false_alarms, "PIECE", 2)
    out = tmp_path / "out"
    return ["--audits", "2", "--seeds", "1", "--out", str(out), "--pieces", str(tmp_path / "pieces.jsonl")], out


def test_the_command_writes_numbers_text_and_page_and_prints_the_path(small, capsys):
    arguments, out = small
    assert auditing.main(arguments) == 0
    assert capsys.readouterr().out.strip() == str(out / "auditing.html")
    found = json.loads((out / "auditing.json").read_text())
    assert len(found["defects"]["defects"]) == 2 and found["false_alarms"]["audits"] == 2
    text = note_text(auditing.note(found))
    assert "2 of 2 defects are found" in text and "median / floor" in text
    assert "<table" in render_note(auditing.note(found))


def test_a_second_run_computes_nothing_again(small, monkeypatch):
    arguments, out = small
    assert auditing.main(arguments) == 0
    before = (out / "auditing.json").read_text()
    for module, name in ((defect_audits, "audit"), (sensitivity, "audit"), (false_alarms, "audit")):
        monkeypatch.setattr(module, name, None)
    assert auditing.main(arguments) == 0
    assert (out / "auditing.json").read_text() == before


def test_a_stopped_run_keeps_what_is_finished(small, monkeypatch, tmp_path):
    arguments, out = small

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sensitivity, "_piece", stop)
    assert auditing.main(arguments) == 130
    assert not (out / "auditing.json").exists()
    kept = (tmp_path / "pieces.jsonl").read_text().splitlines()
    assert len(kept) == 2 * 2 + 1
    assert isinstance(Store(tmp_path / "pieces.jsonl", json.loads(kept[0])["digest"]), Store)


@pytest.mark.parametrize("arguments", [["--audits", "0"], ["--seeds", "0"], ["--render", "--out", "nowhere"]])
def test_bad_input_is_one_line_and_status_2(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        auditing.main(arguments)
    assert stopped.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
