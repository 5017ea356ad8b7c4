"""Cells of a study measured by the workers of a Dask scheduler; Dask is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import Any

from veridraft.gpu.files.cell_file import CellFile, CellKey

from .progress import Talk
from .sources import source_digest, versions

WAIT = 10
"""Seconds in which a scheduler must answer."""

AHEAD = 1000
"""Cells that a scheduler holds at once, so that a study of a million is handed over bit by bit."""


def on_scheduler(file: CellFile, plan: Any, address: str) -> Iterator[tuple[int, int, Any]]:
    """Cells done, cells in all, and the file, as :meth:`.CellFile.finish`; workers measure, this process writes.

    Cells finish in any order.  A cell whose worker dies is given to another one.  Raises ``ValueError`` for a scheduler
    that does not answer, ``ConnectionError`` for one that is lost, and for a worker of other code or versions.
    """
    from distributed import as_completed

    wanted = {"code": file.settings["code"]} | file.machine
    waiting = iter(file.missing)
    with _client(address) as client:
        yield len(file.finished), len(file.planned), file
        running = {client.submit(measured, plan, key, wanted, pure=False): key for key in islice(waiting, AHEAD)}
        queue = as_completed(running, loop=client.loop)
        for future in queue:
            key = running.pop(future)
            with _lost(address):
                file.add(dict(zip(file.fields, key, strict=True)) | future.result())
            for more in islice(waiting, 1):
                new = client.submit(measured, plan, more, wanted, pure=False)
                running[new] = more
                queue.add(new)
            yield len(file.finished), len(file.planned), file


def measured(plan: Any, key: CellKey, wanted: Mapping[str, str]) -> dict[str, Any]:
    """The cell of a key, on a worker whose code and versions are the ``wanted`` ones; else ``ConnectionError``."""
    found = _own(type(plan).__module__)
    for name, value in wanted.items():
        if found.get(name) != value:
            raise ConnectionError(f"a worker's {name} is {found.get(name)}, not {value}: install the same there")
    cell: dict[str, Any] = plan.measure(*key)
    return cell


@cache
def _own(module: str) -> dict[str, str]:
    """What this process computes with."""
    return {"code": source_digest(module)} | versions()


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
