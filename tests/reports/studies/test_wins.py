"""Verifiers at the same roots as a person meets them: paired intervals, tables, statuses, a stop, bad input."""

from __future__ import annotations

import json
from math import exp, log

import numpy as np
import pytest
from gpu_tiny import tiny_pair
from scipy import stats
from suite_samples import MACHINE

from veridraft.gpu.crosschecks import wins as same_roots
from veridraft.gpu.crosschecks.cell_file import WinsFile
from veridraft.reports import cli
from veridraft.reports.studies.suites.leads import Quantity, Standing
from veridraft.reports.studies.wins import study as wins_command
from veridraft.reports.studies.wins.leads import (
    Difference,
    delayed_of,
    dependence,
    each,
    mean_of,
    over,
    paired,
    same_trees,
)
from veridraft.reports.studies.wins.pooled import pooled
from veridraft.reports.studies.wins.rows import RootRow, RootSetting, Wins
from veridraft.reports.studies.wins.text import TIMING_ONLY, wins_text

EFFICIENCY = {
    ("nss", "Chain(0)"): 1.0, ("naive", "Chain(3)"): 2.0, ("block", "Chain(3)"): 2.1, ("naive_tree", "Iid(3, 3)"): 2.1,
    ("traversal", "Iid(3, 3)"): 2.3, ("naive_tree", "Delayed(3, 1, 2)"): 2.1, ("traversal", "Delayed(3, 1, 2)"): 2.5,
}  # fmt: skip
"""Tokens a root; the time is the same for all that draft, so that they are also ranked so by speed."""


def spans(seconds):
    """By both clocks, the wall clock a fifth behind."""
    return {"wall": 1.2 * seconds, "cpu": seconds}


def unit(rng, roots=5, efficiency=EFFICIENCY, noise=0.01):
    """A unit whose tokens and times vary by a fifth together, and by ``noise`` each."""
    token, time = rng.uniform(0.8, 1.2, 2) * roots
    policies = {
        policy: {"nodes": 9 * roots, "draft": spans(0.0 if policy == "Chain(0)" else 0.03 * time),
                 "target": spans(0.06 * time * rng.uniform(1 - noise, 1 + noise))}
        for _, policy in efficiency
    }  # fmt: skip
    cells = {
        f"{verifier} {policy}": {"tokens": roots if mean == 1 else mean * token * rng.uniform(1 - noise, 1 + noise),
                                 "verification": spans(0.01 * time)}
        for (verifier, policy), mean in efficiency.items()
    }  # fmt: skip
    return {"roots": roots, "policies": policies, "cells": cells}


def text_of(temperature, top_p, number, units=2, **changes):
    rng = np.random.default_rng([round(10 * temperature), round(10 * top_p), number])
    units = [unit(rng, **changes) for _ in range(units)]
    return {"temperature": temperature, "top_p": top_p, "text": number, "units": units, "seconds": 2.0}


def made(folder=None, settings=((0.6, 1.0), (1.0, 1.0)), texts=8, done=99, efficiency=EFFICIENCY, **held):
    """A run's file; ``done`` texts are finished."""
    keys = [[*setting, number] for setting in settings for number in range(texts)]
    held = {
        "target": "T", "draft": "D", "vocabulary_size": 49152, "device": "cpu", "dtype": "float32", "packed": True,
        "timing_only": False, "pairs": [list(pair) for pair in efficiency], "cells": keys, "texts": texts, "roots": 10,
        "stride": 3, "seed": 0, "left_out": {"optimal_plan Iid(3, 3)": "for small vocabularies"}, **held,
    }  # fmt: skip
    file = WinsFile.open(folder, "veridraft wins --pack", held, MACHINE)
    for key in keys[:done]:
        file.add(text_of(*key, efficiency=efficiency))
    return file


def told(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())


def rows(rng, means, units=12, common=0.2, noise=0.02):
    """Rows at the same units: tokens and seconds vary by ``common`` together, by ``noise`` each."""
    token, time = rng.uniform(1 - common, 1 + common, (2, units))
    own = rng.uniform(1 - noise, 1 + noise, (2, len(means), units))
    return tuple(
        RootRow(
            f"v{place}",
            "Iid(3, 3)",
            5 * mean * token * one,
            np.full(units, 5.0),
            np.outer([1, 2, 0.3], time * two),
            np.arange(units),
        )
        for place, (mean, one, two) in enumerate(zip(means, own[0], own[1], strict=True))
    )


# Intervals


