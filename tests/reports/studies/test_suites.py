"""A suite as a person meets it: tables, page, comparisons between cells, statuses, a stop, bad input."""

from __future__ import annotations

import argparse
import html
import json
import re
import subprocess
import sys

import pytest
from browser import frame, look
from gpu_tiny import tiny_pair
from scipy import stats
from suite_samples import MS, cell, cells_of, left_out, plain, suite

from veridraft.gpu.crosschecks import suite as gpu_suite
from veridraft.gpu.crosschecks.cell_file import SuiteFile
from veridraft.reports import cli
from veridraft.reports.studies.suites import study as suite_command
from veridraft.reports.studies.suites.leads import Quantity, Standing, Win, delays, lead, wins
from veridraft.reports.studies.suites.page import render, winners, write_suite_page
from veridraft.reports.studies.suites.rows import Shape, Suite, SuiteRow, shape_of
from veridraft.reports.studies.suites.tables import memory_table, share
from veridraft.reports.studies.suites.text import MOST_ROWS, suite_text, tables
from veridraft.theory.speed.rates import Term

PLACES = [(temperature, top_p) for temperature in (0.2, 0.6, 1.0, 1.2) for top_p in (1.0, 0.9)]


def read(*cells, **settings) -> Suite:
    return Suite.of(suite(cells or None, **settings))


def row(**changes) -> SuiteRow:
    return read(cell(**changes)).rows[0]


def told(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())


# Comparisons between cells


@pytest.mark.parametrize("quantity", Quantity)
@pytest.mark.parametrize("level", [0.5, 0.99])
def test_intervals_between_cells_cover_the_truth_as_often_as_they_say(quantity, level):
    """The truth: 1.1 in tokens, and in speed 1.1 over 1.2; missed as often as a binomial count at the level can be."""
    pairs, missed = 250, 0
    truth = 1.1 if quantity is Quantity.EFFICIENCY else 1.1 / 1.2
    for seed in range(pairs):
        first = row(seed=seed, efficiency=2.2, noise=0.05, slower=1.2)
        second = row(seed=pairs + seed, efficiency=2.0, noise=0.05)
        found = lead(first, second, quantity, level).ratio
        missed += not found.low <= truth <= found.high
    error = 1e-5
    assert stats.binom.ppf(error, pairs, 0.8 * (1 - level)) <= missed <= stats.binom.isf(error, pairs, 1 - level)


def test_standings_and_what_is_level_with_the_best():
    slow, fast = row(seed=1, efficiency=1.5), row(seed=2, efficiency=2.5)
    assert lead(fast, slow, Quantity.SPEED, 0.99).standing is Standing.WINS
    assert lead(slow, fast, Quantity.SPEED, 0.99).standing is Standing.LOSES
    assert lead(slow, slow, Quantity.SPEED, 0.99).standing is Standing.LEVEL
    near = row(seed=3, efficiency=2.5)
    win = Win((1.0, 1.0), (slow, fast, near), Quantity.SPEED, 0.999)
    assert {win.best, win.runner_up} == {fast, near}
    assert win.equals == 1
    assert win.over(win.best) is None
    assert win.plain is None


def test_plain_decoding_has_no_spread_in_tokens_and_is_compared_nonetheless():
    (win,) = wins(read(plain(), cell(efficiency=2.0, noise=0.01)), Quantity.EFFICIENCY)
    assert win.plain.verifier == "nss"
    assert win.over(win.plain).ratio.value == pytest.approx(2.0, rel=0.03)
    (alone,) = wins(read(plain()), Quantity.EFFICIENCY)
    assert lead(alone.best, alone.best, Quantity.EFFICIENCY, 0.99).standing is Standing.LEVEL


def test_delayed_trees_meet_the_verifiers_own_trees_and_the_best_chain_where_it_has_none():
    given = read(
        cell("traversal", "Delayed(3, 1, 2)", efficiency=2.6), cell("traversal", "Delayed(2, 1, 2)", efficiency=2.2),
        cell("traversal", "Iid(4, 3)", efficiency=2.0), cell("block", "Chain(3)", efficiency=3.2),
        cell("naive", "Chain(3)", efficiency=1.5),
    )  # fmt: skip
    (found,) = delays(given, Quantity.SPEED)
    assert found.delayed.policy == "Delayed(3, 1, 2)"
    assert found.over_independent.standing is Standing.WINS
    assert found.chain.verifier == "block"
    assert found.over_chain.standing is Standing.LOSES
    text = suite_text(given)
    assert "block, Chain(3)" in next(line for line in text.splitlines() if re.match(r"\s+1\s+1\s+traversal", line))
    assert "delayed expansion wins 1 of 2 comparisons and loses 1; 0 are not told apart" in told(text)


