"""Docstrings of the library as Markdown: their lists ``name : what it is`` become lists of the page."""

from __future__ import annotations

import re
from typing import Any

import griffe

SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}\n", flags=re.MULTILINE)
ENTRY = re.compile(r"^([\w*]+(?:, [\w*]+)*) : ")
ROLE = re.compile(r":(?:class|func|meth|attr|mod):`[.~]?([^`]+)`")


class Docstrings(griffe.Extension):
    """Rewrites every docstring before it is read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """The text of a docstring as Markdown."""
    text = ROLE.sub(r"`\1`", SECTION.sub(r"**\1**\n\n", text))
    lines: list[str] = []
    for line in text.splitlines():
        entry = ENTRY.match(line)
        behind_entry = bool(lines) and lines[-1].startswith(("- **", "    "))
        if line and (entry or not line.startswith(" ")) and lines and lines[-1] and bool(entry) != behind_entry:
            lines.append("")
        lines.append(f"- **{entry[1]}**: {line[entry.end() :]}" if entry else line)
    return "\n".join(lines)
