"""Finished pieces of long work, one JSON line each, so that a stopped run loses nothing and a second one goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Store:
    """Pieces of work by key, appended to one file as they are finished.

    A piece is written with a digest of the source code that made it; pieces of other code are not read, so
    that a change of the code is never hidden by an old result.  A last line cut off by a kill is dropped.
    """

    def __init__(self, path: Path, digest: str) -> None:
        self.path = path
        self.digest = digest
        self._pieces = {line["key"]: line["value"] for line in _read(path) if line["digest"] == digest}

    def get(self, key: str) -> Any | None:
        """The value of a finished piece, or ``None``."""
        return self._pieces.get(key)

    def put(self, key: str, value: Any) -> None:
        """Append the piece and wait until it is on the disk; ``value`` must be what JSON gives back."""
        line = json.dumps({"digest": self.digest, "key": key, "value": value}, allow_nan=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._pieces[key] = json.loads(line)["value"]

    def piece(self, key: str, compute: Callable[[], Any]) -> Any:
        """The value of the piece, computed and kept unless it is there already."""
        if key not in self._pieces:
            self.put(key, compute())
        return self._pieces[key]


def make_key(kind: str, **parameters: Any) -> str:
    """A piece's key: its kind and everything that determines its value."""
    return json.dumps({"kind": kind, **parameters}, sort_keys=True)


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines of the file; a last line without its end is removed from the file."""
    if not path.exists():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        path.write_bytes(whole)
    return [json.loads(line) for line in whole.splitlines()]


def write_json(path: Path, values: Any) -> None:
    """Write JSON values to a file that is never seen half written."""
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    scratch.replace(path)
