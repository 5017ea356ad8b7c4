"""How a report was made: command, versions, machine, duration."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata

from .data import Provenance
from .settings import Settings

PACKAGES = ("numpy", "scipy", "POT", "torch", "transformers", "matplotlib", "jinja2")


def provenance(settings: Settings, started: float, source: str) -> Provenance:
    """What the report is made with; ``started`` is a value of ``time.time()``, ``source`` a digest of the code."""
    return Provenance(
        command=settings.command,
        veridraft=metadata.version("veridraft"),
        source=source,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        started=datetime.fromtimestamp(started, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        seconds=0.0,
        packages=tuple(_installed()),
    )


def _installed() -> list[tuple[str, str]]:
    found = []
    for package in PACKAGES:
        try:
            found.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            continue
    return found
