"""Cells of a study per second: in one process, in two, on the two workers of a Dask cluster; a million cells on paper.

    python benchmarks/bench_study.py [--cells 4] [--quick]

Some cells of the study ``actions``, spread over its plan, are computed by each of the three in turn, from an empty file
each time.  Starting the processes of ``--jobs`` counts; the cluster runs already, as one does that ``--scheduler`` asks
for: a ``LocalCluster`` of two processes of one thread.  The cells must be equal.  What one costs is the CPU time of the
first run, which has one process; from it follows what a million would take.  Keep both cores free, and set
OMP_NUM_THREADS=1.  ``--quick`` computes cells of two trees, to see that it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import dask
from distributed import LocalCluster

from veridraft.gpu.files.cell_file import CellKey
from veridraft.reports.running.parallel import Workers
from veridraft.reports.running.sources import source_digest, versions
from veridraft.reports.studies.actions.plan import ActionPlan
from veridraft.reports.studies.actions.study import ActionFile

MANY = 1_000_000
"""Cells of the plan on paper."""

CORES, HOURS = 64, 24
"""A machine of so many cores; so long a wait."""

PIECE = 10_000
"""Cells of a folder of their own."""

WRITTEN = 200
"""Cells that are written again to see how fast a file takes them."""


@dataclass(frozen=True)
class Run:
    """The file of a run, and what it took by the wall clock and of this process's CPU time."""

    file: ActionFile
    seconds: float
    cpu: float


def main() -> None:
    """Print the table and the plan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=4, help="computed three times (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="cells of two trees, to see that it runs")
    options = parser.parse_args()
    plan, keys = ActionPlan(options.quick), spread(ActionPlan().settings()["cells"], options.cells)
    print(f"{len(keys)} cells of actions{' of two trees' if options.quick else ''}, Python {sys.version.split()[0]}, "
          f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")  # fmt: skip
    print(f"{'':28}{'wall s':>8}{'cells / s':>11}{'speed-up':>10}")
    first: Run | None = None
    for name, workers in WORKERS.items():
        with workers() as found:
            run = timed(plan, keys, found)
        first = first or run
        if run.file.cells != first.file.cells:
            raise SystemExit(f"{name} gives other cells than one process")
        print(f"{name:28}{run.seconds:8.1f}{len(keys) / run.seconds:11.4f}{first.seconds / run.seconds:10.2f}")
    assert first is not None
    print("\n".join(on_paper(first)))


def spread(cells: list[CellKey], count: int) -> list[CellKey]:
    """So many of the cells, as far apart as they can be."""
    return [cells[place * len(cells) // count] for place in range(count)]


@contextmanager
def jobs(count: int) -> Iterator[Workers]:
    """So many processes of this machine."""
    yield Workers(count)


@contextmanager
def cluster() -> Iterator[Workers]:
    """Two workers of one thread on this machine, under a scheduler."""
    patient = {"distributed.comm.timeouts.connect": "300s", "distributed.comm.timeouts.tcp": "300s"}
    two = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with dask.config.set(patient), LocalCluster(**two) as running:
        yield Workers(scheduler=running.scheduler_address)


WORKERS = {
    "1 process": lambda: jobs(1),
    "2 processes": lambda: jobs(2),
    "2 workers of a cluster": cluster,
}


def timed(plan: ActionPlan, keys: list[CellKey], workers: Workers) -> Run:
    """The cells computed by these workers, in a new file."""
    settings = plan.settings() | {"cells": keys, "code": source_digest(ActionPlan.__module__)}
    with TemporaryDirectory() as folder:
        file = ActionFile.open(folder, "", settings, versions())
        begin, used = perf_counter(), process_time()
        for _ in workers.steps(file, plan):
            pass
        return Run(file, perf_counter() - begin, process_time() - used)


def on_paper(run: Run) -> Iterator[str]:
    """What a million cells would take: cores, files, the process that writes."""
    cell, record = run.cpu / len(run.file.cells), run.file.cells[0]
    hours, size, kept = MANY * cell / 3600, len(json.dumps(record)) + 1, in_memory(record)
    rate = writing(run.file)
    machines = ceil(hours / CORES / HOURS)
    yield ""
    yield f"{MANY:,} cells at {cell:.2f} s of CPU each: {hours:,.0f} core hours,"
    yield f"  machines of {CORES} cores: {machines}, for {hours / machines / CORES:,.1f} hours"
    yield f"  a file of {MANY * size / 1e9:,.1f} GB, {size:,} bytes a cell, and a head of its keys"
    yield f"  the process that writes forces each to disk, {1e3 / rate:.2f} ms: enough for {rate * cell:,.0f} cores,"
    yield f"  and holds {kept / 1e3:,.0f} kB of each, {MANY * kept / 1e9:,.1f} GB: to be split by seeds into folders of"
    yield f"  {PIECE:,} cells, {PIECE * kept / 1e9:,.1f} GB in a process and {PIECE * size / 1e9:,.1f} GB in a file"


def writing(file: ActionFile) -> float:
    """Cells per second that a file takes."""
    record, keys = file.cells[0], [["steady", 1.0, 1.0, seed] for seed in range(WRITTEN)]
    with TemporaryDirectory() as folder:
        other = ActionFile.open(Path(folder), "", {"cells": keys, "code": ""}, {})
        begin = perf_counter()
        for key in keys:
            other.add(record | dict(zip(other.fields, key, strict=True)))
        return WRITTEN / (perf_counter() - begin)


def in_memory(record: dict) -> float:
    """Bytes that a finished cell takes in the process that holds it."""
    line = json.dumps(record)
    tracemalloc.start()
    held = [json.loads(line) for _ in range(10)]
    size = tracemalloc.get_traced_memory()[0] / len(held)
    tracemalloc.stop()
    return size


if __name__ == "__main__":
    main()