def test_shapes_by_name():
    names = {"Chain(0)": Shape.PLAIN, "Chain(3)": Shape.CHAIN, "NGram(3, 3)": Shape.LOOKUP, "Iid(4, 3)":
             Shape.INDEPENDENT, "Delayed(3, 1, 2)": Shape.DELAYED, "TopK(3, 3, 9)": Shape.OTHER}  # fmt: skip
    assert {name: shape_of(name) for name in names} == names


# What is printed


def test_a_small_suite_is_printed_cell_by_cell():
    given = read()
    text = told(suite_text(given))
    agree = sum(one.agrees for one in given.rows)
    assert f"Cells: {agree} agree, {len(given.rows) - agree} disagree, 2 cannot be run, 0 not finished" in text
    assert "Cannot be run (2 cells): optimal, Iid(4, 3): its law over 49,152 tokens takes minutes a tree" in text
    assert f"chance gives {len(given.scores) * 0.0026998:.2g}" in text
    largest = max(map(abs, given.scores))
    assert f"{len(given.scores)} looked at, the largest |z| is {largest:.2f}" in text
    assert [len(table.rows) for table in tables(given)[:3]] == [len(given.rows)] * 3
    best = {win.best.name for win in wins(given, Quantity.SPEED)}
    assert all(name in text for name in best)


def test_a_large_suite_is_printed_setting_by_setting_with_the_cells_that_are_farthest_off():
    cells = [one for one in cells_of(settings=PLACES) if (one["verifier"], one["policy"]) != ("block", "Chain(3)")]
    given = read(*cells, cell("block", "Chain(3)", 0.6, 0.9, z=4.5), missing=[("univer", "Iid(9, 1)", 0.2, 1.0)])
    assert len(given.rows) > 2 * MOST_ROWS
    found = tables(given)
    assert max(len(table.rows) for table in found) <= MOST_ROWS
    assert all(len(line) < 190 for line in suite_text(given).splitlines())
    by_setting, worst = found[:2]
    assert len(by_setting.rows) == len(PLACES)
    assert worst.rows[0][:2] == ("block", "Chain(3)")
    assert worst.rows[0][-1] == "disagrees"
    assert by_setting.rows[3][:5] == ("0.6", "0.9", "15", "14", "1")
    text = told(suite_text(given))
    assert "1 not finished (the first: univer, Iid(9, 1) at T 0.2, top-p 1)" in text
    assert "block, Chain(3) at T 0.6, top-p 0.9: DISAGREES: z is +4.50 (the verifier's coins)" in text
    assert "the difference +0.045 lies outside −0.040 to +0.040" in text


@pytest.mark.parametrize(("term", "name"), [(Term.VERIFICATION, "verification"), (Term.DRAFT, "draft passes")])
def test_the_term_that_parts_is_named(term, name):
    text = told(suite_text(read(cell(slower={term: 1 + 20 / MS[term]}, noise=0.005))))
    assert "traversal, Iid(4, 3) at T 1, top-p 1: throughput is 1" in text
    assert re.search(rf"% below its prediction; the most is {name}: −(19|20|21)\.", text)
    assert "0 of 1 predictions within 10 %" in text
    assert row(slower={term: 1 + 20 / MS[term]}).parting[0] == name


def test_equal_times_part_by_chance_as_rarely_as_they_say():
    """At level 0.99 for all terms of a cell; counted over 120 cells with an error of 1e-5."""
    cells = 120
    found = sum(row(seed=seed, noise=0.03).parting is not None for seed in range(cells))
    assert found <= stats.binom.isf(1e-5, cells, 0.01)


def test_verification_s_share_of_a_step():
    assert share(row(noise=0.0)) == pytest.approx(MS[Term.VERIFICATION] / sum(MS.values()))


