"""Figures: what is drawn stays, in fewer bytes; ids are the figure's own; claims beside what is found."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("matplotlib", reason="figures need matplotlib")

from veridraft.reports.writing.claims import claims_figure
from veridraft.reports.writing.figures import drawn, svg_file
from veridraft.reports.writing.intervals import Mean
from veridraft.reports.writing.tables import Table
from veridraft.theory.display.charts import BLUE, VERMILION, name_rows


def paint(figure):
    axes = figure.subplots()
    axes.plot([1 / 3, 2 / 3, 1], [3, 1, 2], marker="o", linestyle="", color=BLUE)
    axes.set_xlabel("some words")


def test_ids_are_the_figure_s_own_and_every_reference_is_met():
    svg = drawn("one", 3, 2, paint)
    ids = re.findall(r' id="([^"]*)"', svg)
    referred = set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', svg))
    assert ids and len(ids) == len(set(ids)) and all(name.startswith("one-") for name in ids)
    assert {one or other for one, other in referred} == set(ids)


def places(svg):
    """Where marks stand, in points."""
    return [(float(x), float(y)) for x, y in re.findall(r'<use [^>]*? x="([\d.]+)" y="([\d.]+)"', svg)]


def test_marks_stand_where_they_stood_and_their_style_is_said_once():
    full, light = svg_file(3, 2, paint, transparent=True), drawn("one", 3, 2, paint)
    assert len(places(light)) == len(places(full)) > 3
    for (x, y), (wanted_x, wanted_y) in zip(places(light), places(full), strict=True):
        assert (x, y) == (pytest.approx(wanted_x, abs=0.01), pytest.approx(wanted_y, abs=0.01))
    style = f"fill: {BLUE.lower()}; stroke: {BLUE.lower()}"
    assert full.count(f'style="{style}"') == 3 and light.count(f'style="{style}"') == 1
    assert len(light) < 0.85 * len(full)


def test_a_claim_that_the_interval_misses_is_orange():
    rows = [("met", 2.0, 4.0, Mean(3.0, 1.5)), ("missed", 2.0, 4.0, Mean(9.0, 1.0))]
    svg = claims_figure(rows, "gain, %")
    assert svg.count(f"fill: {VERMILION.lower()}") == 1 and f"fill: {BLUE.lower()}" in svg
    both = claims_figure([rows[0], rows[0]], "gain, %")
    assert VERMILION.lower() not in both


def test_the_first_name_stands_at_the_top():
    def named(figure):
        axes = figure.subplots()
        name_rows(axes, ["first", "second"])
        assert axes.get_ylim()[0] > axes.get_ylim()[1]
        assert [text.get_text() for text in axes.get_yticklabels()] == ["first", "second"]

    assert svg_file(3, 1, named).startswith("<?xml")


def test_a_table_without_some_columns_keeps_the_others_in_order():
    table = Table("t", ("name", "T", "value"), (("a", "0.2", "1"), ("b", "0.2", "2")))
    assert table.without(("T", "other")) == Table("t", ("name", "value"), (("a", "1"), ("b", "2")))
