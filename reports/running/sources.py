"""Which source files a module's results come from, a digest of them, and the versions of what else computes."""

from __future__ import annotations

import ast
import hashlib
import platform
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import scipy

import veridraft


def source_digest(*modules: str) -> str:
    """A digest of the source of everything that the modules import of ``veridraft``, 16 hexadecimal digits.

    modules : dotted names below ``veridraft``; ``ValueError`` for one that has no source file
    """
    digest = hashlib.sha256()
    for name in sorted(import_closure(*modules)):
        digest.update(name.encode() + b"\0" + _file(name).read_bytes())
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Versions that numbers may depend on."""
    return {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__}


def import_closure(*modules: str) -> frozenset[str]:
    """The modules and all that they import of ``veridraft``, anywhere in their code, and so on.

    A name that a package's face re-exports stands for the module that it comes from, not for the whole package.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imported(name)
    return frozenset(found)


def _imported(module: str) -> Iterator[str]:
    """The modules that a module imports from directly."""
    for base, names in _statements(module):
        for name in names:
            yield _home(base, name)


def _home(base: str, name: str) -> str:
    """The module that a name imported from a module or package comes from."""
    if _exists(f"{base}.{name}"):
        return f"{base}.{name}"
    if _file(base).name != "__init__.py":
        return base
    return next((_home(inner, name) for inner, names in _statements(base) if name in names), base)


def _statements(module: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Each import of ``veridraft`` in a module: where from, and the names."""
    file, package = _file(module), tuple(module.split("."))
    return _imports(file.read_bytes(), package if file.name == "__init__.py" else package[:-1])


@cache
def _imports(source: bytes, package: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The imports of ``veridraft`` in the source of a module that lies in a package; each source is read once."""
    return tuple(_import_statements(ast.parse(source), package))


def _import_statements(tree: ast.Module, package: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base.split(".")[0] == "veridraft":
                yield base, tuple(alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parent, _, name = alias.name.rpartition(".")
                if parent.split(".")[0] == "veridraft":
                    yield parent, (name,)


def _exists(module: str) -> bool:
    return _places(module) != []


def _file(module: str) -> Path:
    """The source file of a module, or the face of a package."""
    found = _places(module)
    if not found:
        raise ValueError(f"modules: {module!r} has no source file below veridraft")
    return found[0]


def _places(module: str) -> list[Path]:
    inner = module.split(".")[1:]
    places = [Path(folder, *inner) for folder in veridraft.__path__]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return [file for file in files if file.is_file()]
