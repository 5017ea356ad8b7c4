"""Who measures the cells of a study: this process, several of this machine, or the workers of a Dask scheduler."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

from veridraft.gpu.files.cell_file import CellFile

from .options import COUNT, Options
from .scheduler import on_scheduler

PARALLEL: Options = {
    "--jobs": {"type": COUNT, "default": 1, "metavar": "N", "help": "processes that compute cells (default: 1)"},
    "--scheduler": {"metavar": "ADDRESS", "help": "compute cells on the workers of a Dask scheduler that runs there, "
                    "such as tcp://host:8786; scheduler and workers need the same veridraft"},
}  # fmt: skip
"""Options of a study whose cells may be computed elsewhere."""


@dataclass(frozen=True)
class Workers:
    """So many processes of this machine, or those of a scheduler; ``ValueError`` for no process, and for both."""

    jobs: int = 1
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ValueError(f"jobs must be at least 1, but is {self.jobs}")
        if self.scheduler is not None and self.jobs > 1:
            raise ValueError(f"jobs is {self.jobs}, but a scheduler has workers of its own: give one of the two")

    @classmethod
    def of(cls, options: argparse.Namespace) -> Workers:
        """Those that the options :data:`PARALLEL` ask for."""
        return cls(options.jobs, options.scheduler)

    def steps(self, file: CellFile, plan: Any) -> Iterator[tuple[int, int, Any]]:
        """Cells done, cells in all, and the file: at once, then after each cell."""
        if self.scheduler is not None:
            return on_scheduler(file, plan, self.scheduler)
        return file.finish(plan.measure) if self.jobs == 1 else in_processes(file, plan, self.jobs)


def in_processes(file: CellFile, plan: Any, jobs: int) -> Iterator[tuple[int, int, Any]]:
    """As :meth:`.CellFile.finish`; so many processes measure, this one writes.

    Each process starts anew and imports the plan's module.  Cells finish in any order; a stop, or a kill, ends the
    processes and loses the cells that they were in.
    """
    total = len(file.planned)
    yield len(file.finished), total, file
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _leave_with_parent)
    try:
        running = {pool.submit(plan.measure, *key): key for key in file.missing}
        for done in as_completed(running):
            file.add(dict(zip(file.fields, running[done], strict=True)) | done.result())
            yield len(file.finished), total, file
    finally:
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


def _leave_with_parent() -> None:
    """End this process as soon as the one that started it has ended, however it did."""
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    assert parent is not None, "a process of the pool was started by another"
    parent.join()
    os._exit(1)
