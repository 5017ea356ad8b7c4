"""Which audits are run of the code that is installed, and what is not."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from . import audited_packages, audited_transformers, exact_transformers
from .audited import Auditee, record_of, version_of

SHARED = ("torch", "numpy", "tokenizers")
"""Packages that all audits depend on."""


@dataclass(frozen=True)
class RealAuditsPlan:
    """The audits whose name has ``only`` in it, each of at most ``trials`` (its own number by default).

    Raises ``ValueError`` if none of them can be run here.
    """

    only: str = ""
    trials: int | None = None

    def __post_init__(self) -> None:
        if self.trials is not None and self.trials < 1:
            raise ValueError(f"trials must be at least 1, but is {self.trials}")
        if not self._present:
            raise ValueError(f"only {self.only!r} leaves no audit of a package that is installed")

    @cached_property
    def _chosen(self) -> dict[str, Auditee]:
        known = audited_transformers.auditees() + audited_packages.auditees()
        return {auditee.key: auditee for auditee in known if self.only in auditee.key}

    @cached_property
    def _present(self) -> dict[str, Auditee]:
        return {key: auditee for key, auditee in self._chosen.items() if version_of(auditee.package)}

    def settings(self) -> dict[str, Any]:
        """What determines the audits: trials, versions, what is installed."""
        absent = [auditee.package for key, auditee in self._chosen.items() if key not in self._present]
        sampled = any(auditee.what == "_speculative_sampling" for auditee in self._present.values())
        packages = {auditee.package: version_of(auditee.package) for auditee in self._present.values()}
        return {
            "trials": self.trials,
            "versions": versions(),
            "packages": packages,
            "not_installed": list(dict.fromkeys(absent)),
            "left_out": audited_packages.LEFT_OUT,
            "emitted_at_zero": exact_transformers.emitted_at_zero() if sampled else None,
            "cells": [[key] for key in self._present],
        }

    def measure(self, key: str) -> dict[str, Any]:
        """One audit."""
        return record_of(self._present[key], self.trials)


def versions() -> dict[str, str]:
    """Of Python, and of what all audits share."""
    found = {"Python": platform.python_version()}
    return found | {name: version for name in SHARED if (version := version_of(name))}
