"""Stand-ins of packages that an engine imports and its sampler never uses: a server's, a tokenizer's, a metric's.

Whatever is asked of a stand-in is a class that takes any arguments, can be inherited from, and as a decorator gives
back what it decorates.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Attributes(type):
    """The class of stand-ins: attributes of them are stand-ins too."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in(name)

    def __iter__(cls) -> Any:
        return iter(())


def stand_in(name: str) -> Any:
    """A class of that name that takes anything."""

    def new(cls: type, *arguments: Any, **keywords: Any) -> Any:
        if len(arguments) == 1 and callable(arguments[0]) and not keywords:
            return arguments[0]
        return object.__new__(cls)

    return _Attributes(name, (), {
        "__new__": new, "__init__": lambda self, *arguments, **keywords: None,
        "__init_subclass__": classmethod(lambda cls, **keywords: None),
        "__class_getitem__": classmethod(lambda cls, item: cls),
        "__get_pydantic_core_schema__": classmethod(lambda cls, source, handler: {"type": "any"}),
        "__getattr__": lambda self, name: getattr(type(self), name),
        "__call__": lambda self, *arguments, **keywords: arguments[0] if arguments else None,
    })  # fmt: skip


class _Module(ModuleType):
    """A module all of whose names are stand-ins."""

    __version__ = "0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = stand_in(name)
        setattr(self, name, found)
        return found


class StandIns(MetaPathFinder, Loader):
    """Finds the given packages, and everything inside them."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """A package of stand-ins, for a name that is listed or lies below one."""
        listed = any(fullname == name or fullname.startswith(f"{name}.") for name in self.names)
        return ModuleSpec(fullname, self, is_package=True) if listed else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module."""
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing."""


def install(absent: Iterable[str] = (), replaced: Iterable[str] = ()) -> None:
    """From now on, what is absent and not installed is a stand-in, and so is what is replaced, installed or not."""
    sys.meta_path.append(StandIns(absent))
    sys.meta_path.insert(0, StandIns(replaced))
