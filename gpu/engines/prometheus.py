"""Speculative counters in Prometheus text: what ``/metrics`` of vLLM and of llama.cpp's server says.

Four counters, each with or without ``_total`` at the end, under the prefix ``vllm:`` or ``llamacpp:``:

``spec_decode_num_drafts``  verification steps; ``spec_decode_num_draft_tokens``  tokens drafted in them
``spec_decode_num_accepted_tokens``  tokens accepted
``spec_decode_num_accepted_tokens_per_pos{position="0"}``  steps that accepted position 0, 1, ...

vLLM: read from vllm/v1/spec_decode/metrics.py.  The labels are ``model_name`` and ``engine``, one engine for each
data-parallel rank; prometheus_client writes ``_total`` behind a counter, and beside it a gauge ``_created``, which
is not read.  A step without drafted tokens counts nowhere; tokens that structured output made invalid are taken off
``num_draft_tokens``.

llama.cpp: read from the change that added the counters (pull request 26389) and from ``to_metrics`` of
tools/server/server-task.cpp.  They have no labels but ``position``; ``per_pos`` is absent before the first
speculative request has finished.  All but ``per_pos`` are printed as doubles with 6 digits: from a million on
they are rounded, and what is read here is checked to within that rounding and said in a note.

Counters start with the server.  For the steps of one run give the text from before it too: it is subtracted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .runs import EngineRun, Format, RequestSteps, require_steps

PREFIXES = ("vllm:", "llamacpp:")
TOTALS = ("spec_decode_num_drafts", "spec_decode_num_draft_tokens", "spec_decode_num_accepted_tokens")
DRAFTS, DRAFT_TOKENS, ACCEPTED = TOTALS
PER_POSITION = "spec_decode_num_accepted_tokens_per_pos"

MODELS = ("model_name", "model")
"""The labels that name a model."""

LINE = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?")
LABEL = re.compile(r'\s*([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
SIX_DIGITS = re.compile(r"[\d.]+e\+(\d+)")

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sample:
    """A count, and by how much it may have been rounded where it was printed."""

    value: int
    slack: int = 0

    def minus(self, other: Sample) -> Sample:
        """The difference of two counts."""
        return Sample(self.value - other.value, self.slack + other.slack)


Series = dict[str, Sample]
"""The counts of one engine; a position stands as ``..._per_pos{position="0"}``."""


def read_prometheus(path: str | Path, before: str | Path | None = None, model: str | None = None) -> EngineRun:
    """The run whose counters a text holds, less those of ``before``; engines are summed after each was checked.

    Raises ``ValueError`` that names line or counter: a line that is none, a counter that is missing, positions with
    a gap, counts that do not add up or went back since ``before``, several models and none chosen.
    """
    after = _series(path, model)
    start = _series(before, model) if before is not None else {}
    gone = [labels for labels in start if labels not in after]
    if gone:
        raise ValueError(f"{path} lacks the series {_shown(gone[0])} that {before} has")
    counts = {labels: _since(labels, series, start.get(labels, {})) for labels, series in after.items()}
    rows = [_checked(labels, series) for labels, series in counts.items()]
    deepest = max(len(row.histogram) for row in rows)
    run = EngineRun(Format.PROMETHEUS, deepest - 1, tuple(rows), pooled=True, notes=_notes(counts))
    if len({len(row.histogram) for row in rows}) > 1:
        raise ValueError(
            f"{path}: the engines draft different numbers of tokens: {[len(r.histogram) - 1 for r in rows]}"
        )
    return require_steps(run, str(path))


def _series(path: str | Path, model: str | None) -> dict[Labels, Series]:
    """The counters of every engine, by its labels, of the one model."""
    found: dict[Labels, Series] = {}
    prefixes = set()
    for row, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        name, labels, value = _parsed(path, row, line)
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        counter = name.removeprefix(prefix or "").removesuffix("_total")
        if prefix is None or counter not in (*TOTALS, PER_POSITION):
            continue
        prefixes.add(prefix)
        key, counter = _key(path, row, labels, counter)
        series = found.setdefault(key, {})
        if counter in series:
            raise ValueError(f"{path} line {row}: {counter} of {_shown(key)} stands there twice")
        series[counter] = _sample(f"{path} line {row}: {counter}", value, prefix)
    if len(prefixes) != 1:
        raise ValueError(f"{path} holds " + ("counters of both vLLM and llama.cpp" if prefixes else
                         f"no counter {PREFIXES[0]}{DRAFTS} or {PREFIXES[1]}{DRAFTS}"))  # fmt: skip
    return _of_model(path, found, model)


def _parsed(path: str | Path, row: int, line: str) -> tuple[str, dict[str, str], str]:
    """Name, labels and value of a line; an empty name for a comment."""
    if not line.strip() or line.startswith("#"):
        return "", {}, ""
    match = LINE.fullmatch(line.strip())
    labels = match[2] or "" if match else ""
    if not match or LABEL.sub("", labels).strip():
        raise ValueError(f"{path} line {row} is no Prometheus sample: {line.strip()!r}: is the file cut short?")
    return match[1], dict(LABEL.findall(labels)), match[3]


def _key(path: str | Path, row: int, labels: dict[str, str], counter: str) -> tuple[Labels, str]:
    """The engine's labels, and the counter's name with its position."""
    rest = tuple(sorted((name, value) for name, value in labels.items() if name != "position"))
    if counter != PER_POSITION:
        return rest, counter
    position = labels.get("position", "")
    if not position.isdigit():
        raise ValueError(f"{path} line {row}: {counter} has the position {position!r}, which is no number")
    return rest, _place(int(position))


def _place(position: int) -> str:
    return f'{PER_POSITION}{{position="{position}"}}'


def _sample(name: str, text: str, prefix: str) -> Sample:
    """The count; ``ValueError`` unless it is a whole number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}, which is no number") from None
    if not (np.isfinite(value) and value >= 0 and value == int(value)):
        raise ValueError(f"{name} is {text}, which is no count")
    rounded = SIX_DIGITS.fullmatch(text) if prefix == "llamacpp:" else None
    return Sample(int(value), 10 ** int(rounded[1]) // 200_000 if rounded else 0)


def _of_model(path: str | Path, found: dict[Labels, Series], model: str | None) -> dict[Labels, Series]:
    """The series of the model; ``ValueError`` if there are several and none is chosen, or it is not there."""
    models = {labels: next((value for name, value in labels if name in MODELS), "") for labels in found}
    names = sorted(set(models.values()))
    if model is None and len(names) > 1:
        raise ValueError(f"{path} has counters of {len(names)} models: choose one of {', '.join(names)}")
    if model is not None and model not in names:
        raise ValueError(f"{path} has no counters of the model {model!r}; it has {', '.join(names)}")
    return {labels: series for labels, series in found.items() if model is None or models[labels] == model}


def _since(labels: Labels, series: Series, start: Mapping[str, Sample]) -> Series:
    """The counts less those at the start; ``ValueError`` for one that went back."""
    since = {name: sample.minus(start.get(name, Sample(0))) for name, sample in series.items()}
    for name, sample in since.items():
        if sample.value + sample.slack < 0:
            raise ValueError(f"{name} of {_shown(labels)} went back by {-sample.value} since before: a new server?")
    return since


def _checked(labels: Labels, series: Series) -> RequestSteps:
    """The steps that the counters of one engine describe; ``ValueError`` naming the counter that contradicts."""
    where = _shown(labels)
    for name in (*TOTALS, _place(0)):
        if name not in series:
            raise ValueError(f"{where}: {name} is missing")
    depth = len(series) - len(TOTALS)
    missing = [place for place in range(depth) if _place(place) not in series]
    if missing:
        raise ValueError(f"{where}: {_place(missing[0])} is missing, but a later position is there")
    reached = [series[_place(place)].value for place in range(depth)]
    drafts = _steps(where, series, reached[0])
    for place, (count, most) in enumerate(zip(reached, [drafts, *reached], strict=False)):
        if count > most:
            raise ValueError(f"{where}: {_place(place)} is {count}, more than the {most} steps that came so far")
    drafted = _draft_tokens(where, series, sum(reached), depth * drafts)
    histogram = -np.diff([drafts, *reached, 0])
    return RequestSteps(where, tuple(histogram.tolist()), drafted)


def _steps(where: str, series: Series, least: int) -> int:
    """The number of steps, at least that of the first position where the difference can be rounding."""
    drafts = series[DRAFTS]
    if drafts.value < least <= drafts.value + drafts.slack:
        return least
    return drafts.value


def _draft_tokens(where: str, series: Series, accepted: int, most: int) -> int:
    """The number of drafted tokens, after the totals were held against the positions."""
    total, drafted = series[ACCEPTED], series[DRAFT_TOKENS]
    if abs(total.value - accepted) > total.slack:
        raise ValueError(f"{where}: {ACCEPTED} is {total.value}, but the positions sum to {accepted}")
    room = drafted.slack + (most // max(series[DRAFTS].value, 1)) * series[DRAFTS].slack
    if not accepted - room <= drafted.value <= most + room:
        raise ValueError(f"{where}: {DRAFT_TOKENS} is {drafted.value}, but must lie between the {accepted} accepted "
                         f"and positions x drafts = {most}")  # fmt: skip
    return most if room and drafted.value + room >= most else min(max(drafted.value, accepted), most)


def _shown(labels: Labels) -> str:
    return "{" + ", ".join(f"{name}={value}" for name, value in labels) + "}" if labels else "the server"


def _notes(counts: Mapping[Labels, Series]) -> tuple[str, ...]:
    slack = max(sample.slack for series in counts.values() for sample in series.values())
    notes = [f"{len(counts)} engines summed"] if len(counts) > 1 else []
    return (*notes, f"the server rounds its counters: they are known to ±{slack}") if slack else tuple(notes)
