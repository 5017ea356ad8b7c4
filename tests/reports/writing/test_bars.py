"""Bars: every count and value stands in the picture, and the lossy come first."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib", reason="figures need matplotlib")

from veridraft.reports.writing import bars
from veridraft.theory.display.charts import BLUE, VERMILION


def drawn_by(monkeypatch, draw):
    """The axes of a picture."""
    seen = {}

    def painted(name, width, height, paint):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height))
        paint(figure)
        seen[name] = figure
        return ""

    monkeypatch.setattr(bars, "drawn", painted)
    draw()
    (figure,) = seen.values()
    (axes,) = figure.axes
    return axes


def test_verdicts_stand_side_by_side_and_what_is_lossy_most_often_comes_first(monkeypatch):
    counts = {
        "calm": {"no defect found": 3},
        "worst": {"lossy": 2, "no defect found": 1},
        "bad": {"lossy": 1, "error": 1},
    }
    axes = drawn_by(monkeypatch, lambda: bars.verdicts_figure(counts))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["worst", "bad", "calm"]
    lossy, calm, broken = ([(bar.get_x(), bar.get_width()) for bar in kind] for kind in axes.containers)
    assert lossy == [(0, 2), (0, 1), (0, 0)]
    assert calm == [(2, 1), (1, 0), (0, 3)]
    assert broken == [(3, 0), (1, 1), (3, 0)]
    numbers = [text.get_text() for text in axes.texts]
    assert sorted(number for number in numbers if number) == ["1", "1", "1", "2", "3"]


def test_values_stand_beside_their_bars(monkeypatch):
    axes = drawn_by(monkeypatch, lambda: bars.values_figure("claim", {"claimed": 0.7625, "reached": 0.5725}, "E[tau]"))
    assert [bar.get_width() for bar in axes.patches] == [0.7625, 0.5725]
    assert [text.get_text() for text in axes.texts] == ["0.7625", "0.5725"]
    assert axes.get_xlabel() == "E[tau]"


def test_the_svg_has_the_colours_of_verdicts():
    svg = bars.verdicts_figure({"one": {"lossy": 1, "no defect found": 1}})
    assert VERMILION.lower() in svg and BLUE.lower() in svg
