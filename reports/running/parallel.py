"""Who measures the cells of a study: this process, several of this machine, or the workers of a Dask scheduler.

Dask is imported when it is asked for.
"""

from __future__ import annotations

import argparse
import os
import pickle
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Lock, Thread
from typing import Any

from veridraft.gpu.files.cell_file import CellFile, CellKey

from .options import COUNT, Options
from .progress import Talk
from .sources import source_digest, versions
from .verifiers import SOURCES, load_verifier

WAIT = 10
"""Seconds in which a scheduler must answer."""

AHEAD = 1000
"""Cells that a scheduler holds at once, so that a study of a million is handed over bit by bit."""

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
        sent, wanted = pickled(plan), wanted_of(file)
        running = {pool.submit(measured, sent, key, wanted): key for key in file.missing}
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


def on_scheduler(file: CellFile, plan: Any, address: str) -> Iterator[tuple[int, int, Any]]:
    """Cells done, cells in all, and the file, as :meth:`.CellFile.finish`; workers measure, this process writes.

    Cells finish in any order.  A cell whose worker dies is given to another one.  Raises ``ValueError`` for a scheduler
    that does not answer, ``ConnectionError`` for one that is lost, and for a worker of other code or versions.
    """
    from distributed import as_completed as as_gathered

    sent, wanted, waiting = pickled(plan), wanted_of(file), iter(file.missing)
    with _client(address) as client:
        yield len(file.finished), len(file.planned), file
        running = {client.submit(measured, sent, key, wanted, pure=False): key for key in islice(waiting, AHEAD)}
        queue = as_gathered(running, loop=client.loop)
        for future in queue:
            key = running.pop(future)
            with _lost(address):
                file.add(dict(zip(file.fields, key, strict=True)) | future.result())
            for more in islice(waiting, 1):
                new = client.submit(measured, sent, more, wanted, pure=False)
                running[new] = more
                queue.add(new)
            yield len(file.finished), len(file.planned), file


def wanted_of(file: CellFile) -> dict[str, str]:
    """What a worker must compute with: the code, versions, and own verifiers by their names."""
    own: dict[str, str] = file.settings.get("own", {})
    return {"code": file.settings["code"]} | file.machine | own


def pickled(plan: Any) -> bytes:
    """The plan without what its properties keep, which every process finds itself."""
    bare = copy(plan)
    for name in [name for name in vars(bare) if isinstance(getattr(type(plan), name, None), cached_property)]:
        del vars(bare)[name]
    return pickle.dumps(bare)


def measured(plan: bytes, key: CellKey, wanted: Mapping[str, str]) -> dict[str, Any]:
    """The cell of a key, by a pickled plan, on a worker of the ``wanted`` code, versions and own verifiers.

    One cell at a time in a process: some change a module for as long as they take.  Raises ``ConnectionError`` where
    something is not as it is wanted.
    """
    with _ALONE:
        own = _unpickled(plan)
        found = _own(type(own).__module__, tuple(name for name in wanted if ":" in name))
        for name, value in wanted.items():
            if found.get(name) != value:
                raise ConnectionError(f"a worker's {name} is {found.get(name)}, not {value}: install the same there")
        cell: dict[str, Any] = own.measure(*key)
    return cell


_ALONE = Lock()


@cache
def _unpickled(plan: bytes) -> Any:
    """The plan of this process, which keeps what it finds."""
    return pickle.loads(plan)


@cache
def _own(module: str, verifiers: tuple[str, ...]) -> dict[str, str]:
    """What this process computes with; the verifiers are loaded."""
    for name in verifiers:
        try:
            load_verifier(name)
        except ValueError as error:
            raise ConnectionError(f"a worker lacks an own verifier: {error}") from None
    return {"code": source_digest(module)} | versions() | {name: SOURCES[name] for name in verifiers}


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """A connection to the scheduler."""
    from distributed import Client

    try:
        client = Client(address, timeout=WAIT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"scheduler {address!r} does not answer: {error}") from None
    with client:
        Talk.say(f"scheduler {address}: {len(client.nthreads())} workers")
        yield client


@contextmanager
def _lost(address: str) -> Iterator[None]:
    """Turn what Dask raises where cells cannot be had any more into ``ConnectionError``."""
    from distributed import KilledWorker

    try:
        yield
    except (CancelledError, KilledWorker, ImportError) as error:
        said = str(error) or type(error).__name__
        raise ConnectionError(f"scheduler {address!r} gives no more cells: {said}") from None
