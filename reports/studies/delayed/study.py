"""Delayed expansion against branching at the root, exactly: ``veridraft delayed [--out FOLDER]``.

Computes the block efficiency of every delayed tree of equal size on families of pairs whose divergence does or
does not grow with depth, and writes ``delayed.json`` (numbers), ``delayed.txt`` (tables) and ``delayed.svg``.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, fields
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from veridraft.theory.policies.base import Delayed

from ...running.progress import Progress
from ...writing.tables import Table, number
from .cases import (
    DEPTH,
    GROWTHS,
    LEAST_GAIN,
    SEEDS,
    SETTINGS,
    SIZES,
    SMALL,
    SMALL_SETTINGS,
    SMALL_SIZE,
    SPREADS,
    STARTS,
    TEMPERATURES,
    TOP_DOWN,
    VOCABULARY_SIZE,
    Comparison,
    Setting,
    Values,
    compare,
    compare_same_depth,
    divergence_of,
    shares,
    small_values_of,
    values_of,
)

Key = tuple[str, Setting]
SHOWN_SIZE, SHOWN_ROOT = 16, Delayed(2, 0, 8)
SETTING_FIELDS = [field.name for field in fields(Setting)]
COLUMNS = [
    "verifier",
    *SETTING_FIELDS,
    "size",
    "best root",
    "best delayed",
    "root value",
    "delayed value",
    "chain value",
]


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status, 0; ``argv`` are the command's arguments, by default those of the process."""
    parser = argparse.ArgumentParser(prog="python -m veridraft.reports.studies.delayed.study", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("reports/runs/delayed"), help="folder, made if missing")
    parser.add_argument("--quick", action="store_true", help="two settings of each kind, to see that it runs")
    options = parser.parse_args(argv)
    last = 2 if options.quick else None
    large = computed(TOP_DOWN, SETTINGS[:last], values_of, "top-down verifiers")
    small = computed(SMALL, SMALL_SETTINGS[:last], small_values_of, "small pairs")
    command = "python -m veridraft.reports.studies.delayed.study" + (" --quick" if options.quick else "")
    write(options.out, command, large, small)
    return 0


def computed(
    verifiers: Iterable[str], settings: Sequence[Setting], job: Callable[[str, Setting], Values], label: str
) -> dict[Key, Values]:
    """The values of every verifier and setting."""
    cases = list(product(verifiers, settings))
    progress, found = Progress(label, len(cases)), {}
    for case in cases:
        found[case] = job(*case)
        progress.step(case[0])
    progress.close()
    return found


