"""Log lines and summaries with rates by position, from which counts are had again: vLLM, its benchmark, llama.cpp.

A rate is a count over the number of steps, printed with some digits.  The counts are those nearest to the rates whose
sum is the number of accepted tokens, which is printed exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .runs import EngineRun, Format, RequestSteps, require_steps

VLLM_LINE = re.compile(
    r"SpecDecoding metrics: Mean acceptance length: ([\d.]+),.*?Accepted: (\d+) tokens, Drafted: (\d+) tokens, "
    r"Per-position acceptance rate: ([\d., ]+\d)"
)
LLAMA_LINE = re.compile(
    r"draft acceptance = [\d.]+ \(\s*(\d+) accepted /\s*(\d+) generated\), mean acceptance length =\s*([\d.]+), "
    r"acceptance rate per position = \(([\d., ]+)\)"
)
LLAMA_STEP = re.compile(r"accepted\s+(\d+)/\s*(\d+) draft tokens")
REPLAY = "(restore checkpoint)"
BENCH_RATES = "spec_decode_per_position_acceptance_rates"


@dataclass(frozen=True)
class Summary:
    """What one line tells: ``mean`` is that of accepted tokens and one more, as printed."""

    where: str
    accepted: int
    drafted: int
    mean: str
    rates: tuple[str, ...]


def is_log(text: str) -> bool:
    """Whether a text has a line of an engine's log that tells of steps."""
    return any(pattern.search(text) for pattern in (VLLM_LINE, LLAMA_LINE, LLAMA_STEP))


def read_log(path: str | Path) -> EngineRun:
    """The run in a log: of each step where they stand there, else the sum of all lines with rates by position.

    Raises ``ValueError`` that names the line whose numbers do not add up, or lines of different draft lengths.
    """
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    steps = list(_steps(lines))
    if steps:
        return _of_steps(str(path), steps)
    summaries = list(_summaries(lines))
    if not summaries:
        raise ValueError(f"{path} has no line that tells of speculative steps")
    return _of_summaries(str(path), Format.LOG, summaries)


def _steps(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(accepted, drafted) of every step; the line behind a restored checkpoint says the same step again."""
    replayed = False
    for line in lines:
        found = LLAMA_STEP.search(line)
        if found and not replayed:
            yield int(found[1]), int(found[2])
        replayed = REPLAY in line if not found else False


def _of_steps(name: str, steps: Sequence[tuple[int, int]]) -> EngineRun:
    most = max(drafted for _, drafted in steps)
    request = RequestSteps.of_steps(name, [kept for kept, _ in steps], most, [drafted for _, drafted in steps])
    notes = ("steps of all requests stand in one order, as the server took them",)
    return require_steps(EngineRun(Format.LOG, most, (request,), notes=notes), name)


def _summaries(lines: Sequence[str]) -> Iterator[Summary]:
    for number, line in enumerate(lines, 1):
        if found := VLLM_LINE.search(line):
            yield Summary(f"line {number}", int(found[2]), int(found[3]), found[1], _listed(found[4]))
        elif found := LLAMA_LINE.search(line):
            yield Summary(f"line {number}", int(found[1]), int(found[2]), found[3], _listed(found[4]))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def is_bench(document: Any) -> bool:
    """Whether a document is a result of vLLM's benchmark with speculative decoding."""
    return isinstance(document, Mapping) and BENCH_RATES in document


def read_bench(path: str | Path, document: Mapping[str, Any]) -> EngineRun:
    """The run that a result of vLLM's benchmark sums up."""
    for name in ("spec_decode_num_drafts", "spec_decode_draft_tokens", "spec_decode_accepted_tokens"):
        if not isinstance(document.get(name), int):
            raise ValueError(f"{path}: {name} is missing, or no integer: {document.get(name)!r}")
    steps, accepted = document["spec_decode_num_drafts"], document["spec_decode_accepted_tokens"]
    rates = tuple(f"{float(rate):.15f}" for rate in document[BENCH_RATES])
    mean = f"{1 + accepted / max(steps, 1):.15f}"
    summary = Summary(str(path), accepted, document["spec_decode_draft_tokens"], mean, rates)
    return _of_summaries(str(path), Format.BENCH, [summary])


def _of_summaries(name: str, format: Format, summaries: Sequence[Summary]) -> EngineRun:
    most = len(summaries[0].rates)
    for one in summaries:
        if len(one.rates) != most:
            raise ValueError(
                f"{one.where} has rates of {len(one.rates)} positions, {summaries[0].where} of {most}: draft lengths "
                "that change cannot be told apart in sums; per-step lengths can"
            )
    rows = tuple(_request(one) for one in summaries)
    coarse = max(_slack(one, row.steps) for one, row in zip(summaries, rows, strict=True))
    notes = (f"counts by position are had from printed rates, to within {coarse}",) if coarse else ()
    return require_steps(EngineRun(format, most, rows, pooled=True, notes=notes), name)


def _request(one: Summary) -> RequestSteps:
    """The counts of a line; ``ValueError`` if no number of steps agrees with all that is printed."""
    for steps in _candidates(one):
        reached = _reached(one, steps)
        if reached is not None:
            histogram = -np.diff([steps, *reached, 0])
            return RequestSteps(one.where, tuple(histogram.tolist()), one.drafted)
    raise ValueError(
        f"{one.where}: {one.accepted} accepted of {one.drafted} drafted tokens, mean length {one.mean} and rates "
        f"{', '.join(one.rates)} do not belong to one number of steps"
    )


def _candidates(one: Summary) -> Iterator[int]:
    """Numbers of steps that the printed mean allows: that of full drafts first, then by distance from the mean."""
    mean, half = float(one.mean), _half(one.mean)
    if one.accepted == 0:
        yield one.drafted // len(one.rates)
        return
    if mean - 1 - half <= 0:
        return
    low, high = one.accepted / (mean - 1 + half), one.accepted / (mean - 1 - half)
    full = one.drafted / len(one.rates)
    inside = range(int(np.ceil(low - 1e-9)), int(high + 1e-9) + 1)
    yield from sorted(inside, key=lambda steps: (steps != full, abs(steps - one.accepted / (mean - 1))))


def _reached(one: Summary, steps: int) -> list[int] | None:
    """The steps that accepted each position: near the rates, of the right sum, not rising; None if there are none."""
    if one.drafted > steps * len(one.rates):
        return None
    exact = [float(rate) * steps for rate in one.rates]
    slack = [_half(rate) * steps + 1e-6 for rate in one.rates]
    counts = [round(value) for value in exact]
    for position in sorted(range(len(counts)), key=lambda at: -slack[at]):
        missing = one.accepted - sum(counts)
        low, high = np.ceil(exact[position] - slack[position]), np.floor(exact[position] + slack[position])
        counts[position] = int(np.clip(counts[position] + missing, low, high)) if low <= high else -1
    falls = all(later <= earlier for earlier, later in zip([steps, *counts], [*counts, 0], strict=True))
    near = all(abs(count - value) <= room for count, value, room in zip(counts, exact, slack, strict=True))
    return counts if falls and near and sum(counts) == one.accepted else None


def _slack(one: Summary, steps: int) -> int:
    """By how much a count may be off, as its rate was rounded."""
    return max(int(_half(rate) * steps) for rate in one.rates)


def _half(printed: str) -> float:
    """Half of the last digit that is printed."""
    digits = len(printed.partition(".")[2])
    return float(0.5 * 10.0**-digits) if digits < 12 else 0.0
