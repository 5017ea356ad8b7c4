"""The page: what stands in it, what it needs, and how it looks in a browser."""

from __future__ import annotations

import html
import json
import re

import pytest
from browser import Outline, frame, look
from PIL import Image
from reports_samples import real_row, sample

from veridraft.reports.commands.report.data import CertificateRow, League, RealRun
from veridraft.reports.commands.report.page import headlines, render, write_page
from veridraft.reports.writing.html import duration, require_page_packages


@pytest.fixture(scope="module")
def page():
    return render(sample())


def test_page_is_well_formed_with_unique_ids_and_links_that_lead_somewhere(page):
    outline = Outline(page)
    assert outline.open == []
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [link["href"] for link in outline.all("a")]
    assert targets
    assert {target.removeprefix("#") for target in targets} <= set(ids)


def test_page_points_at_nothing_outside_itself_and_runs_no_script(page):
    outline = Outline(page)
    for tag, attributes in outline.elements:
        for name in ("src", "href", "xlink:href", "action", "data", "style"):
            assert "//" not in (attributes.get(name) or ""), (tag, attributes)
    assert not outline.all("script")
    assert not outline.all("link")
    assert "@import" not in page
    policy = next(meta["content"] for meta in outline.all("meta") if meta.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_page_is_accessible(page):
    outline = Outline(page)
    assert outline.all("html")[0]["lang"] == "en"
    headers = outline.all("th")
    assert headers
    assert all(header.get("scope") in ("col", "row") for header in headers)
    assert page.count("<caption>") == page.count("<table>") == 4
    pictures = [a for _, a in outline.elements if a.get("role") == "img"]
    assert len(pictures) == page.count("<svg") == 3
    assert all(len(picture["aria-label"]) > 40 for picture in pictures)
    assert len(outline.all("h1")) == 1


def test_page_shows_every_cell_and_escapes_names(page):
    text = html.unescape(re.sub(r"<[^>]+>", " ", page))
    for cell in ("2.5000", "3.2500", "0.7500", "3,456", "2.0e-16", "+0.040", "±0.200", "20.0", "1 min 01 s"):
        assert cell in text
    assert "big &lt;model&gt;" in page
    assert "plain generation stays" in " ".join(text.split())


def test_page_says_what_was_left_out_and_drops_the_real_part(page):
    without = render(sample(real=None, left_out=("the moon",)))
    assert "Left out:</strong> the moon" in without
    assert 'id="real"' not in without
    assert 'id="real"' in page


def test_page_of_a_run_stopped_at_once_renders():
    league = sample().league
    empty = League(4, 3, league.families, ())
    page = render(sample(league=empty, profiles=(), certificates=(), real=None))
    assert "<h1>" in page
    assert headlines(sample(league=empty, certificates=(), real=None)) == []


def test_headlines_raise_an_alarm_where_something_is_wrong():
    wells = [well for _, _, well in headlines(sample())]
    assert wells == [True] * 4
    lossy = CertificateRow("naive", ("Chain",), 1, 9, "1/27", 0.037, "naive: the string (0,) has ...")
    rows = (real_row(z_draft=-4.5, verdict="disagrees"),)
    broken = sample(certificates=(lossy,), real=RealRun("t", "d", "cpu", rows))
    assert [well for _, _, well in headlines(broken)] == [False, True, False, False]
    page = render(broken)
    assert page.count('<li class="alarm">') == 3
    assert "1/27" in page
    assert "Lossy:</strong> naive: the string (0,)" in page


def test_durations_in_words():
    assert [duration(s) for s in (0.4, 59.4, 59.6, 185)] == ["0 s", "59 s", "1 min 00 s", "3 min 05 s"]


def test_missing_packages_are_named_with_the_way_to_install_them(monkeypatch):
    monkeypatch.setattr("veridraft.reports.writing.html.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"matplotlib and jinja2.*veridraft\[report\]"):
        require_page_packages()


def test_chromium_shows_the_page_on_a_wide_and_on_a_narrow_screen(tmp_path):
    path = write_page(sample(), tmp_path / "report.html")
    for width in (1280, 390):
        dom, console = look(frame(path, width), "--dump-dom", "--window-size=1400,1000")
        assert console == []
        found = json.loads(html.unescape(re.search(r'data-found="([^"]*)"', dom)[1]))
        assert found["page"][0] == width, "the page scrolls sideways"
        assert found["page"][1] > 2000
        assert found["requests"] == []
        assert len(found["tables"]) == 4
        assert len(found["figures"]) == 3
        assert all(high > 100 and wide > 300 for wide, high in found["tables"][:1] + found["figures"])
        assert width == 390 or all(wide <= width - 40 for wide, _ in found["tables"]), "a table is cut off"
        assert found["heading"] == ("32px" if width == 1280 else "25.6px")


def test_chromium_renders_every_row_of_every_table(tmp_path):
    path = write_page(sample(), tmp_path / "report.html")
    dom, console = look(path, "--dump-dom")
    assert console == []
    bodies = re.findall(r"<tbody>(.*?)</tbody>", dom, flags=re.DOTALL)
    assert [body.count("<tr>") for body in bodies] == [2, 2, 2, 1]


def test_chromium_paints_it(tmp_path):
    path = write_page(sample(), tmp_path / "report.html")
    shot = tmp_path / "page.png"
    look(path, f"--screenshot={shot}", "--window-size=1000,1500")
    with Image.open(shot) as image:
        assert image.size == (1000, 1500)
        colours = image.convert("RGB").getcolors(maxcolors=1_000_000)
    counts = {colour: count for count, colour in colours}
    assert max(counts, key=counts.get) == (255, 255, 255)
    assert len(counts) > 100
    assert (0, 114, 178) in counts
    assert (213, 94, 0) in counts


def test_the_look_at_a_page_can_fail(tmp_path):
    """A picture from outside is refused by the page's own policy, and the console says so."""
    path = write_page(sample(), tmp_path / "report.html")
    path.write_text(path.read_text().replace("<main>", '<main><img src="https://outside.invalid/x.png">'))
    _, console = look(path, "--dump-dom")
    assert any("outside.invalid" in line for line in console)
