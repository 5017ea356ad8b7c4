"""Folders and files that a run writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def check_folder(folder: Path) -> Path:
    """The folder, made if it is missing; ``ValueError`` if something else stands there or it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"out {str(folder)!r} cannot be made a folder: {error.strerror}") from None
    return folder


def write_json(path: Path, values: Any) -> None:
    """Write JSON values to a file that is never seen half written."""
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    scratch.replace(path)
