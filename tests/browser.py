"""Headless Chromium, for tests that look at a page as a reader does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--allow-file-access-from-files",
    "--enable-logging=stderr",
)


def require_chromium() -> str:
    """The browser's path; without one the test skips by name, or fails where a browser is demanded."""
    found = shutil.which("chromium")
    if found is None and os.environ.get("VERIDRAFT_REQUIRE_BROWSER"):
        pytest.fail("chromium is missing, and VERIDRAFT_REQUIRE_BROWSER is set")
    if found is None:
        pytest.skip("the page is not looked at: Debian's chromium is not installed")
    return found


def look(page: Path, *options: str) -> tuple[str, list[str]]:
    """What the browser prints for a page, and the lines of its console."""
    with tempfile.TemporaryDirectory() as profile:
        command = [require_chromium(), *FLAGS, f"--user-data-dir={profile}", *options, page.as_uri()]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return run.stdout, re.findall(r":CONSOLE[^\]]*\] (.*)", run.stderr)


MEASURE = """
<script>
addEventListener("load", () => {
  const view = document.getElementById("view");
  const inner = view.contentDocument;
  const root = inner.documentElement;
  const box = (selector) => [...inner.querySelectorAll(selector)].map((item) => {
    const size = item.getBoundingClientRect();
    return [Math.round(size.width), Math.round(size.height)];
  });
  const found = {
    page: [root.scrollWidth, root.scrollHeight], tables: box("table"), figures: box("figure svg"),
    heading: getComputedStyle(inner.querySelector("h1")).fontSize,
    requests: view.contentWindow.performance.getEntriesByType("resource").map((entry) => entry.name),
  };
  document.body.dataset.found = JSON.stringify(found);
});
</script>
"""


def frame(page: Path, width: int) -> Path:
    """A file beside the page that shows it in a window of the given width and writes down what it measures."""
    path = page.with_name(f"frame-{width}.html")
    view = f'<iframe id="view" src="{page.name}" style="width:{width}px;height:900px;border:0"></iframe>'
    path.write_text(f"<!doctype html><body>{view}{MEASURE}</body>")
    return path


class Outline(HTMLParser):
    """Elements with their attributes, in order, and the tags left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "img", "link", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
