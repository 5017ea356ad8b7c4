"""The explorer: its numbers are the library's, in Python and, at a thousand points, in a browser."""

from __future__ import annotations

import html
import json
import random
import re
from functools import cache

import numpy as np
import pytest
from browser import Outline, look

from veridraft.reports.cli import main
from veridraft.reports.commands.explore.grid import Grid, packed, survival, written
from veridraft.reports.commands.explore.machines import GPUS, model_of
from veridraft.reports.commands.explore.page import render
from veridraft.theory import Chain, Delayed, block_efficiency
from veridraft.theory.search.answers import Expected, answer_of
from veridraft.theory.speed import DEVICES, NETWORKS, Schedule

GRID = Grid(("naive", "specinfer", "lifted_rrs"), 2, 3, 4, (0.5, 0.8), (0.0, 0.15), (0.75, 1.0))
TREES = [(1, 0, length) for length in range(4)]
TREES += [(2, trunk, below) for trunk in range(3) for below in range(1, 4 - trunk)]
POINTS = 1000
DIGITS = 3e-8 * 4
"""A sum of four probabilities, each of three bytes."""


@pytest.fixture(scope="module")
def page():
    return render(GRID, [block for _, block in GRID.measure()])


@cache
def law(point, name, tree, method="dp"):
    """The library's own value."""
    return block_efficiency(name, policy_of(name, tree), GRID.pair(point), method)


def policy_of(name, tree):
    paths, trunk, branch = tree
    return Chain(trunk + branch) if name == "naive" or paths == 1 else Delayed(*tree)


@pytest.mark.parametrize("name", GRID.verifiers)
def test_survival_is_what_listing_all_drafts_gives(name):
    point = (0.5, 0.15, 0.75)
    table = survival(name, GRID.pair(point), 2, 3)
    for paths, trunk, branch in TREES[1:]:
        reach = law(point, name, (paths, trunk, branch), "enumerate").by_depth[::-1].cumsum()[::-1]
        row = table[0 if name == "naive" else paths - 1, trunk]
        np.testing.assert_allclose(row[: trunk + branch + 1], reach, atol=1e-12)


def test_probabilities_are_written_to_three_bytes():
    values = np.array([0.0, 1.0, 1 / 3])
    units = np.frombuffer(written(values), np.uint8).reshape(-1, 3) @ [65536, 256, 1]
    assert abs(units / (2**24 - 1) - values).max() < 3e-8
    assert len(packed(np.zeros((2, 3, 4)))) == 3 + 6


def test_acceptance_is_what_the_rows_have_in_common_at_the_root():
    for acceptance in (0.3, 0.95):
        pair = Grid(("naive",)).pair((acceptance, 0.1, 1.0))
        assert block_efficiency("naive", Chain(1), pair).value == pytest.approx(1 + acceptance)


PROBE = """
<script>
addEventListener("load", () => {
  const inner = document.getElementById("view").contentWindow, page = inner.document;
  const said = points.map(([state, place, paths, trunk, branch]) => {
    const one = inner.answer(state, place, { paths, trunk, branch });
    const numbers = [one.tokens, one.speed, one.gain].map((value) => value.toPrecision(10)).join(" ");
    return inner.missingRoom(state) ? `${numbers} -` : numbers;
  }).join(";");
  const move = (id, value) => {
    page.getElementById(id).value = value;
    page.getElementById(id).dispatchEvent(new inner.Event("input", { bubbles: true }));
    return ["tokens", "speed", "best", "death"].map((name) => page.getElementById(`fact-${name}`).textContent);
  };
  const moved = [move("branch", 1), move("acceptance", 0), move("temperature", 0), move("network", "405B")];
  const rows = [...page.querySelectorAll("#verifiers tr")].map((row) => row.textContent);
  const found = { said, moved, rows, circles: page.querySelectorAll("#tree .node").length,
    wide: page.documentElement.scrollWidth, room: page.getElementById("room").textContent,
    requests: inner.performance.getEntriesByType("resource").length };
  document.body.dataset.found = JSON.stringify(found);
});
</script>
"""


def some_points():
    """States of the page's machine, each with a verifier and a tree."""
    rng, found = random.Random(0), []
    for _ in range(POINTS):
        state = {
            "acceptance": rng.randrange(2), "parting": rng.randrange(2), "temperature": rng.randrange(2),
            "share": rng.randrange(61) / 100, "batch": 2 ** rng.randrange(9), "gpus": rng.choice(GPUS),
            "context": rng.choice((512, 8192)), "device": rng.choice(list(DEVICES)),
            "network": rng.choice(list(NETWORKS)),
        }  # fmt: skip
        found.append((state, rng.randrange(3), *rng.choice(TREES)))
    return found


