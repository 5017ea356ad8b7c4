from __future__ import annotations

import numpy as np
from reports_samples import real_row, sample

from veridraft.reports.commands.report import synthetic, tables
from veridraft.reports.commands.report.data import LeagueRow, Profile
from veridraft.reports.commands.report.settings import Settings
from veridraft.theory import Chain, block_efficiency


def test_text_table_is_aligned_and_markdown_has_the_same_cells():
    table = tables.Table("Caption", ("name", "value"), (("a", "1.50"), ("longer", "12.25")))
    assert table.text().splitlines() == ["Caption", "  name    value", "  a        1.50", "  longer  12.25"]
    assert table.markdown().splitlines()[1:] == ["| --- | ---: |", "| a | 1.50 |", "| longer | 12.25 |"]


def test_numbers_show_absence_and_no_negative_zero():
    assert tables.number(None) == "–"
    assert tables.number(-0.00001, 2) == "0.00"
    assert tables.number(-1.5, 2) == "−1.50"
    assert tables.signed(0.25) == "+0.250"


def test_best_is_marked_among_the_rows_of_one_policy_only():
    rows = (
        LeagueRow("naive", "Chain(3)", (1.5, 2.0)),
        LeagueRow("block", "Chain(3)", (1.5, 2.5)),
        LeagueRow("spectr", "Iid(3, 3)", (3.0, None)),
    )
    league = sample().league
    table = tables.league_table(type(league)(4, 1, league.families, rows))
    assert table.best == {(0, 4), (1, 4), (1, 5), (2, 4)}


def test_real_table_has_a_dash_for_a_score_that_does_not_apply_and_the_allowed_interval():
    row = tables.real_table(sample().real, 1.0).rows[0]
    assert row[2:11] == ("150 of 300", "2.500", "2.460", "+0.040", "±0.200", "0.50", "−1.25", "–", "agrees")
    assert "−0.100 to +0.300" in tables._real_cells(real_row(interval=[-0.1, 0.3]))


def test_reach_sums_to_the_acceptance_length():
    profile = Profile("naive", "Chain(2)", (0.5, 0.25, 0.25))
    assert profile.reach == (1.0, 0.5, 0.25)


def test_league_value_is_the_mean_of_exact_block_efficiencies():
    settings = Settings(verifiers=("naive",), seed=3, temperature=0.5)
    profiles = {("naive", one.name): synthetic.mean_profile("naive", one, settings) for one in synthetic.FAMILIES}
    for index, family in enumerate(synthetic.FAMILIES):
        pairs = [
            family.make(synthetic.VOCABULARY_SIZE, 3 * synthetic.PAIRS + k).transformed(temperature=0.5)
            for k in range(synthetic.PAIRS)
        ]
        expected = np.mean([block_efficiency("naive", Chain(3), pair).value for pair in pairs])
        value = synthetic.read_league(settings, profiles).rows[0].values[index]
        assert abs(value - expected) < 1e-12


def test_report_text_holds_every_table_and_what_was_left_out():
    text = tables.report_text(sample(left_out=("the moon",)))
    for part in ("Exact block efficiency", "at least 1", "Certificates", "Real pair: big", "Left out: the moon"):
        assert part in text
    assert "Real pair" not in tables.report_text(sample(real=None))