def test_a_suite_of_too_few_rounds_has_scores_and_no_throughput():
    given = read(cell(count=2))
    text = suite_text(given)
    assert given.rows[0].tokens_per_second == 0
    assert "No cell has rounds enough" in text
    assert "Throughput of all requests" not in text
    assert "<h1>" in render(given)


def test_random_weights_are_said_everywhere_and_nothing_wins():
    given = read(plain(), cell(), timing_only=True, target="random:8B", draft="random:1B")
    assert "TIMING ONLY: the weights are random" in suite_text(given)
    shown = [*tables(given), memory_table(given, given.rows)]
    assert all("random weights: acceptance means nothing" in table.caption for table in shown)
    page = render(given)
    assert page.index("TIMING ONLY") < page.index('class="facts"')
    assert page.count("<caption>") == page.count("random weights: acceptance means nothing)")
    assert not winners(given)
    assert 'id="wins"' not in page


# The page


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of two settings, one cell that disagrees, names that need escaping."""
    cells = [*cells_of(("block", "traversal")), cell("naive", "Chain(3)", 0.2, z=-5.0)]
    given = read(*cells, target="a <model>")
    return write_suite_page(given, tmp_path_factory.mktemp("page") / "suite.html")


def test_the_page_holds_every_cell_and_escapes_names(page):
    text = page.read_text()
    assert "a &lt;model&gt;" in text
    assert "<model>" not in text
    bodies = [body.count("<tr>") for body in re.findall(r"<tbody>(.*?)</tbody>", text, flags=re.DOTALL)]
    assert bodies[-10:] == [6, 5, 6, 6, 6, 5, 4, 5, 5, 5]
    assert "0.600 / 0.590" in text
    assert "0.000 / 0.099" in text
    assert text.count('<li class="alarm">') == 2
    assert "z_draft is -5.00" in text
    assert "<image" not in text
    assert len(re.findall(r'id="[^"]*"', text)) == len(set(re.findall(r'id="[^"]*"', text)))


def test_chromium_shows_the_page_on_a_wide_and_on_a_narrow_screen(page):
    for width in (1400, 390):
        dom, console = look(frame(page, width), "--dump-dom", "--window-size=1500,1000")
        assert console == []
        found = json.loads(html.unescape(re.search(r'data-found="([^"]*)"', dom)[1]))
        assert found["page"][0] == width, "the page scrolls sideways"
        assert found["requests"] == []
        assert len(found["figures"]) == 3
        assert all(high > 100 and wide > 150 for wide, high in found["figures"])


# The command


def command(*words) -> int:
    return cli.main(["crosscheck", *map(str, words)])


def written(folder, *cells, **settings):
    """A folder with the suite's file."""
    suite(cells, folder=folder, **settings)
    return folder


