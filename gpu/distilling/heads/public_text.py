"""Pieces of public prose that installed packages carry as plain text: their docstrings, read without importing them.

Sources and licences: the standard library (PSF-2.0), NumPy (BSD-3-Clause), SciPy (BSD-3-Clause).
"""

from __future__ import annotations

import ast
import sysconfig
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from zlib import crc32

LICENCES = {"python": "PSF-2.0", "numpy": "BSD-3-Clause", "scipy": "BSD-3-Clause"}

SHORTEST, LONGEST = 160, 900
"""Characters of a piece."""

BLOCKS = (ast.stmt, ast.excepthandler, ast.match_case)
"""Nodes that may hold statements."""

SKIPPED = frozenset({"test", "tests", "idlelib", "lib2to3", "site-packages", "__pycache__", "turtledemo"})

HELD_OUT_SHARE = 10
"""One file in so many is for held-out texts alone."""


@lru_cache(maxsize=2)
def pieces(held_out: bool) -> tuple[str, ...]:
    """The pieces of the files that are, or are not, set apart for held-out texts; some thousands, in a fixed order.

    They depend on the installed versions; a piece that stands in files of both kinds is held out.
    """
    found = dict.fromkeys(piece for name, path in _files() if _is_apart(name) == held_out for piece in _pieces_of(path))
    apart = frozenset(() if held_out else pieces(True))
    return tuple(piece for piece in found if piece not in apart)


def _is_apart(name: str) -> bool:
    return crc32(name.encode()) % HELD_OUT_SHARE == 0


def _files() -> Iterator[tuple[str, Path]]:
    """The Python files of the sources, each with a name that does not depend on where it is installed."""
    for source in LICENCES:
        root = _root(source)
        for path in sorted(root.rglob("*.py")) if root else ():
            inside = path.relative_to(root) if root else path
            if not SKIPPED & set(inside.parts):
                yield f"{source}/{inside.as_posix()}", path


def _root(source: str) -> Path | None:
    """The folder of a source, if it is installed."""
    if source == "python":
        return Path(sysconfig.get_path("stdlib"))
    spec = find_spec(source)
    return Path(spec.origin).parent if spec and spec.origin else None


def _pieces_of(path: Path) -> Iterator[str]:
    """The docstrings of a file that are long enough, cut at the end of a paragraph or of a line."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError, ValueError):
        return
    for node in _statements(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            text = ast.get_docstring(node) or ""
            if len(text) >= SHORTEST:
                yield _cut(text)


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """A module and the statements in it, outer ones first; expressions, which hold no docstrings, are not walked."""
    waiting: deque[ast.AST] = deque([tree])
    while waiting:
        node = waiting.popleft()
        yield node
        waiting += (child for child in ast.iter_child_nodes(node) if isinstance(child, BLOCKS))


def _cut(text: str) -> str:
    """A text of at most ``LONGEST`` characters, ended where a paragraph ends if one does, else at a word."""
    if len(text) <= LONGEST:
        return text
    head = text[:LONGEST]
    end = max(head.rfind("\n\n"), 0)
    return head[:end] if end >= SHORTEST else head[: head.rfind(" ")]
