"""Tables and figure of the study of delayed expansion."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from veridraft.theory.display.charts import BLUE, GREEN, VERMILION
from veridraft.theory.policies.paths import Delayed

from ...writing.figures import svg_file
from ...writing.tables import Table, number
from .cases import (
    DEPTH,
    GROWTHS,
    LEAST_GAIN,
    SIZES,
    SMALL_SIZE,
    SPREADS,
    STARTS,
    TEMPERATURES,
    TOP_DOWN,
    VOCABULARY_SIZE,
    Setting,
    ShapeComparison,
    Values,
    compare_same_depth,
    compare_shapes,
    divergence_of,
    shares,
)

Key = tuple[str, Setting]
SHOWN_SIZE, SHOWN_ROOT = 16, Delayed(2, 0, 8)


def tables(large: dict[Key, Values], small: dict[Key, Values]) -> list[Table]:
    """All tables of the report."""
    settings = list(dict.fromkeys(setting for _, setting in large))
    found = [divergence_table(settings)]
    found += [gain_table(large, size) for size in SIZES]
    found += [shape_table(large), depth_table(large), best_table(large, SHOWN_SIZE), small_table(small)]
    return found


def divergence_table(settings: Sequence[Setting]) -> Table:
    """How total variation rises with depth at temperature 1, top-p 0.99."""
    levels = (0, 1, 4, 8, 12, DEPTH - 1)
    chosen = [setting for setting in settings if (setting.temperature, setting.top_p) == (1.0, 0.99)]
    rows = []
    for setting in chosen:
        profile = divergence_of(setting)
        cells = (f"{setting.start:g}", f"{setting.growth:g}", f"{setting.spread:g}")
        rows.append((*cells, *(number(profile[level], 3) for level in levels)))
    caption = f"Mean total variation by depth along drafted tokens, |V| = {VOCABULARY_SIZE}, temperature 1, top-p 0.99"
    return Table(caption, ("start", "growth", "spread", *(f"d = {level}" for level in levels)), tuple(rows), names=3)


def counted(label: tuple[str, ...], found: Sequence[ShapeComparison]) -> tuple[str, ...]:
    """Cells of one row of a table of gains."""
    gains = [item.gain for item in found]
    wins, losses = shares(gains, LEAST_GAIN)
    middle, low, high = np.median(gains), min(gains), max(gains)
    best = [np.mean([item.best == kind for item in found]) for kind in ("delayed", "chain")]
    return (*label, str(len(found)), f"{wins:.0%}", f"{losses:.0%}", *(f"{x:+.1%}" for x in (low, middle, high)),
            *(f"{share:.0%}" for share in best))  # fmt: skip


GAIN_COLUMNS = ("settings", "delayed wins", "root wins", "least gain", "median", "most", "delayed best", "chain best")


def gain_table(large: dict[Key, Values], size: int) -> Table:
    """Best delayed against best root of one size, by start and growth, over spreads, temperatures and top-p."""
    rows = []
    for verifier, start, growth in product(TOP_DOWN, STARTS, GROWTHS):
        found = [compare_shapes(values, size) for (name, at), values in large.items()
                 if (name, at.start, at.growth) == (verifier, start, growth)]  # fmt: skip
        if found:
            rows.append(counted((verifier, f"{start:g}", f"{growth:g}"), found))
    caption = f"Best delayed tree against best tree that branches at its root, L1 + K L2 = {size} (any depth)"
    return Table(caption, ("verifier", "start", "growth", *GAIN_COLUMNS), tuple(rows), names=3)


def shape_table(large: dict[Key, Values]) -> Table:
    """The same by spread and temperature, over starts, growths and top-p."""
    rows = []
    for verifier, spread, temperature in product(TOP_DOWN, SPREADS, TEMPERATURES):
        found = [compare_shapes(values, SHOWN_SIZE) for (name, at), values in large.items()
                 if (name, at.spread, at.temperature) == (verifier, spread, temperature)]  # fmt: skip
        if found:
            rows.append(counted((verifier, f"{spread:g}", f"{temperature:g}"), found))
    caption = f"The same for L1 + K L2 = {SHOWN_SIZE}, by spread of the logits and temperature"
    return Table(caption, ("verifier", "spread", "temperature", *GAIN_COLUMNS), tuple(rows), names=3)


def depth_table(large: dict[Key, Values]) -> Table:
    """Trees of one size and one depth: where to branch, and nothing else."""
    rows = []
    for verifier, start, growth in product(TOP_DOWN, STARTS, GROWTHS):
        found = [compare_same_depth(values, SHOWN_ROOT) for (name, at), values in large.items()
                 if (name, at.start, at.growth) == (verifier, start, growth)]  # fmt: skip
        known = [item for item in found if item is not None]
        if known:
            rows.append(counted((verifier, f"{start:g}", f"{growth:g}"), known)[:-2])
    caption = f"Same size and same depth: {SHOWN_ROOT.name} against Delayed(3, 4, 4) and Delayed(5, 6, 2), the better"
    return Table(caption, ("verifier", "start", "growth", *GAIN_COLUMNS[:-2]), tuple(rows), names=3)


def best_table(large: dict[Key, Values], size: int) -> Table:
    """The best shapes at temperature 1, top-p 0.99, spread 1.5."""
    rows = []
    for (verifier, at), values in large.items():
        if (at.temperature, at.top_p, at.spread) == (1.0, 0.99, 1.5):
            rows.append((verifier, f"{at.start:g}", f"{at.growth:g}", *shown(compare_shapes(values, size))))
    columns = ("verifier", "start", "growth", "best root", "E[tau+1]", "best delayed", "E[tau+1]", "chain")
    return Table(f"Best shapes of size {size}: spread 1.5, temperature 1, top-p 0.99", columns, tuple(rows), names=3)


def small_table(small: dict[Key, Values]) -> Table:
    """The best shapes on small pairs, bottom-up verifiers among them."""
    rows = [(verifier, f"{at.start:g}", f"{at.growth:g}", *shown(compare_shapes(values, SMALL_SIZE)))
            for (verifier, at), values in small.items()]  # fmt: skip
    columns = ("verifier", "start", "growth", "best root", "E[tau+1]", "best delayed", "E[tau+1]", "chain")
    caption = f"Small pairs, |V| = 4, rows by depth alone, size {SMALL_SIZE}: spread 1.5, temperature 1, top-p 0.99"
    return Table(caption, columns, tuple(rows), names=3)


def shown(found: ShapeComparison) -> tuple[str, ...]:
    """Cells of one comparison, the better of root and delayed marked."""
    star = ("*", "") if found.gain < -LEAST_GAIN else ("", "*") if found.gain > LEAST_GAIN else ("", "")
    cells = [(found.root, found.root_value, star[0]), (found.delayed, found.delayed_value, star[1])]
    best = ((policy.name.removeprefix("Delayed"), number(value, 3) + mark) for policy, value, mark in cells)
    return (*(cell for pair in best for cell in pair), number(found.chain_value, 3))


def drawn(large: dict[Key, Values]) -> str:
    """As SVG: block efficiency against the trunk's length at equal size, a panel per start, a line per growth and K."""
    return svg_file(10, 6, lambda figure: _paint(figure, large))


