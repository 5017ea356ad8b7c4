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
from dataclasses import replace
from math import isclose
from pathlib import Path
from typing import Any

from .objects import Found, find_object, rate_note, what_is_there
from .runs import EngineRun, Format, RequestSteps, require_steps, whole_number

COUNTS = ("num_spec_steps", "num_accepted_draft_tokens", "num_draft_tokens", "num_spec_tokens")
PER_STEP = ("per_step_accepted", "per_step_drafted")
FIELDS = ("acceptance_histogram", *COUNTS)
"""The fields that every object has."""

MISSING = {
    "num_spec_tokens": ", and drafts are not all of one length: how many steps accepted a position does not tell how "
    "many drafted it; per_step_drafted and per_step_accepted do (in vLLM with detailed metrics)"
}
"""What would help where a field is missing."""

QUOTIENT_TOLERANCE = 1e-6
"""How far a quotient may lie from the counts that it is made of, relatively."""


def read_vllm(path: str | Path) -> EngineRun:
    """The run in a file of per-request objects, of vLLM or of an engine in :mod:`.objects`, every count checked.

    Raises ``ValueError`` that names the line and the field: text that is not JSON (a file cut short), a field that
    is missing or no count, counts that do not add up, requests with different ``num_spec_tokens``.
    """
    requests: list[RequestSteps] = []
    objects: list[Found] = []
    others: list[Any] = []
    for where, document in documents(path):
        found = find_object(document)
        if found is None:
            others.append(document)
            continue
        objects.append(found)
        requests.append(request_of(where, found))
    if not requests:
        raise ValueError(_nothing(path, others))
    requests = _of_one_length(requests)
    notes = _notes(requests, objects, len(others))
    run = EngineRun(objects[0].dialect.format, len(requests[0].histogram) - 1, tuple(requests), notes=notes)
    return require_steps(run, str(path))


def _of_one_length(requests: list[RequestSteps]) -> list[RequestSteps]:
    """The requests with counts up to the longest draft; ``ValueError`` if two are said to draft up to another length.

    A request whose steps are told in order, or that has none, may have shorter drafts than others.
    """
    most = max(len(request.histogram) for request in requests)
    said = [one for one in requests if len(one.histogram) == most]
    for request in requests:
        if len(request.histogram) < most and request.drafted is None and request.steps:
            raise ValueError(
                f"{request.name}: num_spec_tokens is {len(request.histogram) - 1}, but {said[0].name} has {most - 1}: "
                "give runs with one draft length at a time"
            )
    return [replace(one, histogram=one.histogram + (0,) * (most - len(one.histogram))) for one in requests]


def _nothing(path: str | Path, documents: list[Any]) -> str:
    """What a file without any object holds instead."""
    told = next(filter(None, map(what_is_there, documents)), None)
    if told:
        return f"{path} holds {told}"
    return (
        f"{path} holds no object of speculative steps: start vLLM with --per-request-spec-decode-metrics, or ask "
        "SGLang for meta_info"
    )


def _notes(requests: list[RequestSteps], objects: list[Found], skipped: int) -> tuple[str, ...]:
    """What the reader has to say: of documents left out, of tokens too many, of SGLang's rate."""
    left_out = [f"{skipped} documents without speculative steps left out"] if skipped else []
    rates = dict.fromkeys(filter(None, map(rate_note, objects)))
    return (*left_out, *_surplus(requests, objects), *rates)


def _surplus(requests: list[RequestSteps], objects: list[Found]) -> list[str]:
    """Tokens that steps accepted and the responses do not have."""
    pairs = [(one, found) for one, found in zip(requests, objects, strict=True) if found.emitted is not None]
    made = sum(one.accepted_tokens + one.steps + found.dialect.first_token for one, found in pairs)
    emitted = sum(found.emitted or 0 for _, found in pairs)
    if made <= emitted:
        return []
    return [
        f"the counters make {made:,} tokens of {len(pairs)} requests, {made - emitted:,} more than "
        f"usage.completion_tokens ({emitted:,}): drafts accepted behind the end of a text, or behind its token limit, "
        "are counted and were not emitted, so that the last steps look longer than they were"
    ]


def documents(path: str | Path) -> Iterator[tuple[str, Any]]:
    """The JSON documents of a file with their places: lines, or the items of one list.

    Raises ``ValueError`` that names the line that is not JSON.
    """
    text = Path(path).read_text(encoding="utf-8")
    if not text.strip():
        raise ValueError(f"{path} is empty")
    lines = [(row, _unstreamed(line)) for row, line in enumerate(text.splitlines(), 1) if not _is_comment(line)]
    if len(lines) > 1 and _is_json(lines[0][1]):
        yield from ((f"line {row}", _parsed(path, line, row)) for row, line in lines if line != "[DONE]")
        return
    whole = _parsed(path, _unstreamed(text), 1)
    items = whole if isinstance(whole, list) and whole and all(isinstance(item, dict) for item in whole) else [whole]
    yield from ((f"item {index}" if len(items) > 1 else "line 1", item) for index, item in enumerate(items))


def _is_comment(line: str) -> bool:
    """True for an empty line, and for a comment in a stream of events."""
    return not line.strip() or line.startswith(":")


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


def request_of(where: str, found: Found) -> RequestSteps:
    """The request that an object describes; ``ValueError`` naming the field that is missing or contradicts."""
    values = found.values
    for name in FIELDS:
        if name not in values and (name, found.dialect.format) != ("num_draft_tokens", Format.SGLANG):
            raise ValueError(f"{where}: {found.name(name)} is missing{MISSING.get(name, '')}")
    given = [name for name in COUNTS if name in values]
    counts = {name: whole_number(f"{where}: {found.name(name)}", values[name]) for name in given}
    histogram = _histogram(where, values["acceptance_histogram"], counts["num_spec_tokens"])
    request = RequestSteps(where, histogram, counts.get("num_draft_tokens"))
    _check_counts(request, counts, found)
    _check_quotients(request, values)
    return _with_arrays(request, values)


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


def _check_counts(request: RequestSteps, counts: Mapping[str, int], found: Found) -> None:
    """Raise for the first count that the histogram contradicts."""
    made = {"num_spec_steps": request.steps, "num_accepted_draft_tokens": request.accepted_tokens}
    for name, value in made.items():
        if counts[name] != value:
            raise ValueError(
                f"{request.name}: {found.name(name)} is {counts[name]}, but {found.name('acceptance_histogram')} makes "
                f"it {value}"
            )
    drafted, most = counts.get("num_draft_tokens"), counts["num_spec_tokens"] * request.steps
    if drafted is not None and not request.accepted_tokens <= drafted <= most:
        raise ValueError(
            f"{request.name}: {found.name('num_draft_tokens')} is {drafted}, but must lie between "
            f"{found.name('num_accepted_draft_tokens')} = {request.accepted_tokens} and num_spec_tokens x "
            f"{found.name('num_spec_steps')} = {most}"
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
