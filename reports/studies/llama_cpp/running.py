"""Servers of llama.cpp on this machine: started, waited for, and stopped by their own process ids, whatever happens."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...servers.http import NotReadyError, ServerError
from ...servers.llama_cpp import LlamaCpp
from ...servers.table import server_at

HOST = "127.0.0.1"

ALWAYS = ("-t", "1", "-td", "1", "-np", "1", "-c", "2048", "--metrics", "--no-webui")
"""One thread each for target and draft: more of them wait for each other on cores that others use too."""

STARTING, STOPPING, ANSWERING = 120.0, 10.0, 60.0
"""Seconds that a server has to load its model, to end, and to answer a request."""


@dataclass(frozen=True)
class Starter:
    """Starts servers.

    binary : the path of ``llama-server``
    port : of the first server, the next ones are those of further servers; 0 takes any that is free
    logs : the folder of what they print
    """

    binary: Path
    port: int
    logs: Path

    def version(self) -> str:
        """What the binary says of itself; ``ValueError`` if it cannot be run, or says nothing."""
        try:
            done = subprocess.run([self.binary, "--version"], capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ValueError(f"binary {str(self.binary)!r} cannot be run: {error}") from None
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "version" in line]
        if done.returncode or not lines:
            raise ValueError(f"binary {str(self.binary)!r} does not tell a version: is it llama-server?")
        return lines[0].strip()

    @contextmanager
    def running(self, number: int, model: Path, more: Sequence[str] = ()) -> Iterator[LlamaCpp]:
        """The server of that number with a model and further flags, as long as the context lasts.

        A :class:`~...servers.http.ServerError` says if it could not be started, or ended while it was asked.
        """
        port = self.port + number if self.port else free_port()
        command = [str(self.binary), "-m", str(model), "--host", HOST, "--port", str(port), *ALWAYS, *more]
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"server-{number}.log"
        with log.open("wb") as sink, _ended_by_kill():
            process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, preexec_fn=_end_with_parent)
            try:
                yield _once_ready(process, f"http://{HOST}:{port}", log)
            except ServerError as error:
                raise ServerError(f"{error}{_fate(process, log)}") from None
            finally:
                _stop(process)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _once_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> LlamaCpp:
    until = time.monotonic() + STARTING
    while True:
        try:
            server = server_at(address, LlamaCpp.kind, ANSWERING)
            assert isinstance(server, LlamaCpp)
            return server
        except NotReadyError as error:
            if process.poll() is not None:
                raise ServerError("a server ended before it answered") from None
            if time.monotonic() > until:
                raise ServerError(f"a server does not answer after {STARTING:g} s: {error}") from None
            time.sleep(0.1)


def _fate(process: subprocess.Popen[bytes], log: Path) -> str:
    """What became of a server that does not answer; a killed one takes a moment to be gone."""
    try:
        status = process.wait(1.0)
    except subprocess.TimeoutExpired:
        return f" (the server is still there; its log: {log})"
    last = (log.read_text(errors="replace").strip().splitlines() or ["nothing"])[-1]
    return f" (the server of process {process.pid} ended with status {status}; the end of {log}: {last[:200]})"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a server, gently first."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOPPING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _ended_by_kill() -> Iterator[None]:
    """Let the signal of ``kill`` end the work as Ctrl-C does, so that what was started is stopped."""
    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:  # not the main thread, which alone hears signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_with_parent() -> None:
    """In a started process on Linux: ends if its parent is gone; Ctrl-C reaches the parent alone, which ends it."""
    os.setpgrp()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
