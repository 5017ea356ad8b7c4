"""Results in a notebook: what the HTML says, what plots draw, what a DataFrame holds."""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np
import pytest
from sheets import SheetReader, read

from veridraft.theory import (
    Chain,
    DraftTree,
    Iid,
    LatencyModel,
    MarkovPair,
    best_tree,
    block_efficiency,
    certify,
    exact,
    get_verifier,
    tree_optimum,
)
from veridraft.theory.display import Sheet, Shown
from veridraft.theory.display.sheet import MOST_ROWS, said
from veridraft.theory.rows.trees import MOST_LEAVES
from veridraft.theory.speed import ByLength
from veridraft.theory.verifiers.emission import emitted_law

TARGET = [Fraction(1, 2), Fraction(3, 10), Fraction(1, 5)]
DRAFT = [Fraction(1, 5), Fraction(1, 4), Fraction(11, 20)]
PAIR = MarkovPair([TARGET] * 3, [DRAFT] * 3)
EFFICIENCY = block_efficiency("specinfer", Iid(2, 1), PAIR)
TREE = DraftTree.from_paths([[1, 2], [1, 0], [0, 1]], PAIR.target_row, PAIR.draft_row)
LAW = get_verifier("specinfer").law(TREE)


def test_every_text_is_escaped_and_comes_back_as_it_was():
    evil = '<b onclick="x">&amp; </td>'
    sheet = Sheet(evil, ((evil, evil), ("n", 3)), False, "", {evil: [evil], "other": [None]}, evil)
    seen = SheetReader(sheet.html())
    assert seen.title == seen.paragraphs[-1] == evil and seen.sign == "✗"
    assert seen.tables == [[[evil, evil], ["n", "3"]], [[evil, "other"], [evil, "–"]]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(177, 100), "177/100 = 1.77"), (Fraction(0), "0"), (Fraction(1, 3**30), "4.85694e-15"),
        (1 / 3, "0.333333"), (np.float64(0.5), "0.5"), (np.int64(49152), "49,152"), (True, "yes"), (None, "–"),
        ("as it is", "as it is"), (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_values_are_said_shortly(value, text):
    assert said(value) == text


def test_a_long_table_is_cut_and_says_where_the_rest_is():
    seen = SheetReader(Sheet("long", columns={"row": range(MOST_ROWS + 3)}).html())
    assert len(seen.tables[0]) == 1 + MOST_ROWS
    assert seen.paragraphs[-1] == "… and 3 more rows: .frame() has all."


def test_a_certificate_shows_its_verdict_and_a_lossy_one_where_it_differs():
    proof = read(certify("lifted_rrs", Iid(2, 2), PAIR))
    assert proof.sign == "✓" and proof.title == "Lossless: lifted_rrs with Iid(2, 2) on this pair"
    assert proof.facts["total variation"] == "0" and proof.facts["trees"] == "81"
    wrong = certify("specinfer", "TopPlusOne(2, 1)", PAIR, any_policy=True)
    seen = read(wrong)
    assert seen.sign == "✗" and seen.title.startswith("Lossy")
    assert Fraction(seen.facts["total variation"].split(" = ")[0]) == wrong.total_variation == Fraction(9, 55)
    first = wrong.first_difference
    assert seen.facts["first difference"] == " ".join(map(str, first.string))
    assert [seen.facts["its probability"], seen.facts["the target's"]] == [said(first.observed), said(first.expected)]


SAMPLED = block_efficiency("specinfer", Iid(2, 1), PAIR, "sample", trees=50)
DYNAMIC = block_efficiency("specinfer", Iid(2, 1), PAIR, "dp")
EMITTED = emitted_law(get_verifier("specinfer"), Iid(2, 1), PAIR)


@pytest.mark.parametrize("result", [EFFICIENCY, SAMPLED, DYNAMIC, EMITTED, LAW], ids=lambda one: type(one).__name__)
def test_a_law_shows_the_accepted_length_by_depth(result):
    head, *rows = read(result).tables[1]
    assert head == ["d", "Pr(τ = d)", "Pr(τ ≥ d)"]
    stopped = list(result.by_depth)
    wanted = [[str(d), said(share), said(sum(stopped[d:]))] for d, share in enumerate(stopped)]
    assert [row[:2] for row in rows] == [row[:2] for row in wanted]
    assert [float(row[2].split(" = ")[-1]) for row in rows] == pytest.approx(
        [float(sum(stopped[d:])) for d in range(len(stopped))], abs=1e-5
    )
    assert "E[τ + 1]" in read(result).facts


def test_what_is_exact_stays_exact_in_html_and_in_a_frame():
    pytest.importorskip("pandas", reason="frames need pandas")
    assert read(EFFICIENCY).facts["E[τ + 1]"] == "177/100 = 1.77"
    frame = EFFICIENCY.frame()
    assert frame["Pr(τ = d)"].tolist() == [Fraction(23, 100), Fraction(77, 100)]
    assert frame["Pr(τ ≥ d)"].tolist() == [1, Fraction(77, 100)]


def test_the_optimum_and_bounds_show_both_sides():
    assert read(tree_optimum(Iid(2, 1), PAIR)).facts["attained"] == "93/50 = 1.86"
    bounded = block_efficiency("block", Chain(2), PAIR.as_float(), "bounds")
    low, high = map(float, read(bounded).facts["E[τ + 1]"].split(" to "))
    assert (low, high) == (bounded.lower, bounded.upper)


def test_a_tree_is_drawn_with_its_tokens_and_listed():
    pytest.importorskip("pandas", reason="frames need pandas")
    seen = read(TREE)
    assert seen.title == "Draft tree: 5 drafted tokens, depth 2"
    assert sorted(seen.drawn) == ["0", "0", "1", "1", "2", "×2"] and len(seen.circles) == TREE.size
    assert seen.tables[1][0] == ["node", "token", "parent", "depth", "drawn"]
    frame = TREE.frame()
    assert frame["parent"].tolist()[1:] == TREE.parents[1:].tolist() and frame["drawn"].tolist()[1:3] == [2, 1]
    assert TREE.svg(["<s>", "a", "b"]).count("&lt;s&gt;") == 2


def test_a_law_is_drawn_with_where_it_stops():
    shares = [float(text) for text in read(LAW).drawn if "." in text]
    assert len(shares) == TREE.size and sum(shares) == pytest.approx(1, abs=0.005 * TREE.size)
    shades = [float(one["fill-opacity"]) for one in read(LAW).circles if "fill-opacity" in one]
    assert sum(shades) == pytest.approx(1, abs=0.0005 * TREE.size)


def test_a_broad_tree_is_not_drawn():
    rows = exact([Fraction(1, MOST_LEAVES + 1)] * (MOST_LEAVES + 1))
    broad = DraftTree.from_paths([[token] for token in range(len(rows))], lambda _: rows, lambda _: rows)
    assert broad.leaves == MOST_LEAVES + 1 and not read(broad).circles
    assert not read(get_verifier("specinfer").law(broad)).circles
    assert len(read(broad).tables[1]) == 1 + broad.size


@pytest.fixture(scope="module")
def found():
    model = LatencyModel(ByLength(lambda _: 1.0), ByLength(lambda _: 0.1), name="a <machine>")
    return best_tree(PAIR.as_float(), model, context=5, budget=2, trees=4, verifiers=["naive", "specinfer"])


def test_a_search_shows_its_answers_best_first(found):
    seen = read(found)
    assert seen.sign == ("✓" if found.pays else "✗") and seen.title.endswith("on a <machine>")
    assert [row[:2] for row in seen.tables[1][1:]] == [[one.verifier, one.policy] for one in found.answers]
    assert [row[3] for row in seen.tables[1][1:]] == [said(one.tokens_per_second) for one in found.answers]


def test_plots_draw_the_numbers(found):
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    assert EFFICIENCY.plot(axes) is axes
    assert [bar.get_height() for bar in axes.patches] == [0.77]
    axes = found.plot(Figure().subplots())
    assert [bar.get_width() for bar in axes.patches] == [one.tokens_per_second for one in found.answers]
    assert axes.lines[0].get_xdata()[0] == found.best.plain
    new = LAW.plot()
    assert [bar.get_height() for bar in new.patches] == pytest.approx([float(LAW.by_depth[d:].sum()) for d in (1, 2)])


@pytest.mark.parametrize(
    ("module", "call", "extra"), [("matplotlib", EFFICIENCY.plot, "report"), ("pandas", EFFICIENCY.frame, "frames")]
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch, module, call, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"needs {module}: install it with pip install 'veridraft\[{extra}\]'"):
        call()


def test_a_plain_repr_stays_and_a_result_without_a_sheet_says_so():
    assert repr(tree_optimum(Iid(2, 1), PAIR)).startswith("TreeOptimum(lower=Fraction(93, 50)")
    with pytest.raises(NotImplementedError):
        Shown()._repr_html_()
