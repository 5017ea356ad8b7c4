"""The study of the auditor: its pieces on small budgets, its page, its command."""

import numpy as np
import pytest
from scipy.stats import binom

from veridraft.reports import cli
from veridraft.reports.studies.auditing import defect_audits, false_alarms, sensitivity
from veridraft.reports.studies.auditing.study import AuditingFile
from veridraft.simulate.auditing import course
from veridraft.simulate.auditing.verdict import Verdict
from veridraft.simulate.defects.table import DEFECTS
from veridraft.simulate.defects.traps import TRAPS
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
    monkeypatch.setattr(course, "explained", lambda reached, *_: reached)
    monkeypatch.setattr(defect_audits, "first_departure", lambda *_: (None, False))
    monkeypatch.setattr(defect_audits, "TRIALS", 8_000_000)
    found = defect_audits._broken(DEFECTS[name], seed=0)
    assert found["verdict"] == Verdict.LOSSY.value
    assert found["trials"] <= 8_000_000


@pytest.mark.parametrize("name", list(DEFECTS))
def test_every_correct_procedure_beside_a_defect_passes(name, monkeypatch):
    monkeypatch.setattr(defect_audits, "RIGHT_TRIALS", 3_000)
    assert defect_audits._correct(DEFECTS[name])["verdict"] == Verdict.NO_DEFECT_FOUND.value


@pytest.mark.parametrize("name", list(TRAPS))
def test_every_trap_passes(name, monkeypatch):
    monkeypatch.setattr(defect_audits, "RIGHT_TRIALS", 3_000)
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


def test_a_planted_deviation_is_found_within_a_few_times_the_floor(few_tokens, monkeypatch):
    monkeypatch.setattr(sensitivity, "VARIATIONS", (0.05,))
    piece = sensitivity.measure("one token 0.05", 0)
    floor = 13.8155 / sensitivity.divergence(sensitivity.PLANTS["one token"], 0.05)
    assert piece["found"] and floor / 3 < piece["trials"] < 20 * floor


@pytest.fixture
def small(monkeypatch, tmp_path, few_tokens):
    """A study of two defects, one trap, one planted deviation and two audits, as its arguments."""
    monkeypatch.setattr(defect_audits, "DEFECTS", {name: DEFECTS[name] for name in list(DEFECTS)[2:4]})
    monkeypatch.setattr(defect_audits, "TRAPS", {name: TRAPS[name] for name in list(TRAPS)[:1]})
    monkeypatch.setattr(defect_audits, "RIGHT_TRIALS", 5_000)
    monkeypatch.setattr(sensitivity, "PLANTS", {"one token": sensitivity.PLANTS["one token"]})
    monkeypatch.setattr(sensitivity, "VARIATIONS", (0.1,))
    monkeypatch.setattr(false_alarms, "PIECE", 2)
    out = tmp_path / "out"
    return ["study", "run", "auditing", "--audits", "2", "--seeds", "1", "--out", str(out)], out


def test_the_command_writes_cells_text_and_page_and_prints_the_path(small, capsys):
    arguments, out = small
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out / "auditing.html")
    assert len(AuditingFile.load(out).cells) == 2 * 2 + 1 + 2 + 1
    text = (out / "auditing.txt").read_text()
    assert "2 of 2 defects are found" in text and "median / floor" in text and "2 audits of the nine correct" in text
    assert "<table" in (out / "auditing.html").read_text()


def test_a_second_run_computes_nothing_again(small, monkeypatch):
    arguments, out = small
    assert cli.main(arguments) == 0
    before = (out / "auditing.txt").read_text()
    for module in (defect_audits, sensitivity, false_alarms):
        monkeypatch.setattr(module, "audit", None)
    assert cli.main(arguments) == 0
    assert (out / "auditing.txt").read_text() == before


def test_a_stopped_run_keeps_what_is_finished_and_shows_it(small, monkeypatch, capsys):
    arguments, out = small

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sensitivity, "audit", stop)
    assert cli.main(arguments) == 130
    assert not (out / "auditing.txt").exists()
    assert len(AuditingFile.load(out).cells) == 2 * 2 + 1
    capsys.readouterr()
    assert cli.main(["study", "show", "auditing", "--out", str(out)]) == 0
    assert "2 of 2 defects are found" in capsys.readouterr().out


@pytest.mark.parametrize("words", ["run auditing --audits 0", "run auditing --seeds 0", "show auditing --out nowhere"])
def test_bad_input_is_one_line_and_status_2(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["study", *words.split()])
    assert stopped.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
