"""Calls of somebody's code: a time limit, and one kind of error for everything that can go wrong."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any


class Fault(Enum):
    """Why a callable could not be audited."""

    RAISED = "it raised an exception"
    TIMED_OUT = "it did not return in time"
    WRONG_SHAPE = "it returned something of a wrong shape or type"
    OUTSIDE_VOCABULARY = "it returned a token outside the vocabulary"


AGAIN = 0.25
"""Seconds after which a late call is interrupted again: Python drops what is raised inside a destructor or a hook."""


class CallError(Exception):
    """A call that did not give emitted tokens: ``fault`` says why, the message with what."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class _Late(BaseException):
    """Raised inside a call by the alarm; no handler of ``Exception`` in the called code can swallow it."""


class Guard:
    """Calls functions with a time limit in seconds (above 0; ``None``: no limit).

    In the main thread the limit interrupts Python code and sleeping by an alarm signal; an alarm that someone else
    had set is set again afterwards.  In another thread, or without such signals, the call runs in a thread of its
    own, which is left behind if it is late.  Neither stops compiled code that never returns to the interpreter.
    """

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and not seconds > 0:
            raise ValueError(f"call_seconds must be above 0, but is {seconds}")
        self.seconds = seconds
        self._armed = False

    @contextmanager
    def armed(self) -> Iterator[None]:
        """In the body many calls share one alarm handler, which makes each of them cheaper."""
        if self._armed or self.seconds is None or not _has_alarm():
            yield
            return
        with _alarm_handler():
            self._armed = True
            try:
                yield
            finally:
                self._armed = False

    def call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """What the function returns; raises :class:`CallError` if it raises or is late.  Ctrl-C passes through."""
        try:
            if self.seconds is None:
                return function(*arguments, **keywords)
            if self._armed:
                return self._in_time(lambda: function(*arguments, **keywords))
            if _has_alarm():
                with self.armed():
                    return self._in_time(lambda: function(*arguments, **keywords))
            return self._in_a_thread(lambda: function(*arguments, **keywords))
        except _Late:
            raise CallError(Fault.TIMED_OUT, f"no answer within {self.seconds:g} seconds") from None
        except CallError:
            raise
        except (Exception, SystemExit) as error:
            raise CallError(Fault.RAISED, _described(error)) from error

    def _in_time(self, call: Callable[[], Any]) -> Any:
        """The call's result, or :class:`_Late` once its time is over; the handler is there."""
        signal.setitimer(signal.ITIMER_REAL, self.seconds or 0.0, AGAIN)
        try:
            return call()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _in_a_thread(self, call: Callable[[], Any]) -> Any:
        """The call's result, out of a thread that is given up when it is late."""
        box: dict[str, Any] = {}

        def work() -> None:
            try:
                box["value"] = call()
            except BaseException as error:
                box["error"] = error

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(self.seconds)
        if thread.is_alive():
            raise _Late
        if "error" in box:
            raise box["error"]
        return box["value"]


def _has_alarm() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextmanager
def _alarm_handler() -> Iterator[None]:
    """Let an alarm raise :class:`_Late` in the body; the handler and the alarm that were there before go on."""

    def ring(number: int, frame: Any) -> None:
        raise _Late

    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    handler, start = signal.signal(signal.SIGALRM, ring), time.monotonic()
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, handler)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(1e-6, left - (time.monotonic() - start)), interval)


def _described(error: BaseException) -> str:
    """The exception, and the last line of the called code that led to it, if any is known."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    own = [frame for frame in frames if os.path.exists(frame.filename) and "site-packages" not in frame.filename]
    where = "".join(f" ({frame.filename}, line {frame.lineno}, in {frame.name})" for frame in (own or frames)[-1:])
    return f"{type(error).__name__}: {error}".removesuffix(": ") + where
