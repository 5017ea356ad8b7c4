"""Plain accepted lengths, one JSON value in each line, and the reader that finds out what a file is.

A line of a plain file is a number (the accepted length of one step), a list of numbers (the steps of one request, in
order), or an object ``{"accepted": [...], "drafted": [...]}`` for one request, ``drafted`` being how many tokens each
step drafted, if that is known.  Lines of numbers alone are one sequence of steps, in order.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .logs import is_bench, is_log, read_bench, read_log
from .objects import find_object
from .prometheus import read_prometheus
from .runs import EngineRun, Format, RequestSteps, require_steps, whole_number
from .vllm import documents, read_vllm

TRACES = (".npz", ".safetensors")
"""How the names of traces end."""

PROMETHEUS_LINE = re.compile(r"^(vllm:|llamacpp:|sglang:|trtllm_)", re.MULTILINE)
RATES = re.compile(r"\s*\d+\.\d+(?:[,\s]+\d+\.\d+)*[,\s]*")

SUMS_ALONE = {
    "sglang:": "SGLang's gauges, which are averages: ask /generate for meta_info, whose histogram tells each length",
    "trtllm_": "TensorRT-LLM's totals, which tell no steps or positions: ask for speculative_decoding on the choices",
}
"""Prometheus text of engines that has no counts by position."""


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
    if found is Format.LOG:
        return read_log(path)
    if found is Format.BENCH:
        return read_bench(path, next(document for _, document in documents(path)))
    return read_lengths(path) if found is Format.LENGTHS else read_vllm(path)


def format_of(path: str | Path) -> Format:
    """The format of a file, by its name (traces) or its text; ``ValueError`` that says what it holds if it is none."""
    if Path(path).suffix in TRACES:
        return Format.TRACE
    try:
        text = Path(path).read_text(encoding="utf-8").lstrip()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text; a trace has the suffix {' or '.join(TRACES)}") from None
    starts_json = text.startswith(("{", "[", "data:", ":"))
    if not starts_json and is_log(text):
        return Format.LOG
    if not starts_json and PROMETHEUS_LINE.search(text):
        return _prometheus(path, text)
    if RATES.fullmatch(text):
        raise ValueError(f"{path} holds rates by position, which predict: give it with --prediction, and a run here")
    if not starts_json and not text[:1].isdigit():
        raise ValueError(f"{path} is neither JSON, nor Prometheus text with spec_decode counters, nor an engine's log")
    return _of_document(next((document for _, document in documents(path)), None))


def _of_document(first: Any) -> Format:
    """The format of a file by its first document."""
    if is_bench(first):
        return Format.BENCH
    found = find_object(first)
    if found is not None:
        return found.dialect.format
    return Format.LENGTHS if _is_lengths(first) else Format.VLLM


def _prometheus(path: str | Path, text: str) -> Format:
    """Prometheus text, if it has counters by position."""
    for engine, words in SUMS_ALONE.items():
        if re.search(rf"^{engine}", text, re.MULTILINE) and "spec_decode_num_accepted_tokens_per_pos" not in text:
            found = re.findall(rf"^({engine}\w*spec\w*)(?:{{[^}}]*}})? (\S+)", text, re.MULTILINE)
            told = ", ".join(f"{name} {value}" for name, value in found)
            raise ValueError(f"{path} holds {words} (found: {told})")
    return Format.PROMETHEUS


def _is_lengths(document: Any) -> bool:
    return "accepted" in document if isinstance(document, dict) else isinstance(document, (int, list))


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
