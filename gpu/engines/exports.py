"""Runs written as engines report them: for checks of the readers, and for tools that read those forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .prometheus import ACCEPTED, DRAFT_TOKENS, DRAFTS, PER_POSITION
from .runs import EngineRun, RequestSteps

HELP = {
    DRAFTS: "Verification steps.",
    DRAFT_TOKENS: "Drafted tokens.",
    ACCEPTED: "Accepted tokens.",
    PER_POSITION: "Accepted tokens by position.",
}


def vllm_object(request: RequestSteps, detailed: bool = False) -> dict[str, Any]:
    """The ``metrics.speculative_decoding`` of one request; ``detailed`` adds the arrays by step.

    Raises ``ValueError`` if arrays are asked for and the steps are not known by themselves.
    """
    spec_tokens, steps, accepted = len(request.histogram) - 1, request.steps, request.accepted_tokens
    drafted = spec_tokens * steps if request.draft_tokens is None else request.draft_tokens
    found: dict[str, Any] = {
        "mean_acceptance_length": 1 + accepted / steps if steps else 1.0,
        "draft_acceptance_rate": accepted / drafted if drafted else 0.0,
        "acceptance_histogram": list(request.histogram),
        "num_spec_steps": steps,
        "num_accepted_draft_tokens": accepted,
        "num_draft_tokens": drafted,
        "num_spec_tokens": spec_tokens,
    }
    if not detailed:
        return found
    if request.accepted is None:
        raise ValueError(f"{request.name}: its steps are not known by themselves")
    widths = [spec_tokens] * steps if request.drafted is None else list(request.drafted)
    return found | {"per_step_accepted": list(request.accepted), "per_step_drafted": widths}


def write_vllm(run: EngineRun, path: str | Path, detailed: bool = False) -> None:
    """Write one response in each line, with nothing in it but ``metrics.speculative_decoding``."""
    objects = [{"metrics": {"speculative_decoding": vllm_object(request, detailed)}} for request in run.requests]
    Path(path).write_text("".join(json.dumps(one) + "\n" for one in objects), encoding="utf-8")


def write_prometheus(run: EngineRun, path: str | Path, prefix: str = "vllm:", model: str = "target") -> None:
    """Write the four counters, summed over all requests, under the prefix of vLLM or of llama.cpp."""
    labels = f'engine="0",model_name="{model}"' if prefix == "vllm:" else ""
    around = f"{{{labels}}}" if labels else ""
    reached = [int(run.histogram[place + 1 :].sum()) for place in range(run.spec_tokens)]
    counts = {DRAFTS: run.steps, DRAFT_TOKENS: run.spec_tokens * run.steps - run.missing, ACCEPTED: sum(reached)}
    lines = []
    for name, count in counts.items():
        lines += [*_head(prefix + name), f"{prefix}{name}_total{around} {_printed(count, prefix)}"]
    lines += _head(prefix + PER_POSITION)
    for place, count in enumerate(reached):
        inside = ",".join(filter(None, [labels, f'position="{place}"']))
        lines.append(f"{prefix}{PER_POSITION}_total{{{inside}}} {float(count) if labels else count}")
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _head(name: str) -> list[str]:
    return [f"# HELP {name}_total {HELP[name.split(':')[1]]}", f"# TYPE {name}_total counter"]


def _printed(count: int, prefix: str) -> str:
    """The count as the engine prints it: vLLM as a float in full, llama.cpp with 6 digits."""
    return str(float(count)) if prefix == "vllm:" else f"{count:g}"


def write_lengths(run: EngineRun, path: str | Path) -> None:
    """Write the steps of one request in each line; ``ValueError`` if they are not known by themselves."""
    lines = []
    for request in run.requests:
        if request.accepted is None:
            raise ValueError(f"{request.name}: its steps are not known by themselves")
        drafted = {} if request.drafted is None else {"drafted": list(request.drafted)}
        lines.append(json.dumps({"accepted": list(request.accepted)} | drafted))
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