def write(folder: Path, command: str, large: dict[Key, Values], small: dict[Key, Values]) -> None:
    """Write the numbers, the tables and the figure; print the tables and the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(table.text() for table in tables(large, small)) + "\n"
    (folder / "delayed.txt").write_text(f"$ {command}\n\n{text}", encoding="utf-8")
    (folder / "delayed.json").write_text(record_text(command, large, small), encoding="utf-8")
    draw(large, folder / "delayed.svg")
    print(text)
    print("\n".join(str(folder / f"delayed.{ending}") for ending in ("json", "txt", "svg")))


def record_text(command: str, large: dict[Key, Values], small: dict[Key, Values]) -> str:
    """The numbers in JSON, a line per row; values are E[tau + 1]."""
    head = {
        "command": command,
        "vocabulary_size": VOCABULARY_SIZE,
        "depth": DEPTH,
        "seeds": SEEDS,
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "divergence_columns": [*SETTING_FIELDS, "total variation at depth 0, 1, ..."],
        "divergence": [[*astuple(setting), rounded(divergence_of(setting))]
                       for setting in dict.fromkeys(setting for _, setting in large)],
        "columns": COLUMNS,
        "best": [row for key, values in large.items() for row in rows_of(key, values, SIZES)],
        "small": [row for key, values in small.items() for row in rows_of(key, values, (SMALL_SIZE,))],
    }  # fmt: skip
    return json.dumps(head, allow_nan=False).replace("[[", "[\n[").replace("], [", "],\n[") + "\n"


def rows_of(key: Key, values: Values, sizes: Iterable[int]) -> list[list[Any]]:
    """The best shapes of each size for one verifier and setting, in the order of ``COLUMNS``."""
    rows = []
    for size in sizes:
        found = compare(values, size)
        best = rounded([found.root_value, found.delayed_value, found.chain_value])
        rows.append([key[0], *astuple(key[1]), size, found.root.name, found.delayed.name, *best])
    return rows


def rounded(values: Iterable[float]) -> list[float]:
    """The values with five decimals."""
    return [round(value, 5) for value in values]


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


def counted(label: tuple[str, ...], found: Sequence[Comparison]) -> tuple[str, ...]:
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
        found = [compare(values, size) for (name, at), values in large.items()
                 if (name, at.start, at.growth) == (verifier, start, growth)]  # fmt: skip
        if found:
            rows.append(counted((verifier, f"{start:g}", f"{growth:g}"), found))
    caption = f"Best delayed tree against best tree that branches at its root, L1 + K L2 = {size} (any depth)"
    return Table(caption, ("verifier", "start", "growth", *GAIN_COLUMNS), tuple(rows), names=3)


def shape_table(large: dict[Key, Values]) -> Table:
    """The same by spread and temperature, over starts, growths and top-p."""
    rows = []
    for verifier, spread, temperature in product(TOP_DOWN, SPREADS, TEMPERATURES):
        found = [compare(values, SHOWN_SIZE) for (name, at), values in large.items()
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
            rows.append((verifier, f"{at.start:g}", f"{at.growth:g}", *shown(compare(values, size))))
    columns = ("verifier", "start", "growth", "best root", "E[tau+1]", "best delayed", "E[tau+1]", "chain")
    return Table(f"Best shapes of size {size}: spread 1.5, temperature 1, top-p 0.99", columns, tuple(rows), names=3)


def small_table(small: dict[Key, Values]) -> Table:
    """The best shapes on small pairs, bottom-up verifiers among them."""
    rows = [(verifier, f"{at.start:g}", f"{at.growth:g}", *shown(compare(values, SMALL_SIZE)))
            for (verifier, at), values in small.items()]  # fmt: skip
    columns = ("verifier", "start", "growth", "best root", "E[tau+1]", "best delayed", "E[tau+1]", "chain")
    caption = f"Small pairs, |V| = 4, rows by depth alone, size {SMALL_SIZE}: spread 1.5, temperature 1, top-p 0.99"
    return Table(caption, columns, tuple(rows), names=3)


def shown(found: Comparison) -> tuple[str, ...]:
    """Cells of one comparison, the better of root and delayed marked."""
    star = ("*", "") if found.gain < -LEAST_GAIN else ("", "*") if found.gain > LEAST_GAIN else ("", "")
    cells = [(found.root, found.root_value, star[0]), (found.delayed, found.delayed_value, star[1])]
    best = ((policy.name.removeprefix("Delayed"), number(value, 3) + mark) for policy, value, mark in cells)
    return (*(cell for pair in best for cell in pair), number(found.chain_value, 3))


def draw(large: dict[Key, Values], file: Path) -> None:
    """Block efficiency against the trunk's length at equal size: a panel per start, a line per growth and K."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    for line, verifier in zip(figure.subplots(2, len(STARTS), sharex=True), ("specinfer", "spectr"), strict=True):
        for axes, start in zip(line, STARTS, strict=True):
            _curves(axes, large, verifier, start)
            axes.set_title(f"{verifier}, start {start:g}", loc="left", fontsize=9)
            axes.grid(alpha=0.3)
    for axes in figure.axes[-len(STARTS) :]:
        axes.set_xlabel(f"trunk L1, at L1 + K L2 = {SHOWN_SIZE}")
    figure.axes[0].set_ylabel("block efficiency")
    if figure.axes[0].lines:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)
    figure.savefig(file, metadata={"Date": None})


def _curves(axes: Any, large: dict[Key, Values], verifier: str, start: float) -> None:
    colours = dict(zip(GROWTHS, ("#0072B2", "#009E73", "#D55E00"), strict=True))
    for growth, (paths, mark) in product(GROWTHS, ((2, "o"), (4, "^"))):
        values = large.get((verifier, Setting(start, growth, 1.5, 1.0, 0.99)))
        if values is None:
            continue
        line = [(policy.L1, value) for policy, value in values.items()
                if paths == policy.K and policy.L1 + policy.K * policy.L2 == SHOWN_SIZE]  # fmt: skip
        label = f"K = {paths}, growth {growth:g}"
        axes.plot(*zip(*line, strict=True), color=colours[growth], marker=mark, markersize=4, linewidth=1, label=label)


if __name__ == "__main__":
    raise SystemExit(main())
