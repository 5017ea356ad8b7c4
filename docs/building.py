"""What is made when the pages are built: formulas as MathML, which need no script, and the notebook as a page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from notebooks import as_markdown  # beside this file

CODE = re.compile(r"(```.*?```|`[^`\n]*`)", flags=re.DOTALL)
BLOCK, INLINE = re.compile(r"\$\$(.+?)\$\$", flags=re.DOTALL), re.compile(r"\$([^$\n]+)\$")


NOTEBOOK = re.compile(r"^<!-- ([\w-]+\.ipynb) -->$", flags=re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """The page with its formulas, and with the notebooks that it names in a comment."""
    markdown = NOTEBOOK.sub(lambda found: notebook_text(found[1]), markdown)
    parts = CODE.split(markdown)
    parts[::2] = [with_formulas(part) for part in parts[::2]]
    return "".join(parts)


def notebook_text(name: str) -> str:
    """A notebook of this folder as Markdown, without its title, which the page has."""
    text = as_markdown(json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8")))
    return text.split("\n", 1)[1]


def with_formulas(text: str) -> str:
    """The text with what stands between dollars as MathML."""
    text = BLOCK.sub(lambda found: convert(found[1].strip(), display="block"), text)
    return INLINE.sub(lambda found: f"<span>{convert(found[1])}</span>", text)  # a line may begin with it
