"""vllm-ascend's sampler of the newer worker: its Triton kernels under the interpreter, over the vLLM that it is for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction
from importlib import import_module
from typing import Any

import numpy as np

from veridraft.simulate.adapters.vllm import vllm_v2
from veridraft.simulate.forms.form import Form

from ...real_audits.audited import Built, ExactCase
from ..audited import EngineAuditee
from . import interpreter, stand_ins
from .vllm_cpu import SERVER
from .vllm_triton import TRIALS


def prepare() -> None:
    """The module without a device, Triton's interpreter in place."""
    logging.disable(logging.WARNING)
    stand_ins.install((*SERVER, "torch_npu"))
    interpreter.ready()


def sampler() -> Callable[..., Any]:
    """``rejection_sample``."""
    name = "vllm_ascend.worker.v2.spec_decode.rejection_sampler_utils"
    found: Callable[..., Any] = import_module(name).rejection_sample
    return found


def v2(one_hot: bool) -> Callable[[], Built]:
    """The sampler on the default cases."""
    return lambda: (vllm_v2(sampler(), one_hot=one_hot), None)


def one_draft() -> ExactCase:
    """One draft, which is always taken."""
    verify = vllm_v2(sampler())
    target, draft = np.array([[[0.25, 0.75]] * 2]), np.array([[[0.75, 0.25]]])

    def run(rng: np.random.Generator) -> int:
        return int(verify(target, draft, (rng.random((1, 1)) >= 0.75).astype(np.int64), rng)[0, 0])

    return ExactCase(
        "One draft, target (1/4, 3/4), drafter (3/4, 1/4). In _probabilistic_rejection_kernel u is 0 in every step "
        "('NPU does not support tl_rand64; always accept the draft token'): log p > log 0 + log q holds wherever p is "
        "positive, and out comes the drafter's law.",
        ("token 0", "token 1"), (Fraction(1, 4), Fraction(3, 4)), (Fraction(3, 4), Fraction(1, 4)), run, 1000,
    )  # fmt: skip


ALWAYS = """\
import torch
from vllm_ascend.worker.v2.spec_decode.rejection_sampler_utils import rejection_sample

n = 400  # requests that drafted token 0, which the target has with 1/100, without rows
p, requests = torch.tensor([.01, .99]).log(), torch.arange(n).int()
place = torch.tensor([0, 1] * n).int()
tokens, _ = rejection_sample(p.repeat(2 * n, 1), None, torch.zeros(2 * n).int(), 2 * torch.arange(n + 1).int(),
    place.long() + 7, requests, requests.repeat_interleave(2), place, torch.ones(n), torch.arange(n), 1)
print("token 0:", (tokens[:, 0] == 0).float().mean().item(), "expected 0.01")
"""


def auditees() -> tuple[EngineAuditee, ...]:
    """All of them."""
    common: dict[str, Any] = {
        "package": "vllm-ascend", "what": "worker/v2 rejection_sample", "form": Form.CHAIN, "batched": True,
        "prepare": prepare, "trials": TRIALS, "exact": one_draft, "lines": ALWAYS,
    }  # fmt: skip
    return (
        EngineAuditee("vllm-ascend V2, draft rows", settings="Triton, draft rows", build=v2(False), **common),
        EngineAuditee("vllm-ascend V2, one-hot", settings="Triton, no draft rows", build=v2(True), **common),
    )  # fmt: skip