def test_show_prints_what_is_finished_and_needs_no_torch(tmp_path):
    """The last line of the file is cut short by a kill."""
    path = written(tmp_path, plain(), cell(z=0.5), missing=[("block", "Chain(3)", 1.0, 1.0)]) / SuiteFile.name
    with path.open("a") as file:
        file.write('{"verifier": "block", "poli')
    code = (
        "import sys; from veridraft.reports.cli import main\n"
        f"status = main(['crosscheck', '--show', '--out', {str(tmp_path)!r}])\n"
        "sys.exit(9 if 'torch' in sys.modules else status)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "Cells: 2 agree, 0 disagree, 0 cannot be run, 1 not finished (the first: block, Chain(3)" in told(run.stdout)
    assert run.stdout.splitlines()[-1] == str(tmp_path / "suite.html")
    assert (tmp_path / "suite.txt").read_text() in run.stdout
    assert "1 not finished" in (tmp_path / "suite.html").read_text()


def test_statuses_of_a_suite(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(suite_command, "_page", lambda suite, folder: folder)
    assert command("--show", "--out", written(tmp_path / "right", cell(z=1.0))) == 0
    assert command("--show", "--out", written(tmp_path / "wrong", cell(z=1.0), cell("block", "Chain(3)", z=6.0))) == 1
    assert command("--show", "--out", written(tmp_path / "empty", left_out())) == 2
    assert "no cell has been compared" in capsys.readouterr().err


def test_without_the_page_s_packages_the_text_stands(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("veridraft.reports.commands.report.page.find_spec", lambda name: None)
    assert command("--show", "--out", written(tmp_path, cell(z=1.0))) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == str(tmp_path / "suite.txt")
    assert "suite.html is left out: the page needs matplotlib and jinja2" in printed.err
    assert not (tmp_path / "suite.html").exists()


def test_a_stopped_suite_goes_on_with_the_same_command(tmp_path, capsys, monkeypatch):
    """The interruption comes in the second cell; the first is kept and not run again."""
    measure, begun = gpu_suite.measure_cell, []

    def stopped(pair, one, plan):
        begun.append(one.verifier)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return measure(pair, one, plan)

    monkeypatch.setattr(gpu_suite, "measure_cell", stopped)
    monkeypatch.setattr("veridraft.gpu.models.random_models.load_timing_pair", lambda *given: tiny_pair())
    words = ["--suite", "small", "--verifiers", "block", "--steps", "12", "--rows", "2", "--out", tmp_path]
    assert command(*words) == 130
    printed = capsys.readouterr()
    assert "Stopped: the same command goes on from here." in printed.err
    assert "suite: 1/2 cells, about" in printed.err
    assert command(*words) in (0, 1)
    assert begun == ["nss", "block", "block"]
    printed = capsys.readouterr()
    assert "suite: 1/2 cells" in printed.err
    assert "suite: 2/2 cells\n" in printed.err
    assert printed.out.splitlines()[-1] == str(tmp_path / "suite.html")
    file = SuiteFile.load(tmp_path)
    assert not file.missing
    assert file.command.startswith("veridraft crosscheck --suite small --verifiers block --steps 12 --rows 2")
    assert f"Made by: {file.command}" in told(printed.out).replace(" - ", "-")


def test_running_out_of_memory_ends_with_a_line(tmp_path, capsys, monkeypatch):
    def full(pair, one, plan):
        raise MemoryError("a tree of 5 nodes would fit")

    monkeypatch.setattr(gpu_suite, "measure_cell", full)
    monkeypatch.setattr("veridraft.gpu.models.random_models.load_timing_pair", lambda *given: tiny_pair())
    with pytest.raises(SystemExit) as stop:
        command("--suite", "small", "--verifiers", "block", "--out", tmp_path)
    assert stop.value.code == 1
    assert "error: a tree of 5 nodes would fit" in capsys.readouterr().err


def test_the_command_that_is_kept_is_the_one_that_was_given():
    words = ["--suite", "full", "--policies", "Chain(3); Iid(4, 3)", "--temperatures", "0.2,1", "--pack"]
    parser = argparse.ArgumentParser()
    for flag, options in suite_command.OPTIONS.items():
        parser.add_argument(flag, **options)
    text = suite_command.command_of(parser.parse_args([*words, "--out", "x y"]))
    assert text == ("veridraft crosscheck --suite full --pack --policies 'Chain(3); Iid(4, 3)' --temperatures 0.2,1 "
                    "--out 'x y'")  # fmt: skip


BAD = {
    "": "--from is missing, and so is --suite",
    "--from x.jsonl --suite small": "--from and --suite exclude each other",
    "--from x.jsonl --rows 4": "--rows does not go with --from",
    "--from x.jsonl --show": "--from and --suite exclude each other",
    "--suite small --json": "--json does not go with --suite",
    "--suite small --verifier block": "--verifier does not go with --suite",
    "--suite huge": "invalid choice: 'huge'",
    "--suite small --verifiers nobody": "unknown verifier 'nobody'",
    "--suite small --policies Iid(3": "'Iid(3'",
    "--suite small --verifiers block --policies Iid(3,2)": "verifier 'block' takes none of the policies Iid(3, 2)",
    "--suite small --temperatures -1": "temperature must",
    "--suite small --temperatures warm": "could not convert string to float: 'warm'",
    "--suite small --top-ps 2": "top_p must",
    "--suite small --device nowhere": "device 'nowhere'",
    "--suite small --target random:8B": "give random:SHAPE for both",
    "--show --out NOWHERE": "No such file",
    "--show --out BROKEN": "line 1 is no JSON",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_line_and_status_2(words, capsys, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / SuiteFile.name).write_text("{]\n")
    places = {"NOWHERE": tmp_path / "no", "BROKEN": tmp_path / "broken"}
    with pytest.raises(SystemExit) as stop:
        command(*(places.get(word, word) for word in words.split()))
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert BAD[words] in printed.err
