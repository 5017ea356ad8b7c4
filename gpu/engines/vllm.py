"""vLLM's per-request acceptance metrics: the object ``metrics.speculative_decoding`` of a response.

Read from vLLM's page "Per-Request Acceptance Metrics" (docs/features/speculative_decoding/acceptance_metrics.md, as
of v0.32, where the object is called experimental).  A server started with ``--per-request-spec-decode-metrics
summary`` adds it to every response to a request for one sequence, and in a stream to the last chunk, the one with
``usage``; it is null for ``n > 1``:

``acceptance_histogram``  a list of ``num_spec_tokens + 1`` counts: steps that accepted 0, 1, ... drafted tokens
``num_spec_steps``  its sum; ``num_accepted_draft_tokens``  its sum weighted by 0, 1, ...
``num_draft_tokens``  tokens drafted, less those that structured output made invalid
``num_spec_tokens``  the most drafted in a step
``mean_acceptance_length``, ``draft_acceptance_rate``  quotients of these (the first with the extra token: 1 + ...)
``per_step_accepted``, ``per_step_drafted``  with ``detailed``: one entry for each step, in order

The file holds one JSON document (a response, the object itself, or a list of them), or one in each line, as
collected or as streamed (``data: {...}``).  A draft of that page gave the histogram as a map of the counts that are
not zero, ``{"0": 39, "3": 3}``; that is read too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import isclose
from pathlib import Path
from typing import Any

from .runs import EngineRun, Format, RequestSteps, require_steps, whole_number

COUNTS = ("num_spec_steps", "num_accepted_draft_tokens", "num_draft_tokens", "num_spec_tokens")
PER_STEP = ("per_step_accepted", "per_step_drafted")
FIELDS = ("acceptance_histogram", *COUNTS)
"""The fields that every object has."""

QUOTIENT_TOLERANCE = 1e-6
"""How far a quotient may lie from the counts that it is made of, relatively."""


def read_vllm(path: str | Path) -> EngineRun:
    """The run in a file of vLLM's per-request objects, every count checked against the others.

    Raises ``ValueError`` that names the line and the field: text that is not JSON (a file cut short), a field that
    is missing or no count, counts that do not add up, requests with different ``num_spec_tokens``.
    """
    requests: list[RequestSteps] = []
    skipped = 0
    for where, document in documents(path):
        found = speculative_object(document)
        if found is None:
            skipped += 1
            continue
        requests.append(request_of(where, found))
        if len(requests[-1].histogram) != len(requests[0].histogram):
            raise ValueError(
                f"{where}: num_spec_tokens is {found['num_spec_tokens']}, but {requests[0].name} has "
                f"{len(requests[0].histogram) - 1}: give runs with one draft length at a time"
            )
    if not requests:
        raise ValueError(
            f"{path} holds no metrics.speculative_decoding: start vLLM with --per-request-spec-decode-metrics"
        )
    notes = (f"{skipped} documents without metrics.speculative_decoding left out",) if skipped else ()
    run = EngineRun(Format.VLLM, len(requests[0].histogram) - 1, tuple(requests), notes=notes)
    return require_steps(run, str(path))


def documents(path: str | Path) -> Iterator[tuple[str, Any]]:
    """The JSON documents of a file with their places: lines, or the items of one list.

    Raises ``ValueError`` that names the line that is not JSON.
    """
    text = Path(path).read_text(encoding="utf-8")
    if not text.strip():
        raise ValueError(f"{path} is empty")
    lines = [(row, _unstreamed(line)) for row, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(lines) > 1 and _is_json(lines[0][1]):
        yield from ((f"line {row}", _parsed(path, line, row)) for row, line in lines if line != "[DONE]")
        return
    whole = _parsed(path, _unstreamed(text), 1)
    items = whole if isinstance(whole, list) and whole and all(isinstance(item, dict) for item in whole) else [whole]
    yield from ((f"item {index}" if len(items) > 1 else "line 1", item) for index, item in enumerate(items))


def _unstreamed(line: str) -> str:
    """The line without the mark of a server-sent event."""
    return line.strip().removeprefix("data:").strip()


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _parsed(path: str | Path, text: str, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        row = first_line + error.lineno - 1
        raise ValueError(f"{path} line {row} is not JSON ({error.msg}): is the file cut short?") from None


def speculative_object(document: Any) -> Mapping[str, Any] | None:
    """The speculative object of a response, of its ``metrics``, or the object itself; ``None`` without one."""
    for name in ("metrics", "speculative_decoding"):
        if isinstance(document, dict) and name in document:
            document = document[name]
    is_object = isinstance(document, dict) and any(name in document for name in FIELDS)
    return document if is_object else None


def request_of(where: str, found: Mapping[str, Any]) -> RequestSteps:
    """The request that an object describes; ``ValueError`` naming the field that is missing or contradicts."""
    for name in FIELDS:
        if name not in found:
            raise ValueError(f"{where}: {name} is missing")
    counts = {name: whole_number(f"{where}: {name}", found[name]) for name in COUNTS}
    histogram = _histogram(where, found["acceptance_histogram"], counts["num_spec_tokens"])
    request = RequestSteps(where, histogram, counts["num_draft_tokens"])
    _check_counts(request, counts)
    _check_quotients(request, found)
    return _with_arrays(request, found)


def _histogram(where: str, values: Any, spec_tokens: int) -> tuple[int, ...]:
    name = f"{where}: acceptance_histogram"
    if isinstance(values, dict):
        if not all(key.isdigit() and int(key) <= spec_tokens for key in values):
            raise ValueError(f"{name} has keys {list(values)}; they must lie in 0 to num_spec_tokens = {spec_tokens}")
        values = [values.get(str(length), 0) for length in range(spec_tokens + 1)]
    if not isinstance(values, list) or len(values) != spec_tokens + 1:
        size = len(values) if isinstance(values, list) else repr(values)
        raise ValueError(f"{name} must have num_spec_tokens + 1 = {spec_tokens + 1} entries, but has {size}")
    return tuple(whole_number(f"{name}[{length}]", count) for length, count in enumerate(values))


def _check_counts(request: RequestSteps, counts: Mapping[str, int]) -> None:
    """Raise for the first count that the histogram contradicts."""
    made = {"num_spec_steps": request.steps, "num_accepted_draft_tokens": request.accepted_tokens}
    for name, value in made.items():
        if counts[name] != value:
            raise ValueError(f"{request.name}: {name} is {counts[name]}, but acceptance_histogram makes it {value}")
    drafted, most = counts["num_draft_tokens"], counts["num_spec_tokens"] * request.steps
    if not request.accepted_tokens <= drafted <= most:
        raise ValueError(
            f"{request.name}: num_draft_tokens is {drafted}, but must lie between num_accepted_draft_tokens = "
            f"{request.accepted_tokens} and num_spec_tokens x num_spec_steps = {most}"
        )


def _check_quotients(request: RequestSteps, found: Mapping[str, Any]) -> None:
    """Raise for a quotient that is not that of the counts; one of nothing by nothing is not looked at."""
    accepted, drafted = request.accepted_tokens, request.draft_tokens or 0
    wanted = {
        "mean_acceptance_length": 1 + accepted / request.steps if request.steps else None,
        "draft_acceptance_rate": accepted / drafted if drafted else None,
    }
    for name, value in wanted.items():
        given = found.get(name)
        if value is None or given is None:
            continue
        if not isinstance(given, (int, float)) or not isclose(given, value, rel_tol=QUOTIENT_TOLERANCE):
            raise ValueError(f"{request.name}: {name} is {given!r}, but the counts make it {value}")


def _with_arrays(request: RequestSteps, found: Mapping[str, Any]) -> RequestSteps:
    """The request with its steps in order, if the object has them."""
    given = [name for name in PER_STEP if found.get(name) is not None]
    if not given:
        return request
    if len(given) == 1:
        raise ValueError(f"{request.name}: {given[0]} is there, but {(set(PER_STEP) - set(given)).pop()} is missing")
    for name in PER_STEP:
        if not isinstance(found[name], list) or len(found[name]) != request.steps:
            size = len(found[name]) if isinstance(found[name], list) else repr(found[name])
            raise ValueError(f"{request.name}: {name} must have num_spec_steps = {request.steps} entries, not {size}")
    spec_tokens = len(request.histogram) - 1
    ordered = RequestSteps.of_steps(request.name, found[PER_STEP[0]], spec_tokens, found[PER_STEP[1]])
    if ordered.histogram != request.histogram:
        raise ValueError(f"{request.name}: per_step_accepted counts to {list(ordered.histogram)}, but "
                         f"acceptance_histogram is {list(request.histogram)}")  # fmt: skip
    if ordered.draft_tokens != request.draft_tokens:
        raise ValueError(f"{request.name}: per_step_drafted sums to {ordered.draft_tokens}, but num_draft_tokens is "
                         f"{request.draft_tokens}")  # fmt: skip
    return ordered
