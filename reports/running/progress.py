"""Progress of long work on the standard error stream, drawn by tqdm: a bar in place, or lines in a log."""

from __future__ import annotations

import logging
import os
import sys
from types import TracebackType
from typing import Any, TextIO

BAR = "{desc} {n_fmt}/{total_fmt} |{bar}| {elapsed}<{remaining}{postfix}"
LINE = "{desc} {n_fmt}/{total_fmt} ({elapsed}, about {remaining} left{postfix})"
END = "{desc} {n_fmt}/{total_fmt} ({elapsed})"

LONGEST_DETAIL = 60


class Talk:
    """What is said while work goes on; ``--quiet`` turns it off, for the whole command."""

    quiet = False

    @classmethod
    def say(cls, text: str) -> None:
        """A word on the standard error stream, above a bar that is drawn there."""
        if not cls.quiet:
            from tqdm import tqdm

            tqdm.write(text, file=sys.stderr)
            sys.stderr.flush()


class Words(logging.Handler):
    """Says what veridraft's loggers are told."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say a record's message."""
        Talk.say(record.getMessage())


class ProgressLine:
    """Says how far a part of the work is: in place on a terminal and in a notebook, elsewhere in lines.

    ``label`` names the part, ``total`` its number of pieces, ``done`` those that an earlier run has finished.  A log
    gets a line at most every ``every`` seconds.  As a context it says at its end, whatever that is, how far it got;
    with ``leave`` False it leaves nothing behind, and a log hears of it after the first ``every`` seconds alone.
    """

    def __init__(
        self, label: str, total: int, stream: TextIO | None = None, every: float = 10.0, done: int = 0,
        leave: bool = True,
    ) -> None:  # fmt: skip
        settings = {"desc": label, "total": total, "initial": done, "leave": leave}
        self._bar = _bar(stream or sys.stderr, every, settings)

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def step(self, detail: str) -> None:
        """One piece more is done; ``detail`` says which."""
        self.reach(self._bar.n + 1, self._bar.total, detail)

    def reach(self, done: int, total: int, detail: str = "") -> None:
        """So many pieces are done, of so many; ``detail`` says which was the last."""
        self._bar.set_postfix_str(detail[:LONGEST_DETAIL], refresh=False)
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Say how far the part has got, and how long it took."""
        self._bar.set_postfix_str("", refresh=False)
        self._bar.bar_format = END
        self._bar.close()


def _bar(stream: TextIO, every: float, settings: dict[str, Any]) -> Any:
    """A bar of tqdm's for a terminal or a notebook, or one that writes lines."""
    from tqdm import tqdm
    from tqdm.auto import tqdm as suited
    from tqdm.notebook import tqdm_notebook

    settings |= {"miniters": 1, "disable": Talk.quiet}
    if issubclass(suited, tqdm_notebook):
        return suited(**settings)
    if stream.isatty() and _has_width(stream):
        return tqdm(file=stream, bar_format=BAR, dynamic_ncols=True, **settings)
    settings |= {} if settings["leave"] else {"delay": every}
    return tqdm(file=_Log(stream), bar_format=LINE, mininterval=every, **settings)


def _has_width(stream: TextIO) -> bool:
    """False for a terminal that says it has no columns, as some of containers do: nothing fits into a line there."""
    try:
        return os.get_terminal_size(stream.fileno()).columns > 0
    except (OSError, ValueError):
        return True


class _Log:
    """A stream on which every state of a bar is a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """A line, unless nothing would be on it, without an estimate that there is not yet."""
        if line := text.strip().replace(", about ? left", ""):
            self._stream.write(f"{line}\n")

    def flush(self) -> None:
        """Hand on what was written."""
        self._stream.flush()
