"""Cells of a page's tables: columns of numbers, verdicts, links and places to break."""

from __future__ import annotations

import pytest

from veridraft.reports.writing.cells import columns_of, kind, linked

NUMBERS = ("1,224", "−0.70", "+20.57 ± 16.25", "0.882 to 1.018", "4.2 to 8.5 %", "8.00 / 8.00", "128 / 16 / 16",
           "5 of 5", "61/80", "1.0 %", "9.7e-250", "1: 0.3285 to 0.4609", "±0.653")  # fmt: skip
WORDS = ("plain decoding", "2 children, 2 levels", "4 x A100", "Delayed(3, 1, 2)", "lifted_k_seq +219 % (4, 0, 6)",
         "3 drafts, temperature 1")  # fmt: skip


def test_a_column_is_of_numbers_by_most_of_its_cells_and_dashes_do_not_count():
    assert all(columns_of([[number] for number in NUMBERS[:1]] * 2))
    assert [columns_of([[cell]])[0] for cell in (*NUMBERS, *WORDS)] == [True] * len(NUMBERS) + [False] * len(WORDS)
    rows = [("naive", "1.5", "–", ""), ("block", "none", "Iid(3, 3)", "0.3"), ("nss", "2", "–", "")]
    assert columns_of(rows) == (False, True, False, True)
    assert columns_of([]) == ()


@pytest.mark.parametrize(
    ("cell", "is_number", "classes"),
    [("lossy", False, "verdict lossy"), ("no defect found", False, "verdict no"), ("FOUND", False, "verdict found"),
     ("–", True, "number"), ("–", False, ""), ("none", True, "number"), ("a sentence of many words", False, "long")],
)  # fmt: skip
def test_kinds_follow_the_column_but_for_verdicts(cell, is_number, classes):
    assert kind(cell, is_number) == classes


def test_issues_and_papers_are_links_and_all_else_is_escaped():
    said = linked("a <b> in owner/name PR #123; (2602.16994), #x")
    assert '<a href="https://github.com/owner/name/issues/123">#123</a>;' in said
    assert '(<a href="https://arxiv.org/abs/2602.16994">2602.16994</a>),' in said
    assert "a &lt;b&gt; in" in said and said.endswith(" #x") and "/issues/x" not in said


def test_long_names_may_be_broken_behind_underscores_and_before_capitals():
    assert linked("draft_rows_of_another_request").count("_<wbr>") == 4
    assert linked("UniversalSpeculativeDecodingGenerator:") == ("Universal<wbr>Speculative<wbr>Decoding<wbr>Generator:")
    assert linked("short_name CamelCase") == "short_name CamelCase"
