"""The page of findings: its exact figures, and its files."""

import json
import re
from fractions import Fraction

import pytest

from veridraft.reports import cli
from veridraft.reports.studies.findings import claims as findings
from veridraft.reports.studies.findings.block_defects import (
    before_first_failure,
    emitted_by,
    longest_passing,
    mean_length,
    total_variation,
)
from veridraft.reports.studies.findings.long_run import long_run_efficiency
from veridraft.theory import Chain, MarkovPair, block_efficiency, bottom_up, dirichlet_pair, get_verifier
from veridraft.theory.verifiers import emitted_law
from veridraft.theory.verifiers.lifts import top_down


def test_the_two_defects_are_lossy_and_the_two_rules_are_not():
    pair = findings.one_step(("1/3", "2/3"), ("2/3", "1/3"))
    laws = {
        (lift, scan): emitted_by(pair, 2, lift, scan)
        for lift in (bottom_up, top_down)
        for scan in (longest_passing, before_first_failure)
    }
    assert mean_length(laws[bottom_up, longest_passing]) == Fraction(11, 9)
    assert mean_length(laws[top_down, before_first_failure]) == Fraction(10, 9)
    assert total_variation(laws[bottom_up, longest_passing]) == 0
    assert total_variation(laws[top_down, before_first_failure]) == 0
    assert total_variation(laws[bottom_up, before_first_failure]) > 0
    assert total_variation(laws[top_down, longest_passing]) > 0


def test_block_verification_scanned_by_hand_is_theorys():
    pair = dirichlet_pair(3, seed=8, closeness=0.4).rationalised(9)
    ours, theirs = emitted_by(pair, 3, bottom_up, longest_passing), emitted_law(get_verifier("block"), Chain(3), pair)
    assert (ours.by_depth == theirs.by_depth).all()


def test_the_long_run_of_a_pair_without_memory_is_its_block_efficiency():
    rows = dirichlet_pair(3, seed=4)
    target, draft = rows.target_row(()), rows.draft_row(())
    pair = MarkovPair([target] * 3, [draft] * 3)
    expected = block_efficiency("block", Chain(3), pair).value
    assert long_run_efficiency("block", Chain(3), pair) == pytest.approx(expected, abs=1e-12)


def test_the_quoted_formula_exceeds_the_optimum_that_the_canonical_solver_attains():
    values = [row[1] for row in findings.quoted_formula().rows]
    assert values == ["61/80", "229/400", "229/400"]


def test_mixed_tie_orders_are_lossy_and_single_ones_are_not():
    variations = [Fraction(row[2]) for row in findings.tie_order().rows]
    assert variations[:4] == [0] * 4
    assert min(variations[4:]) > Fraction(1, 5)


def test_the_command_writes_a_page_a_text_and_the_data(tmp_path, capsys):
    pytest.importorskip("jinja2", reason="the page needs jinja2")
    pytest.importorskip("matplotlib", reason="the page needs matplotlib")
    assert cli.main(["study", "run", "findings", "--pairs", "3", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip().endswith("findings.html")
    cells = [json.loads(line) for line in (tmp_path / "findings.jsonl").read_text().splitlines()[1:]]
    assert [cell["key"] for cell in cells] == ["a", "b", "c", "d"]
    page = (tmp_path / "findings.html").read_text()
    assert "61/80" in page and "61/80" in (tmp_path / "findings.txt").read_text()
    assert not re.search(r'(?:src|href)="http', page), "nothing is fetched"
    assert page.index("<svg") < page.index("<table")


@pytest.mark.parametrize("pairs", ["0", "no"])
def test_bad_numbers_are_refused(pairs, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["study", "run", "findings", "--pairs", pairs, "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
