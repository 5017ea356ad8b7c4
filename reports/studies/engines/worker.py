"""One audit in a process of its own: ``python -m veridraft.reports.studies.engines.worker MODULE KEY TRIALS``.

The module's ``auditees()`` holds the one of that key; TRIALS 0 is its own number.  The last line that is printed is the
record as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from .audited import engine_record
from .environments import Environment

WORKER = "veridraft.reports.studies.engines.worker"
SECONDS = 1500.0
"""An audit takes no longer than this."""


def main(module: str, key: str, trials: str) -> None:
    """Print the record."""
    (auditee,) = (found for found in import_module(module).auditees() if found.key == key)
    record = engine_record(auditee, int(trials) or None)
    print("\n" + json.dumps(record), flush=True)


def audited_apart(
    module: str, key: str, trials: int | None, environment: Environment, place: Path, seconds: float = SECONDS
) -> dict[str, Any]:
    """The record of an audit that is run in a process of its own, in its environment.

    A process that ends otherwise, or not in time, gives ``{"verdict": "error", "failure": why}``.
    """
    command = [sys.executable, "-m", WORKER, module, key, str(trials or 0)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, cwd=place,
                              env=environment.in_process(place))  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"verdict": "error", "failure": f"it was not finished after {seconds:g} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return {"verdict": "error", "failure": f"the process ended with status {done.returncode}: {last[:300]}"}
    found: dict[str, Any] = json.loads(done.stdout.rstrip().splitlines()[-1])
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