@pytest.mark.parametrize("quantity", Quantity)
@pytest.mark.parametrize("level", [0.5, 0.99])
def test_paired_intervals_cover_the_truth_as_often_as_they_say(quantity, level):
    """Missed as often as a binomial count at the level can be; a jackknife may be a fifth too careful."""
    runs, missed = 400, 0
    for seed in range(runs):
        first, second = rows(np.random.default_rng(seed), (2.2, 2.0))
        found = paired(first, second, quantity).lead(level).ratio
        missed += not found.low <= 1.1 <= found.high
    error = 1e-5
    assert stats.binom.ppf(error, runs, 0.8 * (1 - level)) <= missed <= stats.binom.isf(error, runs, 1 - level)


@pytest.mark.parametrize("quantity", Quantity)
def test_the_mean_over_settings_covers_the_truth_as_often_as_it_says(quantity):
    runs, missed = 300, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        pairs = [rows(rng, (2.0 * ratio, 2.0), noise=noise) for ratio, noise in ((1.1, 0.01), (1.3, 0.05))]
        found = mean_of([paired(*pair, quantity) for pair in pairs]).lead(0.9).ratio
        missed += not found.low <= (1.1 * 1.3) ** 0.5 <= found.high
    error = 1e-5
    assert stats.binom.ppf(error, runs, 0.08) <= missed <= stats.binom.isf(error, runs, 0.1)


def test_rows_that_are_all_equal_are_seldom_told_apart_from_the_one_that_came_out_best():
    runs, false = 120, 0
    for seed in range(runs):
        at = RootSetting((1.0, 1.0), rows(np.random.default_rng(seed), (2.0,) * 6))
        first, *others = at.ranked(Quantity.SPEED)
        false += any(over(at, first, row).standing is not Standing.LEVEL for row in others)
    assert false <= stats.binom.isf(1e-5, runs, 0.05)


def test_what_two_rows_share_does_not_widen_their_interval():
    """The common factor is ten times the own noise; without pairing the interval would be several times as wide."""
    first, second = rows(np.random.default_rng(0), (2.2, 2.0), units=24)
    found, alone = paired(first, second, Quantity.SPEED), np.log(first.tokens / first.seconds.sum(axis=0))
    assert found.error < 0.25 * 2**0.5 * alone.std(ddof=1) / 24**0.5
    assert found.freedom == 23


def test_equal_laws_that_differ_by_rounding_are_not_told_apart():
    first, _ = rows(np.random.default_rng(0), (2.0, 2.0))
    second = RootRow("other", first.policy, first.tokens * (1 + 1e-8), first.roots, first.seconds, first.texts)
    assert paired(second, first, Quantity.EFFICIENCY).lead(0.95).standing is Standing.LEVEL
    assert paired(first, first, Quantity.EFFICIENCY).error == 0
    assert mean_of([Difference(0.0, 0.0, 7.0)] * 2).lead(0.95).standing is Standing.LEVEL


def test_a_rate_is_a_ratio_of_sums_and_a_level_is_split():
    row = RootRow(
        "a",
        "Chain(3)",
        np.array([4.0, 6.0]),
        np.array([2.0, 3.0]),
        np.array([[1, 2], [2, 3], [1, 1]]),
        np.array([0, 0]),
    )
    assert row.rate(Quantity.SPEED) == 1
    assert row.rate(Quantity.EFFICIENCY) == 2
    assert row.without(Quantity.SPEED).tolist() == [log(6 / 6), log(4 / 4)]
    assert row.share == 0.2
    assert row.step == (600, 1000, 400)
    assert each(5) == pytest.approx(0.99)
    assert exp(paired(row, row, Quantity.SPEED).value) == 1


def test_units_that_depend_on_each_other_within_a_text_are_seen():
    """Four units a text: of equal ratios the error by text is twice that by unit, of independent ones the same."""
    rng, texts = np.random.default_rng(0), np.repeat(np.arange(60), 4)
    ones, equal = np.ones(240), np.repeat(rng.uniform(0.9, 1.1, 60), 4)
    alone, fixed = rng.uniform(0.9, 1.1, 240), np.outer([1, 2, 1], ones)
    first, alike, free = (RootRow(name, "Chain(3)", tokens, ones, fixed, texts)
                          for name, tokens in (("a", 2 * ones), ("b", equal), ("c", alone)))  # fmt: skip
    found = {row.verifier: dependence(RootSetting((1.0, 1.0), (first, row)))[0] for row in (alike, free)}
    assert found["b"] == pytest.approx(2, rel=0.02)
    spread = stats.norm.isf(1e-5) / (2 * 59) ** 0.5
    assert abs(found["c"] - 1) < spread
    assert dependence(RootSetting((1.0, 1.0), rows(rng, (2.0, 2.0), units=2))) == ()


# What a run says


