"""The objects in which engines report a request's speculative steps: under which names, and wherever they stand.

vLLM's names are ours (see :mod:`.vllm`).  TensorRT-LLM has its object on each choice; SGLang in ``meta_info``, or in
``sglext.spec`` of an OpenAI-style response, under names that changed.  AIPerf keeps one record under vLLM's names for
every engine, and says which (``spec_decode_acceptance`` of a line of ``profile_export.jsonl``).  Proxies and clients
wrap responses further, so that an object is looked for at any depth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isclose
from typing import Any

from .runs import Format

HISTOGRAM = "acceptance_histogram"
STEPS, ACCEPTED, DRAFTED, MOST = "num_spec_steps", "num_accepted_draft_tokens", "num_draft_tokens", "num_spec_tokens"


@dataclass(frozen=True)
class Dialect:
    """An engine's names.

    sure : names of which no other engine has one
    names : for each of ours theirs, the newest first
    first_token : whether a request has one token more than its steps emit, from the prompt's pass
    """

    format: Format
    sure: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]]
    first_token: bool = False


DIALECTS = (
    Dialect(
        Format.TENSORRT, ("total_accepted_draft_tokens", "total_draft_tokens"),
        {ACCEPTED: ("total_accepted_draft_tokens",), DRAFTED: ("total_draft_tokens",),
         "draft_acceptance_rate": ("acceptance_rate",)},
    ),
    Dialect(
        Format.SGLANG, ("spec_verify_ct", "spec_correct_drafts_histogram", "spec_accept_histogram"),
        {HISTOGRAM: ("spec_correct_drafts_histogram", "spec_accept_histogram", "spec_acceptance_histogram"),
         STEPS: ("spec_verify_ct",),
         ACCEPTED: ("spec_num_correct_drafts", "spec_accepted_tokens", "spec_accept_token_num"),
         DRAFTED: ("spec_num_proposed_drafts", "spec_draft_token_num")},
    ),
    Dialect(Format.VLLM, (HISTOGRAM, STEPS, ACCEPTED, DRAFTED, MOST), {}, first_token=True),
)  # fmt: skip
"""The engines whose objects are read; vLLM last, whose names the others have too."""

RECORDED = {
    "vllm": DIALECTS[-1],
    "sglang": replace(DIALECTS[-1], format=Format.SGLANG, first_token=False),
    "tensorrt_llm": replace(DIALECTS[-1], format=Format.TENSORRT, first_token=False),
}
"""Whose steps AIPerf's records hold, by their field ``engine``; the names are vLLM's."""


@dataclass(frozen=True)
class Found:
    """An object as an engine reports it.

    values : its fields under our names, others as they are; spec_tokens is filled in where the engine leaves it out
    dialect : whose it is
    emitted : the tokens of the request, as the response counts them; None if it does not
    """

    values: Mapping[str, Any]
    dialect: Dialect
    emitted: int | None

    def name(self, ours: str) -> str:
        """What the engine calls a field."""
        theirs = self.dialect.names.get(ours, (ours,))
        return next((name for name in theirs if name in self.values), theirs[0])


def find_object(document: Any) -> Found | None:
    """The first speculative object of a document, at any depth; ``None`` without one."""
    for node in nodes(document):
        for dialect in DIALECTS:
            if any(name in node for name in dialect.sure):
                whose = RECORDED.get(str(node.get("engine")), dialect)
                return Found(_renamed(node, whose), whose, _emitted(document))
    return None


def nodes(document: Any) -> Iterator[Mapping[str, Any]]:
    """Every object of a document, outer ones first."""
    if isinstance(document, dict):
        yield document
    inner = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    for value in inner:
        yield from nodes(value)


def _renamed(node: Mapping[str, Any], dialect: Dialect) -> dict[str, Any]:
    """The fields that have a value, under our names too."""
    values = {name: value for name, value in node.items() if value is not None}
    for ours, theirs in dialect.names.items():
        given = next((name for name in theirs if name in values), None)
        if given is not None:
            values[ours] = values[given]
    if isinstance(values.get(HISTOGRAM), list) and dialect.format is Format.SGLANG:
        values.setdefault(MOST, len(values[HISTOGRAM]) - 1)
    if isinstance(values.get(HISTOGRAM), dict) and (most := _most(values)) is not None:
        values.setdefault(MOST, most)
    return values


def _most(values: Mapping[str, Any]) -> int | None:
    """The most tokens that a step drafted, where a map of counts leaves zeros out; ``None`` if it cannot be told.

    The drafted lengths of all steps tell it, or their sum where it is a whole number for each step.
    """
    if isinstance(widths := values.get("per_step_drafted"), list) and all(isinstance(one, int) for one in widths):
        return max(widths, default=0)
    steps, drafted = values.get(STEPS), values.get(DRAFTED)
    if not isinstance(steps, int) or not isinstance(drafted, int):
        return None
    return 0 if steps == drafted == 0 else drafted // steps if steps and drafted % steps == 0 else None


def _emitted(document: Any) -> int | None:
    counts = (node.get("completion_tokens") for node in nodes(document))
    return next((count for count in counts if isinstance(count, int)), None)


def rate_note(found: Found) -> str | None:
    """SGLang's rate of accepted drafts has had two denominators: which one this is."""
    rate, values = found.values.get("spec_accept_rate"), found.values
    if found.dialect.format is not Format.SGLANG or not isinstance(rate, float) or not values.get(STEPS):
        return None
    slots = values[STEPS] * values.get(MOST, 0)
    if slots in (0, values.get(DRAFTED, slots)):
        return None
    for drafts, words in ((values[DRAFTED], "the drafts that were proposed"), (slots, "all draft slots")):
        if isclose(rate, values.get(ACCEPTED, 0) / drafts, abs_tol=0.006):
            return f"SGLang's spec_accept_rate here is that of {words}"
    return "SGLang's spec_accept_rate is neither that of proposed drafts nor that of all draft slots"


SUMS = {
    "draft_rounds": "mlx-vlm's timings: sums of a request; no engine's log or response tells its steps apart there",
    "draft_n": "llama.cpp's timings: sums of a request. Ask with stream and timings_per_token, whose counters rise at "
    "each step, or give the server's log, which has rates by position",
}
"""Fields that hold sums alone, and what would tell more."""


def what_is_there(document: Any) -> str | None:
    """The sums that a document without an object has, and what would tell how many each step accepted."""
    for node in nodes(document):
        for name, words in SUMS.items():
            if name in node:
                told = ", ".join(f"{key} {value}" for key, value in node.items() if key.startswith("draft_"))
                return f"{words} (found: {told})"
    return None
