"""A suite as a person meets it: tables, page, comparisons between cells, statuses, a stop, bad input."""

from __future__ import annotations

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
from veridraft.gpu.files.kinds import SuiteFile
from veridraft.reports import cli
from veridraft.reports.studies.suites.page import render
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
    assert "at the same roots" in text


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


def test_random_weights_are_said_everywhere_and_no_winner_is_sent_for():
    given = read(plain(), cell(), timing_only=True, target="random:8B", draft="random:1B")
    assert "TIMING ONLY: the weights are random" in suite_text(given)
    shown = [*tables(given), memory_table(given, given.rows)]
    assert all("random weights: acceptance means nothing" in table.caption for table in shown)
    page = render(given)
    assert page.index("TIMING ONLY") < page.index('class="facts"')
    assert page.count("<caption>") == page.count("random weights: acceptance means nothing)")
    assert "study run wins" not in page + suite_text(given)


# The page


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of two settings, one cell that disagrees, names that need escaping."""
    cells = [*cells_of(("block", "traversal")), cell("naive", "Chain(3)", 0.2, z=-5.0)]
    given = read(*cells, target="a <model>")
    path = tmp_path_factory.mktemp("page") / "suite.html"
    path.write_text(render(given), encoding="utf-8")
    return path


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
        assert len(found["figures"]) == 2
        assert all(high > 100 and wide > 150 for wide, high in found["figures"])


# The command


def command(*words) -> int:
    """The study run, or shown where the first word says so."""
    action, *rest = words if words and words[0] == "show" else ("run", *words)
    return cli.main(["study", action, "suites", *map(str, rest)])


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
        f"status = main(['study', 'show', 'suites', '--out', {str(tmp_path)!r}])\n"
        "sys.exit(9 if 'torch' in sys.modules else status)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "Cells: 2 agree, 0 disagree, 0 cannot be run, 1 not finished (the first: block, Chain(3)" in told(run.stdout)
    assert run.stdout.splitlines()[-1] == str(tmp_path / "suite.html")
    assert (tmp_path / "suite.txt").read_text() in run.stdout
    assert "1 not finished" in (tmp_path / "suite.html").read_text()


def test_statuses_of_a_suite(tmp_path, capsys):
    assert command("show", "--out", written(tmp_path / "right", cell(z=1.0))) == 0
    assert command("show", "--out", written(tmp_path / "wrong", cell(z=1.0), cell("block", "Chain(3)", z=6.0))) == 1
    with pytest.raises(SystemExit) as stop:
        command("show", "--out", written(tmp_path / "empty", left_out()))
    assert stop.value.code == 2
    assert "no cell has been compared" in capsys.readouterr().err


def test_without_the_page_s_packages_the_text_stands(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("veridraft.reports.writing.html.find_spec", lambda name: None)
    assert command("show", "--out", written(tmp_path, cell(z=1.0))) == 0
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
    assert "Stopped: what was finished is kept in " in printed.err
    assert "the same command goes on from here." in printed.err
    assert "suites 1/2" in printed.err
    assert command(*words) in (0, 1)
    assert begun == ["nss", "block", "block"]
    printed = capsys.readouterr()
    assert "suites 2/2" in printed.err
    assert printed.out.splitlines()[-1] == str(tmp_path / "suite.html")
    file = SuiteFile.load(tmp_path)
    assert not file.missing
    assert file.command.startswith("veridraft study run suites --verifiers block --steps 12 --rows 2")
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


BAD = {
    "--suite huge": "invalid choice: 'huge'",
    "--suite small --verifiers nobody": "unknown verifier 'nobody'",
    "--suite small --policies Iid(3": "'Iid(3'",
    "--suite small --verifiers block --policies Iid(3,2)": "verifier 'block' takes none of the policies Iid(3, 2)",
    "--suite small --temperatures -1": "temperature must",
    "--suite small --temperatures warm": "'warm' is no number",
    "--suite small --top-ps 2": "top_p must",
    "--suite small --device nowhere": "device 'nowhere'",
    "--suite small --target random:8B": "give random:SHAPE for both",
    "show --out NOWHERE": "there is no suite at",
    "show --out BROKEN": "line 1 is no JSON",
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
