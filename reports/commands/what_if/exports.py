"""Replies for programs: JSON values, CSV, and the synthetic acceptance of an engine."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from veridraft.theory.policies.paths import Chain

from .questions import AS_MEASURED, Reply, WhatIf

FORMATS = ("text", "csv", "json", "vllm")
"""How a reply can be printed."""


def record(answer: WhatIf, price: float | None = None) -> dict[str, Any]:
    """An answer as JSON values."""
    sampling = answer.sampling
    held = answer.record(price)
    held["verifier"] = "as measured" if answer.verifier == AS_MEASURED else answer.verifier
    return held | {"temperature": sampling.temperature if sampling else None,
                   "top_p": sampling.top_p if sampling else None}  # fmt: skip


def reply_json(reply: Reply, told: str, price: float | None = None) -> dict[str, Any]:
    """The whole reply as JSON values."""
    paying = [
        {"hardware": hardware, "temperature": sampling.temperature if sampling else None, "last": one.last,
         "fitting": one.fitting, "gains": {str(batch): gain for batch, gain in one.gains.items()}}
        for (hardware, sampling), one in (reply.paying or {}).items()
    ]  # fmt: skip
    answers = [record(answer, price) for answer in reply.answers]
    return {"acceptance": told, "considered": reply.considered, "answers": answers, "paying": paying,
            "left_out": reply.left_out}  # fmt: skip


def reply_csv(reply: Reply, price: float | None = None) -> str:
    """One row for each answer; terms in columns of their own, rates by position joined by spaces."""
    rows = [_flat(record(answer, price)) for answer in reply.answers]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def _flat(held: dict[str, Any]) -> dict[str, Any]:
    terms = {f"seconds {name}": value for name, value in held.pop("terms").items()}
    return held | terms | {"reach": " ".join(f"{one:g}" for one in held["reach"])}


def vllm_settings(answers: Sequence[WhatIf]) -> dict[str, Any]:
    """The part of vLLM's speculative configuration that makes it accept as the best chain does, lossy on purpose.

    Its rates are unconditional.  Raises ``ValueError`` where no answer is a chain whose rates are known.
    """
    chain = next((one for one in answers if isinstance(one.expected.policy, Chain) and one.expected.reach), None)
    if chain is None:
        raise ValueError("format vllm: no answer is a chain whose acceptance by position is known, and vLLM drafts "
                         "chains")  # fmt: skip
    rates = [round(float(rate), 6) for rate in chain.expected.reach[1:]]
    return {"num_speculative_tokens": len(rates), "rejection_sample_method": "synthetic",
            "synthetic_acceptance_rates": rates}  # fmt: skip


def exported(format: str, reply: Reply, told: str, price: float | None) -> str:
    """The reply in one of the formats for programs."""
    if format == "csv":
        return reply_csv(reply, price)
    held = vllm_settings(reply.answers) if format == "vllm" else reply_json(reply, told, price)
    return json.dumps(held, indent=1, allow_nan=False)
