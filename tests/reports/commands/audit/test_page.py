"""The page of an audit: well formed, true to the audit, and shown by a browser."""

import html
import json
import re
from dataclasses import replace

import pytest
from browser import Outline, frame, look
from PIL import Image

from veridraft.reports.commands.audit.page import headlines, render
from veridraft.simulate import Audit, Finding, Sign, Verdict, audit


def always_drafted(target, draft, tokens, rng):
    return [int(tokens[0])]


def shortest(target, draft, tokens, rng):
    return [int(min((target[0].cumsum() <= rng.random()).sum(), target[0].nonzero()[0][-1]))]


def broken(target, draft, tokens, rng):
    raise RuntimeError("a <b> that must be escaped")


@pytest.fixture(scope="module")
def audits() -> dict[Verdict, Audit]:
    """One audit of each kind."""
    return {
        Verdict.LOSSY: audit(always_drafted),
        Verdict.NO_DEFECT_FOUND: audit(shortest, trials=1500, chosen_uniforms=False),
        Verdict.ERROR: audit(broken),
        Verdict.UNDECIDED: audit(shortest, seconds=0.001),
    }


@pytest.fixture(scope="module")
def pages(audits) -> dict[Verdict, str]:
    return {verdict: render(result, "veridraft audit a:b") for verdict, result in audits.items()}


@pytest.mark.parametrize("verdict", Verdict)
def test_page_is_well_formed_and_points_at_nothing_outside(pages, verdict):
    outline = Outline(pages[verdict])
    assert outline.open == []
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert not outline.all("script")
    for tag, attributes in outline.elements:
        for name in ("src", "href", "xlink:href", "style"):
            assert "//" not in (attributes.get(name) or ""), (tag, attributes)
    pictures = [attributes for _, attributes in outline.elements if attributes.get("role") == "img"]
    assert len(pictures) == pages[verdict].count("<svg")
    assert all(len(picture["aria-label"]) > 40 for picture in pictures)


def words_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_a_lossy_page_shows_the_counterexample_and_the_numbers_of_its_pictures(audits, pages):
    finding, words = audits[Verdict.LOSSY].findings[0], words_of(pages[Verdict.LOSSY])
    assert "No: the text that it emits does not have the target’s law." in words
    assert "The counterexample" in words
    assert "Where the laws differ" in words
    assert f"{finding.expected:.6g}" in words
    assert f"{finding.observed:.6g} in {finding.trials:,} trials" in words
    assert pages[Verdict.LOSSY].count("<svg") == 3
    assert "veridraft audit a:b" in words


def test_a_passing_page_says_what_a_pass_is_worth(audits, pages):
    words, sure = words_of(pages[Verdict.NO_DEFECT_FOUND]), audits[Verdict.NO_DEFECT_FOUND].smallest_total_variation
    assert "A pass is no proof." in words
    assert f"to {sure:.2g} total variation that would surely have been found" in words
    assert "The counterexample" not in words
    for case in audits[Verdict.NO_DEFECT_FOUND].cases:
        assert f"{case.case} {case.policy} {case.vocabulary_size} {case.length} {case.trials:,}" in words


def test_a_page_of_a_chosen_uniform_says_that_chance_shows_nothing(audits):
    sign, found = Sign.CHOSEN_UNIFORMS, audits[Verdict.NO_DEFECT_FOUND]
    finding = Finding(sign, "zeros", 0, (0,), 0.0, 1.0, 1, 0.0, place="with 0.0 as uniform 1 of 2")
    words = words_of(render(replace(found, verdict=Verdict.LOSSY, findings=(finding,)), "veridraft audit a:b"))
    assert "is the target’s probability of 0 ..., which a chosen uniform brings out" in words
    assert "with 0.0 as uniform 1 of 2" in words
    assert "Where the laws differ" not in words
    assert "Nothing was left to chance here" in words


def test_an_error_page_says_what_happened_and_shows_no_law(pages):
    page = pages[Verdict.ERROR]
    assert "RuntimeError: a &lt;b&gt; that must be escaped" in page
    assert "Why it could not be audited" in page
    assert "<svg" not in page
    assert "nothing is said about its law" in words_of(page)


def test_headlines_raise_an_alarm_unless_it_passed(audits):
    assert [well for _, _, well in headlines(audits[Verdict.NO_DEFECT_FOUND])] == [True] * 4
    for verdict in (Verdict.LOSSY, Verdict.ERROR, Verdict.UNDECIDED):
        assert not headlines(audits[verdict])[0][2]


def test_chromium_shows_the_page_on_a_wide_and_on_a_narrow_screen(tmp_path, pages):
    path = tmp_path / "audit.html"
    path.write_text(pages[Verdict.LOSSY])
    for width in (1280, 390):
        dom, console = look(frame(path, width), "--dump-dom", "--window-size=1400,1000")
        assert console == []
        found = json.loads(html.unescape(re.search(r'data-found="([^"]*)"', dom)[1]))
        assert found["page"][0] == width, "the page scrolls sideways"
        assert found["requests"] == []
        assert len(found["tables"]) == 2
        assert len(found["figures"]) == 3
        assert all(high > 60 and wide > 300 for wide, high in found["figures"])


def test_chromium_paints_expected_and_observed(tmp_path, pages):
    path = tmp_path / "audit.html"
    path.write_text(pages[Verdict.LOSSY])
    shot = tmp_path / "page.png"
    look(path, f"--screenshot={shot}", "--window-size=1000,1500")
    with Image.open(shot) as image:
        colours = {colour for _, colour in image.convert("RGB").getcolors(maxcolors=1_000_000)}
    assert {(0, 114, 178), (213, 94, 0), (163, 59, 0)} <= colours
