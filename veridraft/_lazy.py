"""Names of a package that are imported on first use, so that importing the package imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package, given its modules and, in one text each, the public names that live there.

    package : the package's ``__name__``
    homes : modules, relative to the package (``".batch"``) or absolute, to names separated by spaces
    """
    home_of = {name: module for module, names in homes.items() for name in names.split()}

    def get(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(home_of[name], package), name)
        setattr(import_module(package), name, value)
        return value

    return get
