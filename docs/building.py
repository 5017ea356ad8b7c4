"""What is made when the pages are built: formulas as MathML, which need no script."""

from __future__ import annotations

import re
from typing import Any

from latex2mathml.converter import convert

CODE = re.compile(r"(```.*?```|`[^`\n]*`)", flags=re.DOTALL)
BLOCK, INLINE = re.compile(r"\$\$(.+?)\$\$", flags=re.DOTALL), re.compile(r"\$([^$\n]+)\$")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """The page with its formulas."""
    parts = CODE.split(markdown)
    parts[::2] = [with_formulas(part) for part in parts[::2]]
    return "".join(parts)


def with_formulas(text: str) -> str:
    """The text with what stands between dollars as MathML."""
    text = BLOCK.sub(lambda found: convert(found[1].strip(), display="block"), text)
    return INLINE.sub(lambda found: f"<span>{convert(found[1])}</span>", text)  # a line may begin with it
