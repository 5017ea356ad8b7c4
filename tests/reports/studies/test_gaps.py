"""The gap table: shares, intervals, cells, and the command."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from veridraft.reports import cli
from veridraft.reports.studies.gaps import cases as gaps
from veridraft.reports.studies.gaps import tables as gap_tables
from veridraft.reports.studies.gaps.cases import FAMILIES, OPTIMUM, Gap, GapFamily, GapPlan, gaps_of
from veridraft.reports.studies.gaps.study import GapsFile
from veridraft.reports.studies.gaps.tables import Missed, gap_note, gap_rows, gap_table, percent
from veridraft.reports.writing.markdown import note_text
from veridraft.theory import Chain, Iid


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two policies of few trees."""
    cases = ((Chain(2), 2), (Iid(2, 2), 2))
    for module in (gaps, gap_tables):
        monkeypatch.setattr(module, "CASES", cases)
    monkeypatch.setattr(gap_tables, "DRAWN_CASES", ("Chain(2)", "Iid(2, 2)"))


def test_share_of_the_acceptance_length_that_is_missed() -> None:
    gap = Gap("Iid(2, 1)", FAMILIES[0], "nss", (3.0, 1.0, 1.5), (2.0, 1.0, 1.5))
    assert gap.shares == (0.5, 0.0, 0.0)


def test_interval_is_student_s_of_the_families_with_equal_weight() -> None:
    """One family gives the textbook interval; a family without spread adds nothing but its weight."""
    shares = (0.1, 0.4, 0.2)
    low, high = stats.t.interval(0.95, 2, np.mean(shares), stats.sem(shares))
    one = Missed((shares,))
    assert (one.mean - one.half_width(), one.mean + one.half_width()) == pytest.approx((low, high), abs=1e-12)
    two = Missed((shares, (0.0, 0.0, 0.0)))
    assert two.half_width() == pytest.approx(one.half_width() / 2 * stats.t.ppf(0.975, 4) / stats.t.ppf(0.975, 2))
    assert two.attained == 0.5


def test_families_reach_from_far_to_near() -> None:
    """At closeness 0.9 the rows of a pair are nearer than at 0, for every concentration."""
    for concentration in gaps.CONCENTRATION:
        far, near = (GapFamily("dirichlet", concentration, closeness).pair(4, 0) for closeness in (0.0, 0.9))
        distances = [abs(pair.target_row(()) - pair.draft_row(())).sum() for pair in (far, near)]
        assert distances[1] == pytest.approx(distances[0] / 10)


def measured(plan: GapPlan) -> list[dict]:
    """Every cell of a plan."""
    return [dict(zip(GapsFile.fields, key, strict=True)) | plan.measure(*key) for key in plan.cells()]


def test_table_and_page(small: None) -> None:
    """Block verification misses nothing on a chain, which NSS does; nothing is missed that is below 0."""
    found = gaps_of(measured(GapPlan(2, ("nss", "block", "lifted_optimal"))))
    assert min(share for gap in found for share in gap.shares) > -1e-9
    assert [verifier for verifier, _ in gap_rows(found, "Chain(2)")][-1] == "nss"
    block = next(cells for cells in gap_table(found, "Chain(2)") if cells[0] == "block")
    assert block[1:4] == ("0.00", "0.00", "100")
    assert set(block[4:]) == {"0.00"}
    note = gap_note(found, "command")
    assert note_text(note).count("lifted_optimal") == 2
    assert "<svg" in note.sections[1].svg


def test_a_verifier_whose_optimum_is_not_finished_is_left_out(small: None) -> None:
    cells = measured(GapPlan(2, ("nss",)))
    unfinished = [cell for cell in cells if (cell["policy"], cell["verifier"]) != ("Chain(2)", OPTIMUM)]
    assert {gap.policy for gap in gaps_of(unfinished)} == {"Iid(2, 2)"}
    assert all(len(gap.values) == len(gap.optima) == 2 for gap in gaps_of(cells))
    assert len(gaps_of(cells)) == 2 * len(FAMILIES)


def test_the_command_writes_cells_text_and_page(small: None, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["study", "run", "gaps", "--pairs", "2", "--verifiers", "nss,block", "--out", str(tmp_path)]
    assert cli.main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "gaps.html")
    assert len(GapsFile.load(tmp_path).cells) == 5 * len(FAMILIES)
    assert "Made by: veridraft study run gaps --pairs 2 --verifiers nss,block" in (tmp_path / "gaps.txt").read_text()
    assert "<svg" in (tmp_path / "gaps.html").read_text()


def test_percent_is_never_a_negative_zero() -> None:
    assert (percent(-1e-12), percent(0.12345), percent(0)) == ("0.00", "12.35", "0.00")


@pytest.mark.parametrize(
    ("pairs", "verifiers", "said"), [(1, ("nss",), "pairs must be at least 2"), (2, ("foo",), "unknown verifier 'foo'")]
)
def test_bad_plans_are_refused(pairs: int, verifiers: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        GapPlan(pairs, verifiers)
