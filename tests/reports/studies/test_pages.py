"""Pages of studies: what stands first, how numbers, verdicts and references look, what is said together."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from browser import Outline, look
from suite_samples import cell
from suite_samples import suite as suite_of
from wins_samples import made

from veridraft.reports.studies.suites.page import render
from veridraft.reports.studies.suites.rows import Suite
from veridraft.reports.studies.suites.telling import said_one_by_one, said_together
from veridraft.reports.studies.wins.page import note
from veridraft.reports.studies.wins.rows import Wins
from veridraft.reports.writing.markdown import Note, Section, render_note

RUNS = Path(__file__).parents[3] / "reports" / "runs"
ROWS = (
    ("fine", "no defect found", "1,500", "of 2403.10444, 3"),
    ("bad", "lossy", "64", "vllm-project/vllm PR #44744; (someone/else issue #7, not #x)"),
    ("odd", "error", "9", "0.1 to 0.2"),
)
HEADS = ("what", "verdict", "trials", "seen in")


def page():
    section = Section("Verdicts", ("As 2211.17192 says.",), HEADS, ROWS, drawing=lambda: "<svg></svg>", caption="a bar")
    return render_note(Note("A title", "A lead.", (section, Section("b"), Section("c")), "veridraft study"))


def test_lossy_stands_first_and_verdicts_are_signs():
    text = page()
    assert text.index(">bad<") < text.index(">fine<") < text.index(">odd<")
    assert text.count('<tr class="alarm">') == 1
    for verdict in ("lossy", "error", "no"):
        assert f'<td class="verdict {verdict}">' in text
    assert text.index("<svg") < text.index("As <a")
    outline = Outline(text)
    targets = {link["href"] for link in outline.all("a") if link["href"].startswith("#")}
    assert targets == {f"#{part['id']}" for part in outline.all("section")} and len(targets) == 3


def test_issues_and_papers_are_links_and_numbers_stand_right():
    text = page()
    links = {link["href"] for link in Outline(text).all("a")}
    assert {"https://github.com/vllm-project/vllm/issues/44744", "https://github.com/someone/else/issues/7",
            "https://arxiv.org/abs/2403.10444", "https://arxiv.org/abs/2211.17192"} == {
                one for one in links if one.startswith("https")}  # fmt: skip
    words = html.unescape(re.sub(r"<[^>]+>", "", text))
    assert all(cell_ in words for row in ROWS for cell_ in row)
    assert text.count('<td class="number">') == 3, "the last column is one of words, with a span in it"
    assert '<th scope="col" class="number">trials</th>' in text


SORT = """<!doctype html><body><iframe id="view" src="page.html"></iframe><script>
addEventListener("load", () => {
  const page = document.getElementById("view").contentDocument, heads = page.querySelectorAll("thead th");
  const column = (place) => [...page.querySelectorAll("tbody tr")].map((row) => row.cells[place].textContent);
  const found = [column(2)];
  for (const place of [2, 2, 0]) { heads[place].click(); found.push(column(2)); }
  document.body.dataset.found = JSON.stringify(found);
});
</script>"""


def test_a_click_on_a_head_sorts_in_chromium(tmp_path):
    (tmp_path / "page.html").write_text(page())
    (tmp_path / "frame.html").write_text(SORT)
    dom, console = look(tmp_path / "frame.html", "--dump-dom")
    assert console == []
    found = json.loads(html.unescape(re.search(r'data-found="([^"]*)"', dom)[1]))
    assert found == [["64", "1,500", "9"], ["9", "64", "1,500"], ["1,500", "64", "9"], ["64", "1,500", "9"]]


def test_what_has_a_picture_stands_first_and_long_names_break_behind_underscores():
    pictured = Section("With a picture", drawing=lambda: "<svg></svg>", caption="a bar")
    name = "forbidden_draft_sampled_anew"
    text = render_note(Note("A title", "A lead.", (Section("Words", (name,)), Section("More"), pictured), "a command"))
    titles = re.findall(r"<h2>(.*?)</h2>", text)
    assert titles == ["With a picture", "Words", "More"]
    assert re.findall(r'<a href="#part-\d">(.*?)</a>', text) == titles
    assert f"<p>{name.replace('_', '_<wbr>')}</p>" in text


@pytest.mark.parametrize("committed", sorted(RUNS.glob("*/*.html")), ids=lambda path: path.parent.name)
def test_a_committed_page_is_light_and_begins_with_a_picture(committed):
    text = committed.read_text(encoding="utf-8")
    assert len(text.encode()) < 500_000
    assert text.index("<svg") < text.index("<table")


def test_cells_that_are_off_without_a_reason_are_one_sentence():
    off = [cell(verifier, seed=seed, noise=0.5, slower=1.3) for seed, verifier in enumerate(("nss", "spectr", "block"))]
    suite = Suite.of(suite_of(off))
    together = said_together(suite)
    unnamed = [row for row in suite.timed if not row.near and row.parting is None]
    assert unnamed and together.startswith(f"{len(unnamed)} cell")
    assert not any("no term" in sentence for sentence in said_one_by_one(suite))
    assert together in html.unescape(render(suite))
    assert said_together(Suite.of(suite_of([cell(noise=0.0)]))) == ""


def test_the_page_of_wins_shows_every_table_and_calls_plain_decoding_that():
    run = Wins.of(made())
    text = render_note(note(run))
    assert text.count("<svg") == 1 and text.index("<svg") < text.index("Fastest, of 2 settings")
    assert "<td>no draft</td>" in text and "Chain(0)" not in text
    assert text.count("<table") == len(note(run).sections) - 2
