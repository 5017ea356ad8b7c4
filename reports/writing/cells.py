"""What a page makes of the words of a table: which are numbers, which are verdicts, where links and breaks stand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

NUMBER = re.compile(r"[-+±−–]?\d\S*( %|.* (to|/|±|of) [-+±−–]?\d.*)?")
"""A cell that is read as a number: one, per cent, a span, a fraction, a share."""

MOST = 25
"""Characters of the longest number."""

LONG = 22
"""Characters of the longest cell that is not broken."""

VERDICTS = ("lossy", "error", "undecided", "no defect found", "FOUND")

BREAKS = re.compile(r"(?<=_)|(?<=[a-z])(?=[A-Z])")
"""Where a long name may be broken."""


def columns_of(rows: Sequence[Sequence[str]]) -> tuple[bool, ...]:
    """For each column whether it holds numbers: more than words, where a cell is not empty or a dash."""
    return tuple(map(_are_numbers, zip(*rows, strict=True)))


def _are_numbers(column: Sequence[str]) -> bool:
    cells = [cell for cell in column if cell not in ("", "-", "–")]
    return 2 * sum(len(cell) <= MOST and bool(NUMBER.fullmatch(cell)) for cell in cells) > len(cells)


def kind(cell: str, is_number: bool) -> str:
    """The classes of a cell in a column of numbers, or of words."""
    if cell in VERDICTS:
        return f"verdict {cell.split(' ')[0].lower()}"
    return "number" if is_number else "long" if len(cell) > LONG else ""


def linked(text: str) -> str:
    """The text as HTML: #123 behind a repository and numbers of arXiv as links, long names with places to break."""
    repository, words = "", []
    for word in text.split(" "):
        bare = word.strip("(),;.:")
        if bare.count("/") == 1 and not bare.startswith("/"):
            repository = bare
        words.append(_word(word, bare, repository))
    return " ".join(words)


def _word(word: str, bare: str, repository: str) -> str:
    if repository and re.fullmatch(r"#\d+", bare):
        return _link(word, bare, f"https://github.com/{repository}/issues/{bare[1:]}")
    if re.fullmatch(r"\d{4}\.\d{5}", bare):
        return _link(word, bare, f"https://arxiv.org/abs/{bare}")
    return "<wbr>".join(map(escape, BREAKS.split(word))) if len(word) > 16 else escape(word)


def _link(word: str, shown: str, address: str) -> str:
    """The word, in which what is shown leads to the address."""
    before, _, behind = word.partition(shown)
    return f'{escape(before)}<a href="{escape(address)}">{shown}</a>{escape(behind)}'