def test_delayed_trees_win_where_they_do_and_not_where_they_do_not():
    run = Wins.of(made())
    found = {one.verifier: one for one in delayed_of(run.settings[0], Quantity.EFFICIENCY)}
    assert found["traversal"].chain.name == "block, Chain(3)"
    assert found["traversal"].over_independent.standing is Standing.WINS
    assert found["traversal"].over_independent.ratio.value == pytest.approx(2.5 / 2.3, rel=0.02)
    assert found["naive_tree"].over_independent.standing is Standing.LEVEL
    assert found["traversal"].best.policy == "Delayed(3, 1, 2)"
    assert found["block"].delayed is found["block"].over_chain is None
    slower = dict(EFFICIENCY) | {("traversal", "Delayed(3, 1, 2)"): 1.9}
    (other,) = Wins.of(made(settings=((1.0, 1.0),), efficiency=slower)).settings
    (lost,) = (one for one in delayed_of(other, Quantity.SPEED) if one.verifier == "traversal")
    assert lost.over_independent.standing is lost.over_chain.standing is Standing.LOSES


def test_over_all_settings_delayed_trees_are_held_against_the_same_two_and_known_better():
    run = Wins.of(made())
    found = {one.verifier: one for one in pooled(run, Quantity.EFFICIENCY)}
    assert set(found) == {"naive_tree", "traversal"} and found["traversal"].chain == "naive, Chain(3)"
    assert found["traversal"].over_independent.standing is found["traversal"].over_chain.standing is Standing.WINS
    assert found["traversal"].over_independent.ratio.value == pytest.approx(2.5 / 2.3, rel=0.01)
    assert found["naive_tree"].over_independent.standing is Standing.LEVEL
    alone = paired(*(run.settings[0].row("traversal", policy) for policy in ("Delayed(3, 1, 2)", "Iid(3, 3)")),
                   Quantity.EFFICIENCY).lead(each(4)).ratio  # fmt: skip
    together = found["traversal"].over_independent.ratio
    assert together.high - together.low < alone.high - alone.low
    without = {pair: mean for pair, mean in EFFICIENCY.items() if "Chain(3)" not in pair}
    assert pooled(Wins.of(made(efficiency=without)), Quantity.SPEED) == ()


def test_verifiers_of_a_policy_are_held_against_its_baseline():
    found = {(one.policy, one.verifier): one for one in same_trees(Wins.of(made()))}
    assert len(found) == 6
    assert found["Chain(3)", "block"].baseline == "naive"
    assert found["Chain(3)", "naive"].ratio is None
    best = found["Iid(3, 3)", "traversal"]
    assert (best.baseline, best.fastest, best.most, best.settings) == ("naive_tree", 2, 2, 2)
    assert best.ratio.ratio.value == pytest.approx(2.3 / 2.1, rel=0.01)
    assert best.ratio.standing is Standing.WINS


def test_the_text_says_what_is_fastest_and_how_often_delayed_trees_win():
    text = told(wins_text(Wins.of(made())))
    assert "Fastest, of 2 settings: traversal, Delayed(3, 1, 2) in 2. In 2 it is told apart from all others." in text
    assert "wins 12 of 12 comparisons and loses 0" in text
    assert (
        "By block efficiency, delayed expansion wins 2 of 4 comparisons against independent trees of the same verifier"
        in text
    )
    assert "At the same trees, by block efficiency over all settings, a verifier wins 3 of 3" in text
    assert "Cannot be run: optimal_plan, Iid(3, 3): for small vocabularies" in text
    assert "Texts: 16 of 16 finished" in text
    assert "with whole texts left out in their place" in text
    assert "T 0.6, top-p 1: what is fastest, CPU time (7; 16 units, 80 roots)" in text


def test_a_long_ranking_shows_the_first_and_plain_decoding():
    many = dict(EFFICIENCY) | {(name, "Iid(4, 3)"): 2.2 for name in ("a", "b", "c", "d", "e", "f", "g", "naive_tree")}
    text = wins_text(Wins.of(made(settings=((1.0, 1.0),), efficiency=many)))
    ranking = text.split("\n\n")[1].splitlines()
    assert len(ranking) == 2 + 8 + 1
    assert ranking[-1].split()[:2] == ["nss", "Chain(0)"]
    assert "the first 8 of 15, and plain decoding" in ranking[0]


def test_random_weights_are_said_first_and_nothing_wins():
    text = wins_text(Wins.of(made(timing_only=True)))
    assert told(TIMING_ONLY) in told(text.split("\n\n")[0])
    assert "milliseconds a root" in text
    assert not any(
        word in told(text).replace(told(TIMING_ONLY), "") for word in ("wins 1", "Fastest", "tokens/s", "best")
    )