def expected(state, place, *tree):
    """Tokens, tokens per second, gain and whether it does not fit, by the library."""
    name, axes = GRID.verifiers[place], ("acceptance", "parting", "temperature")
    point = tuple(getattr(GRID, f"{axis}s")[state[axis]] for axis in axes)
    policy, tokens = policy_of(name, tree), law(point, name, tree).value if sum(tree[1:]) else 1.0
    try:
        model = model_of(*(state[key] for key in ("device", "gpus", "network", "batch", "share", "context")))
    except ValueError as error:
        assert "GiB" in str(error)
        return tokens, None, None, True
    one = answer_of(Expected(name, policy, (tokens,), (Schedule.of_policy(policy),)), model, (state["context"],))
    return tokens, one.tokens_per_second, one.gain, False


@pytest.fixture(scope="module")
def found(page, tmp_path_factory):
    """What a browser says at all points, and after sliders were moved, on a narrow screen."""
    path = tmp_path_factory.mktemp("explore") / "page.html"
    path.write_text(page)
    frame = path.with_name("frame.html")
    view = '<iframe id="view" src="page.html" style="width:400px;height:900px;border:0"></iframe>'
    path.with_name("points.js").write_text(f"const points = {json.dumps(some_points())};")
    frame.write_text(f'<!doctype html><body>{view}<script src="points.js"></script>{PROBE}')
    dom, console = look(frame, "--dump-dom")
    assert console == []
    return json.loads(html.unescape(re.search(r'data-found="([^"]*)"', dom)[1]))


def test_a_browser_computes_what_the_library_computes_at_a_thousand_points(found):
    unfit = 0
    for point, said in zip(some_points(), found["said"].split(";"), strict=True):
        (tokens, speed, gain), wanted = map(float, said.split()[:3]), expected(*point)
        assert tokens == pytest.approx(wanted[0], abs=DIGITS)
        assert said.endswith("-") is wanted[3], point
        if not wanted[3]:
            assert (speed, gain) == pytest.approx(wanted[1:3], rel=DIGITS)
        unfit += wanted[3]
    assert 0 < unfit < POINTS / 2


def test_a_moved_slider_shows_what_python_gives(found):
    tree = (2, 1, 1)
    point = {"acceptance": 0, "parting": 0, "temperature": 1, "share": 0.1, "batch": 1, "gpus": 1, "context": 512,
             "device": "H100", "network": "8B"}  # fmt: skip
    cold = point | {"temperature": 0}
    for state, (told_tokens, told_speed, _, death) in zip((point, cold), found["moved"][1:3], strict=True):
        tokens, speed, gain, _ = expected(state, 2, *tree)
        assert told_tokens.startswith(f"{tokens:.4f}") and "lifted_rrs on Delayed(2, 1, 1)" in told_tokens
        shown = f"{speed:.0f}" if speed >= 100 else f"{speed:.1f}"
        assert told_speed == f"{shown} tokens/sfor each request; {gain:.2f} × plain decoding"
        assert "most die at depth" in death
    assert found["circles"] == 4 and len(found["rows"]) == 4 and found["rows"][-1].startswith("plain decoding")
    assert found["moved"][3][1] == "–it does not fit" and found["room"].startswith("405B with 1 × 512")
    assert (found["wide"], found["requests"]) == (400, 0)


def test_the_page_is_one_file_that_points_at_nothing_outside(page):
    outline = Outline(page)
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert not outline.all("link") and not any("src" in attributes for _, attributes in outline.elements)
    assert {label["for"] for label in outline.all("label") if "for" in label} <= set(ids)


BAD = {
    ("--verifiers", "greedy"): "verifier 'greedy' is lossless for no delayed tree",
    ("--verifiers", "sepctr"): "unknown verifier 'sepctr'",
    ("--vocabulary", "3"): "vocabulary must be at least 4, but is 3",
    ("--paths", "0"): "paths must be at least 1, but is 0",
    ("--out", "{folder}"): "a folder",
    ("--out", "{folder}/file/page.html"): "cannot be written",
}


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_input_is_one_line(words, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SystemExit) as stop:
        main(["explore", *(word.format(folder=tmp_path) for word in words)])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.count("\n") == 1 and BAD[words] in error


def test_the_command_writes_the_page_and_says_where(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("veridraft.reports.commands.explore.grid.Grid.points", GRID.points[:1])
    out = tmp_path / "new" / "page.html"
    words = ["explore", "--out", str(out), "--verifiers", "naive,specinfer", "--paths", "2", "--depth", "2"]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert "<title>What a draft tree gives" in out.read_text()