def _paint(figure: Any, large: dict[Key, Values]) -> None:
    for line, verifier in zip(figure.subplots(2, len(STARTS), sharex=True), ("specinfer", "spectr"), strict=True):
        for axes, start in zip(line, STARTS, strict=True):
            _curves(axes, large, verifier, start)
            axes.set_title(f"{verifier}, start {start:g}", loc="left")
            axes.grid()
    for axes in figure.axes[-len(STARTS) :]:
        axes.set_xlabel(f"trunk L1, at L1 + K L2 = {SHOWN_SIZE}")
    figure.axes[0].set_ylabel("block efficiency")
    if figure.axes[0].lines:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)


def _curves(axes: Any, large: dict[Key, Values], verifier: str, start: float) -> None:
    colours = dict(zip(GROWTHS, (BLUE, GREEN, VERMILION), strict=True))
    for growth, (paths, mark) in product(GROWTHS, ((2, "o"), (4, "^"))):
        values = large.get((verifier, Setting(start, growth, 1.5, 1.0, 0.99)))
        if values is None:
            continue
        line = [(policy.L1, value) for policy, value in values.items()
                if paths == policy.K and policy.L1 + policy.K * policy.L2 == SHOWN_SIZE]  # fmt: skip
        label = f"K = {paths}, growth {growth:g}"
        axes.plot(*zip(*line, strict=True), color=colours[growth], marker=mark, markersize=4, linewidth=1, label=label)
