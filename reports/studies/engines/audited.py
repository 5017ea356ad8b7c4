"""An audit of an engine's sampler, and the page of a lossy one: lines that show it, run as they stand."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..real_audits.audited import Auditee, record_of


@dataclass(frozen=True)
class EngineAuditee(Auditee):
    """As :class:`Auditee`, and what a maintainer needs where it is lossy.

    Fields
    ------
    prepare : makes the engine importable in this process; called once, before anything else of it
    lines : a short program that shows the defect; what it prints becomes part of the record
    """

    prepare: Callable[[], None] = lambda: None
    lines: str = ""


def engine_record(auditee: EngineAuditee, trials: int | None = None) -> dict[str, Any]:
    """The record of the audit; of a lossy one the lines that show it, and what they print."""
    auditee.prepare()
    record = record_of(auditee, trials)
    shown = auditee.lines if record["verdict"] == "lossy" else ""
    return record | {"lines": shown, "printed": printed(shown) if shown else ""}


def printed(lines: str) -> str:
    """What a program prints; an error that it ends with stands in the last line."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(lines, "<lines>", "exec"), {"__name__": "__main__"})
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
    return out.getvalue().rstrip()
