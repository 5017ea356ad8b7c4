"""What an evaluation says of published headlines, from sums by text that are made up."""

from __future__ import annotations

import numpy as np
import pytest

from veridraft.reports.commands.selector.claims import CONFIRMED, LEVEL, REFUTED, headlines, points
from veridraft.reports.commands.selector.paired import rate, ratio
from veridraft.reports.commands.selector.settings import best_settings, by_depth
from veridraft.theory.speed.jackknife import jackknife_half

TEXTS = 8
WAYS = ("chain", "root", "static", "selector")


def cell(verifier, speed, gains=(1.0, 1.2, 1.3, 1.4), noise=0.004, paths=("1", "4")):
    """A verifier whose ways give so many tokens per second, texts differing by a little, one second each."""
    rng = np.random.default_rng(sum(verifier.encode()))
    spread = 1 + noise * rng.standard_normal(TEXTS)
    sums = {way: [[speed * gain * one, 1.0] for one in spread] for way, gain in zip(WAYS, gains, strict=True)}
    lengths = {number: [[4.0, 6.0 + place, 7.0 + place] for place in range(TEXTS)] for number in paths}
    actions = {way: {"0": f"{way} 0", "1": f"{way} 1"} for way in WAYS}
    return {"verifier": verifier, "by_text": sums, "samplings": [0, 1] * (TEXTS // 2), "actions": actions,
            "lengths": lengths}  # fmt: skip


CELLS = [
    cell("specinfer", 10.0), cell("naive_tree", 9.0, (10 / 9, 1.2, 1.2, 1.3)), cell("block", 8.0, paths=("1",)),
    cell("traversal", 10.0, (1.0, 1.25, 1.35, 1.38)),
]  # fmt: skip


def test_a_ratio_is_that_of_sums_and_its_interval_leaves_out_texts():
    one, other = (CELLS[3], "static"), (CELLS[0], "root")
    sums = [np.array(held["by_text"][way]) for held, way in (one, other)]

    def by_hand(kept):
        (a, b), (c, d) = (part[kept].sum(axis=0) for part in sums)
        return (a / b) / (c / d)

    left_out = np.array([by_hand(np.arange(TEXTS) != text) for text in range(TEXTS)])
    found = ratio(one, other)
    assert found.mean == pytest.approx(by_hand(np.arange(TEXTS)))
    assert found.half == pytest.approx(jackknife_half(left_out))
    even = rate(one, 0)
    assert even.mean == pytest.approx(sums[0][::2, 0].mean())
    means = np.array([np.delete(sums[0][::2, 0], place).mean() for place in range(4)])
    assert even.half == pytest.approx(jackknife_half(means))


def test_every_headline_has_a_ratio_and_a_verdict():
    told = {claim: (found, said) for claim, found, said in headlines(CELLS).rows}
    assert told["Traversal above specinfer, each with its best one action"][1] == CONFIRMED
    assert told["Traversal above specinfer, each from the root"][1] == CONFIRMED
    assert told["delay lifts naive_tree: its best of all above its best from the root"] == ("1.000 ± 0.000", LEVEL)
    assert told["delay lifts traversal: its best of all above its best from the root"] == ("1.080 ± 0.000", CONFIRMED)
    assert told["SpecInfer with its selector above Traversal with its best one action"][1] == CONFIRMED
    assert told["SpecInfer with its selector above Traversal with its own selector, by 5 %"][1] == REFUTED
    assert headlines(CELLS[2:3]) is None


def test_the_points_are_answered_where_their_verifiers_are():
    said = points(CELLS).paragraphs
    assert [one[:2] for one in said] == ["1.", "2.", "3.", "4."]
    assert "1.022 ± 0.000 (traversal) to 1.083 ± 0.000 (naive_tree)" in said[1]
    assert "Traversal times 1.080 ± 0.000" in said[2] and "block less Naive's is 0.000 ± 0.000" in said[3]
    assert points(CELLS[:3]) is None


def test_settings_and_depths_are_told_of_each_verifier():
    table = best_settings(CELLS[:1], [[0.6, 1.0], [1.0, 0.9]])
    assert [row[:3] for row in table.rows] == [
        ("specinfer", "0.6", "chain 0"), ("specinfer", "1, top-p 0.9", "chain 1"), ("specinfer", "all", ""),
    ]  # fmt: skip
    depths = by_depth(CELLS)
    assert {row[0] for row in depths.rows} == {"specinfer", "naive_tree"} and depths.headers[2:] == ("0", "1")
    first = np.array(CELLS[0]["lengths"]["1"]).sum(axis=0)
    assert depths.rows[0][2].startswith(f"{(first[1] - first[0]) / first[0]:.2f}")
