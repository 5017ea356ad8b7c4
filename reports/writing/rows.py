"""Rows of a finished study as a file for programs: CSV, JSON, or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FORMATS = ("csv", "json", "parquet")
"""What rows can be written as."""

Rows = Sequence[Mapping[str, Any]]


def flat(record: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """The record with the values of inner mappings under names joined by a dot."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return found


def write_rows(rows: Rows, path: Path) -> Path:
    """The path, behind its writing in the format that its ending names; a column for each name in any of the rows.

    Lists are arrays in JSON and Parquet, JSON text in CSV.  A column of several types is JSON text in Parquet.
    ``ModuleNotFoundError`` for Parquet without pyarrow.
    """
    scratch = path.with_suffix(".part")
    {"csv": _csv, "json": _json, "parquet": _parquet}[path.suffix[1:]](rows, scratch)
    scratch.replace(path)
    return path


def _columns(rows: Rows) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _csv(rows: Rows, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _columns(rows), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: json.dumps(one) if isinstance(one, list) else one for name, one in row.items()})


def _json(rows: Rows, path: Path) -> None:
    lines = ",\n".join(json.dumps(row, allow_nan=False) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _parquet(rows: Rows, path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    def column(name: str) -> Any:
        values = [row.get(name) for row in rows]
        try:
            return pyarrow.array(values)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):
            return pyarrow.array([None if one is None else json.dumps(one) for one in values])

    parquet.write_table(pyarrow.table({name: column(name) for name in _columns(rows)}), path)
