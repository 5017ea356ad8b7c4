"""What a notebook's HTML says, read by a parser."""

from __future__ import annotations

from html.parser import HTMLParser

ALLOWED = {"div", "p", "span", "strong", "code", "table", "thead", "tbody", "tr", "th", "td"}
"""Elements of a sheet, beside those of its picture."""


class SheetReader(HTMLParser):
    """The sheet's title, facts, table and note; the texts of its picture; raises for what does not belong there."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.title, self.sign = "", ""
        self.paragraphs: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.drawn: list[str] = []
        self.circles: list[dict[str, str]] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    @property
    def facts(self) -> dict[str, str]:
        """Of the first table, if it has no head."""
        return dict(self.tables[0])

    def handle_starttag(self, tag, attrs):
        assert "svg" in (*self.open, tag) or tag in ALLOWED, tag
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "p":
            self.paragraphs.append("")

    def handle_startendtag(self, tag, attrs):
        assert "svg" in self.open
        if tag == "circle":
            self.circles.append(dict(attrs))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "svg" in self.open:
            self.drawn += [data] * (self.open[-1] == "text")
        elif self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data
        elif "p" in self.open:
            self.paragraphs[-1] += data
            self.title += data * (self.open[-1] == "strong")
            self.sign += data * (self.open[-1] == "span")


def read(shown) -> SheetReader:
    """What a result shows in a notebook."""
    return SheetReader(shown._repr_html_())
