"""Plain accepted lengths, one JSON value in each line, and the reader that finds out what a file is.

A line of a plain file is a number (the accepted length of one step), a list of numbers (the steps of one request, in
order), or an object ``{"accepted": [...], "drafted": [...]}`` for one request, ``drafted`` being how many tokens each
step drafted, if that is known.  Lines of numbers alone are one sequence of steps, in order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .prometheus import read_prometheus
from .runs import EngineRun, Format, RequestSteps, require_steps, whole_number
from .vllm import documents, read_vllm, speculative_object

TRACES = (".npz", ".safetensors")
"""How the names of traces end."""


def read_run(
    path: str | Path,
    format: Format | None = None,
    before: str | Path | None = None,
    model: str | None = None,
) -> EngineRun:
    """The run in a text file, whose format is found out unless it is given.

    before : counters as they stood when the run began, for Prometheus text
    model : the model whose counters are read, where the text has several

    Raises ``ValueError`` for a file that is none of the formats, and what the readers raise.
    """
    found = format or format_of(path)
    given = [name for name, value in (("before", before), ("model", model)) if value is not None]
    if given and found is not Format.PROMETHEUS:
        raise ValueError(f"{given[0]} is for Prometheus text, but {path} is read as {found.value}")
    if found is Format.PROMETHEUS:
        return read_prometheus(path, before, model)
    if found is Format.TRACE:
        raise ValueError(f"{path} is a trace: read it with load_trace")
    return read_vllm(path) if found is Format.VLLM else read_lengths(path)


def format_of(path: str | Path) -> Format:
    """The format of a file, by its name (traces) or by how its text begins; ``ValueError`` if it is none."""
    if Path(path).suffix in TRACES:
        return Format.TRACE
    try:
        text = Path(path).read_text(encoding="utf-8").lstrip()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text; a trace has the suffix {' or '.join(TRACES)}") from None
    if "spec_decode_num" in text and not text.startswith(("{", "[", "data:")):
        return Format.PROMETHEUS
    if not text.startswith(("{", "[", "data:")) and not text[:1].isdigit():
        raise ValueError(f"{path} is neither JSON, nor Prometheus text with spec_decode counters")
    first = next((document for _, document in documents(path)), None)
    return Format.LENGTHS if _is_lengths(first) else Format.VLLM


def _is_lengths(document: Any) -> bool:
    if isinstance(document, dict):
        return "accepted" in document and speculative_object(document) is None
    return isinstance(document, (int, list))


def read_lengths(path: str | Path) -> EngineRun:
    """The run in a file of accepted lengths; L is the most that a step drafted, or accepted where that is not said.

    Raises ``ValueError`` that names the line: not JSON, neither number, list nor object, lengths out of range.
    """
    found = list(documents(path))
    rows = [(where, *_lengths(where, document)) for where, document in found]
    if all(isinstance(document, int) for _, document in found):
        rows = [(f"lines 1 to {len(rows)}", [accepted[0] for _, accepted, _ in rows], None)]
    most = max((value for _, accepted, drafted in rows for value in (*accepted, *(drafted or ()))), default=0)
    requests = [RequestSteps.of_steps(where, accepted, most, drafted) for where, accepted, drafted in rows]
    return require_steps(EngineRun(Format.LENGTHS, most, tuple(requests)), str(path))


def _lengths(where: str, document: Any) -> tuple[list[int], list[int] | None]:
    """Accepted and drafted lengths of a line."""
    if isinstance(document, dict):
        if "accepted" not in document:
            raise ValueError(f"{where}: accepted is missing")
        drafted = document.get("drafted")
        return _numbers(f"{where}: accepted", document["accepted"]), (
            None if drafted is None else _numbers(f"{where}: drafted", drafted)
        )
    return _numbers(where, document), None


def _numbers(name: str, values: Any) -> list[int]:
    listed = values if isinstance(values, list) else [values]
    return [whole_number(f"{name} entry {index}", value) for index, value in enumerate(listed)]
