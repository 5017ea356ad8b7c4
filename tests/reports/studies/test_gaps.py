"""The gap table: shares, intervals, and a run that goes on where it was stopped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from veridraft.reports.studies.gaps import study as gaps
from veridraft.reports.studies.gaps import tables as gap_tables
from veridraft.reports.studies.gaps.study import FAMILIES, Family, Gap, Gaps
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
        far, near = (Family("dirichlet", concentration, closeness).pair(4, 0) for closeness in (0.0, 0.9))
        distances = [abs(pair.target_row(()) - pair.draft_row(())).sum() for pair in (far, near)]
        assert distances[1] == pytest.approx(distances[0] / 10)


def test_run_goes_on_where_it_was_stopped(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces, compute, done = tmp_path / "pieces.jsonl", Gaps._compute, []

    def interrupted(self: Gaps, *case: object) -> list[float]:
        if len(done) == 7:
            raise KeyboardInterrupt
        done.append(case)
        return compute(self, *case)  # type: ignore[arg-type]

    monkeypatch.setattr(Gaps, "_compute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Gaps(pieces, 2, ("nss", "block")).run()
    assert len(pieces.read_text().splitlines()) == 7
    pieces.write_bytes(pieces.read_bytes()[:-5])  # as if killed within a line
    monkeypatch.setattr(Gaps, "_compute", compute)
    again = Gaps(pieces, 2, ("nss", "block"))
    again.run()
    assert len(pieces.read_text().splitlines()) == len(again.cells)
    assert len(again.read()) == len(again.cells) - 2 * len(FAMILIES)


def test_a_second_run_computes_new_verifiers_only(small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = tmp_path / "pieces.jsonl"
    Gaps(pieces, 2, ("nss",)).run()
    asked, compute = [], Gaps._compute
    monkeypatch.setattr(Gaps, "_compute", lambda self, *case: asked.append(case[-1]) or compute(self, *case))
    Gaps(pieces, 2, ("nss", "block")).run()
    assert {verifier.name for verifier in asked} == {"block"}


def test_table_and_page(small: None, tmp_path: Path) -> None:
    """Block verification misses nothing on a chain, which NSS does; nothing is missed that is below 0."""
    runner = Gaps(tmp_path / "pieces.jsonl", 2, ("nss", "block", "lifted_optimal"))
    runner.run()
    found = runner.read()
    assert min(share for gap in found for share in gap.shares) > -1e-9
    assert [verifier for verifier, _ in gap_rows(found, "Chain(2)")][-1] == "nss"
    block = next(cells for cells in gap_table(found, "Chain(2)") if cells[0] == "block")
    assert block[1:4] == ("0.00", "0.00", "100")
    assert set(block[4:]) == {"0.00"}
    note = gap_note(found, "command")
    assert note_text(note).count("lifted_optimal") == 2
    assert "<svg" in note.sections[1].svg


def test_json_holds_every_number(small: None, tmp_path: Path) -> None:
    runner = Gaps(tmp_path / "pieces.jsonl", 2, ("nss",))
    runner.run()
    gaps.write_json(tmp_path / "gaps.json", runner.read(), "command")
    content = json.loads((tmp_path / "gaps.json").read_text())
    assert set(content["optimum"]) == {"Chain(2)", "Iid(2, 2)"}
    assert gaps.read_json(tmp_path / "gaps.json") == (runner.read(), "command")
    assert all(len(values) == 2 for values in content["block_efficiency"]["Iid(2, 2)"]["nss"].values())
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_percent_is_never_a_negative_zero() -> None:
    assert (percent(-1e-12), percent(0.12345), percent(0)) == ("0.00", "12.35", "0.00")


def test_one_pair_has_no_interval(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("pairs must be at least 2")):
        Gaps(tmp_path / "pieces.jsonl", 1)
