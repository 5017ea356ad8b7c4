"""Cells of a study measured by several processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

from veridraft.gpu.files.cell_file import CellFile


def in_processes(file: CellFile, plan: Any, jobs: int) -> Iterator[tuple[int, int, Any]]:
    """Cells done, cells in all, and the file, as :meth:`.CellFile.finish`; so many processes measure, this one writes.

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
