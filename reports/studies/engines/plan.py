"""Which audits of engines are run, each in a process of its own."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from veridraft.gpu.models.embedded import cache_folder

from ..real_audits.plan import versions
from . import table
from .audited import EngineAuditee
from .table import Engine
from .worker import audited_apart


@dataclass(frozen=True)
class EnginesPlan:
    """The audits whose name has ``only`` in it, each of at most ``trials`` (its own number by default).

    environments : the folder that holds the engines' environments, ``engines`` in the cache folder by default
    Raises ``ValueError`` if no audit has such a name, or none of them can be run here.
    """

    only: str = ""
    trials: int | None = None
    environments: Path | None = None

    def __post_init__(self) -> None:
        if self.trials is not None and self.trials < 1:
            raise ValueError(f"trials must be at least 1, but is {self.trials}")
        if not self._chosen:
            raise ValueError(f"only {self.only!r} leaves no audit of an engine")
        if not self._places:
            raise ValueError(f"only {self.only!r} leaves no engine that can be installed: {self._problems}")

    @cached_property
    def _chosen(self) -> dict[str, tuple[Engine, EngineAuditee]]:
        """Audits by their names."""
        known = {auditee.key: (engine, auditee) for engine in table.ENGINES for auditee in engine.auditees()}
        return {key: found for key, found in known.items() if self.only in key}

    @cached_property
    def _prepared(self) -> tuple[dict[str, Path], dict[str, str]]:
        """Of the engines that are needed: environments by name, and what is wrong with the others."""
        folder = self.environments or cache_folder() / "engines"
        places, problems = {}, {}
        for engine in dict.fromkeys(engine.name for engine, _ in self._chosen.values()):
            found = next(one for one in table.ENGINES if one.name == engine)
            try:
                places[engine] = found.environment.prepared(folder)
            except OSError as error:
                problems[engine] = str(error)
        return places, problems

    @property
    def _places(self) -> dict[str, Path]:
        return self._prepared[0]

    @property
    def _problems(self) -> dict[str, str]:
        return self._prepared[1]

    def settings(self) -> dict[str, Any]:
        """What determines the audits: trials, versions, what is installed; and the modules that hold the audits."""
        engines = {engine.name: engine for engine, _ in self._chosen.values() if engine.name in self._places}
        return {
            "trials": self.trials,
            "versions": versions(),
            "machine": platform.machine(),
            "engines": {name: engine.environment.holds() for name, engine in engines.items()},
            "not_installed": self._problems,
            "left_out": dict(table.LEFT_OUT),
            "cells": [[key] for key, (engine, _) in self._chosen.items() if engine.name in engines],
        }

    def measure(self, key: str) -> dict[str, Any]:
        """One audit."""
        engine, auditee = self._chosen[key]
        environment, place = engine.environment, self._places[engine.name]
        found = audited_apart(engine.module, key, self.trials, environment, place)
        return _unfinished(engine, auditee) | {"engine": engine.name} | found


def _unfinished(engine: Engine, auditee: EngineAuditee) -> dict[str, Any]:
    """The record of an audit that came to nothing."""
    said = {name: getattr(auditee, name) for name in ("package", "what", "settings", "claim", "remark")}
    return said | {
        "version": engine.name.split()[-1], "form": auditee.form.value, "trials": 0, "seconds": 0.0, "cases": 0,
        "findings": [], "observations": [], "would_have_found": [1.0, 1.0], "largest_log_e": 0.0, "exact": None,
        "lines": "", "printed": "",
    }  # fmt: skip