def test_the_wall_clock_counts_off_a_cpu():
    on_cpu, elsewhere = (Wins.of(made(device=device)).settings[0].rows[0] for device in ("cpu", "cuda"))
    assert elsewhere.rate(Quantity.SPEED) == pytest.approx(on_cpu.rate(Quantity.SPEED) / 1.2)


# The command


def command(*words):
    return cli.main(["wins", *map(str, words)])


def test_show_prints_a_half_finished_run_and_what_is_missing(tmp_path, capsys):
    made(tmp_path, done=9)
    with (tmp_path / WinsFile.name).open("a") as file:
        file.write('{"temperature": 1.0, "top_')
    assert command("--show", "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "Texts: 9 of 16 finished (the first that is not: 1 at T 1, top-p 1)" in told(printed)
    assert "Not shown, with fewer than 3 units of roots: T 1, top-p 1" in told(printed)
    assert printed.splitlines()[-1] == str(tmp_path / "wins.txt")
    assert (tmp_path / "wins.txt").read_text().strip() in printed


def test_a_run_with_too_little_says_so(tmp_path, capsys):
    made(tmp_path, done=1)
    assert command("--show", "--out", tmp_path) == 2
    assert "units enough" in capsys.readouterr().err


@pytest.fixture
def tiny(monkeypatch):
    """Random networks in place of the embedded ones."""
    monkeypatch.setattr("veridraft.gpu.models.random_models.load_timing_pair", lambda *names: tiny_pair())
    return ("--verifiers", "block,naive", "--policies", "Chain(1); Chain(2)", "--temperatures", "1", "--top-ps",
            "1", "--texts", "3", "--roots", "1", "--stride", "1")  # fmt: skip


def test_a_run_is_stopped_goes_on_and_is_printed(tiny, tmp_path, capsys, monkeypatch):
    record, calls = same_roots._TextWalk.record, []

    def once(walk):
        calls.append(walk.text)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return record(walk)

    monkeypatch.setattr(same_roots._TextWalk, "record", once)
    assert command(*tiny, "--out", tmp_path) == 130
    assert len(WinsFile.load(tmp_path).cells) == 1
    assert "the same command goes on" in capsys.readouterr().err
    assert command(*tiny, "--out", tmp_path) == 0
    assert calls == [0, 1, 1, 2]
    printed = capsys.readouterr()
    assert "Texts: 3 of 3 finished" in printed.out
    assert "wins: 3/3 texts" in printed.err
    assert "--policies 'Chain(1); Chain(2)' --temperatures 1" in WinsFile.load(tmp_path).command


BAD = {
    "--verifiers none": "none",
    "--policies Tree(3)": "Tree(3)",
    "--temperatures 1,1": "temperatures must be distinct",
    "--top-ps 0": "0",
    "--texts 0": "texts must be at least 1, but is 0",
    "--stride 0": "stride must be at least 1, but is 0",
    "--seed -1": "seed must be at least 0, but is -1",
    "--device nowhere": "device 'nowhere'",
    "--show --out NOWHERE": "No such file",
    "--show --out BROKEN": "line 1 is no JSON",
    "--show --out POOR": "text 0 at T 0.6, top-p 1 lacks 'verification' for nss, Chain(0)",
    "--show --out ZERO": "text 0 at T 0.6, top-p 1: tokens, roots or seconds of nss, Chain(0) are not positive",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_line_and_status_2(words, capsys, tmp_path):
    places = {name: tmp_path / name.lower() for name in ("NOWHERE", "BROKEN", "POOR", "ZERO")}
    for name in ("BROKEN", "POOR", "ZERO"):
        places[name].mkdir()
        spoil(places[name], name)
    with pytest.raises(SystemExit) as stop:
        command(*(places.get(word, word) for word in words.split()))
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert BAD[words] in printed.err


def spoil(folder, how):
    """A run's file that is broken, lacks a time, or has a unit without tokens."""
    file = made(folder, done=1)
    (unit, *_) = file.cells[0]["units"]
    cell = unit["cells"]["nss Chain(0)"]
    if how == "POOR":
        del cell["verification"]
    cell["tokens"] = 0
    head = {"kind": WinsFile.kind, "command": "", "settings": file.settings, "machine": MACHINE}
    lines = ["{]"] if how == "BROKEN" else [json.dumps(head), json.dumps(file.cells[0])]
    (folder / WinsFile.name).write_text("\n".join(lines) + "\n")


def test_defaults_are_those_of_the_plan():
    options = cli.parser("wins").parse_args(["wins"])
    plan = same_roots.RootPlan((), (), {}, ())
    assert wins_command._numbers(options) == {name: getattr(plan, name) for name in wins_command.NUMBERS}
    assert wins_command.command_of(options) == "veridraft wins"
