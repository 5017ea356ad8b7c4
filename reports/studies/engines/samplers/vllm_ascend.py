"""vllm-ascend's samplers: the PyTorch path of V1 over vLLM's CPU build, and its newer worker's Triton kernels."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from fractions import Fraction
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

from veridraft.simulate.adapters.vllm import vllm_v1
from veridraft.simulate.forms.cases import Case
from veridraft.simulate.forms.form import Form
from veridraft.theory.pairs.base import MarkovPair
from veridraft.theory.pairs.families import dirichlet_pair
from veridraft.theory.policies.paths import Chain

from ...real_audits.audited import Built, ExactCase
from ..audited import EngineAuditee
from . import stand_ins
from .vllm_cpu import SERVER

DEVICE = (
    "torch_npu", "vllm_ascend.ascend_config", "vllm_ascend.ops", "vllm_ascend.sample.penalties",
    "vllm_ascend.sample.sampler", "vllm_ascend.utils",
)  # fmt: skip
"""What the sampler imports for its device and its configuration."""

BATCH = 200
"""Trials of a call: memory grows as their square."""

TRIALS = 60_000


def prepare() -> None:
    """The module without a device; pinned memory, which a CPU has none of, is ordinary memory."""
    import torch

    logging.disable(logging.WARNING)
    stand_ins.install(SERVER, DEVICE)
    for name in ("arange", "full", "ones", "tensor"):
        setattr(torch, name, _unpinned(getattr(torch, name)))


def _unpinned(make: Callable[..., Any]) -> Callable[..., Any]:
    def made(*arguments: Any, pin_memory: bool = False, **keywords: Any) -> Any:
        return make(*arguments, **keywords)

    return made


def rejection(block: bool) -> Callable[..., Any]:
    """``rejection_sample`` under a configuration with or without block verification."""
    module: Any = import_module("vllm_ascend.sample.rejection_sampler")
    rules = SimpleNamespace(
        enable_block_verify=block, enable_entropy_verify=False, posterior_threshold=0.95, posterior_alpha=0.4
    )
    config = SimpleNamespace(rejection_sampler_config=rules, enable_reduce_sample=False)
    module.get_ascend_config = lambda: config
    found: Callable[..., Any] = module.rejection_sample
    return found


def limited(verifier: Callable[..., Any]) -> Callable[..., Any]:
    """The verifier, called with ``BATCH`` trials at most."""

    def some(target: Any, draft: Any, tokens: Any, rng: Any) -> Any:
        parts = range(0, len(tokens), BATCH)
        return np.concatenate([
            verifier(*(array[start : start + BATCH] for array in (target, draft, tokens)), rng) for start in parts
        ])  # fmt: skip

    return some


def v1(block: bool, one_hot: bool = False) -> Callable[[], Built]:
    """V1's sampler on the default cases, or with block verification, which needs three drafts, on longer ones."""

    def build() -> Built:
        verifier = limited(vllm_v1(rejection(block), takes_logits=True, one_hot=one_hot))
        return verifier, _longer() if block else None

    return build


def _longer() -> list[Case]:
    skewed = MarkovPair([[0.2, 0.5, 0.3]] * 3, [[0.6, 0.1, 0.3]] * 3)
    return [
        Case("skewed", skewed, Chain(3), "the draft's top token is one that it overrates"),
        Case("random", dirichlet_pair(3, seed=71, concentration=0.6), Chain(3), "rows that differ at every context"),
    ]


TOP = Fraction(1, 5)
ACCEPTED = Fraction(f"{float(TOP) ** 3 * (1 - 3 * math.log(TOP) + (3 * math.log(TOP)) ** 2 / 2):.4f}")
"""Pr(u1 u2 u3 <= x) = x (1 - ln x + (ln x)^2 / 2) at x = 1/125, to four places."""


def three_certain_drafts() -> ExactCase:
    """Three n-gram drafts of one token with p = 1/5."""
    verify = vllm_v1(rejection(True), takes_logits=True, one_hot=True)
    target, draft = np.tile([0.2, 0.8], (1, 4, 1)), np.tile([1.0, 0.0], (1, 3, 1))

    def run(rng: np.random.Generator) -> int:
        emitted = verify(target, draft, np.zeros((1, 3), dtype=np.int64), rng)[0]
        return int((emitted[:3] != 0).any())

    three = TOP**3
    return ExactCase(
        "Three drafts without rows, each token 0, which the target has with 1/5 at every position: the block 0 0 0 "
        "must come out with 1/125. With enable_block_verify a prefix is accepted where the product of its ratios is "
        "at least the product of as many uniforms, so the whole block is with Pr(u1 u2 u3 <= 1/125) = x (1 - ln x + "
        "(ln x)^2 / 2) at x = 1/125, rounded to 0.1399. Block verification compares one uniform with h_i, and its "
        "residual has the block's weight, which sample_recovered_tokens lacks too.",
        ("block 0 0 0", "another"), (three, 1 - three), (ACCEPTED, 1 - ACCEPTED), run,
    )  # fmt: skip


BLOCK = """\
import torch
from types import SimpleNamespace as Names
from vllm_ascend.sample import rejection_sampler as module

rules = Names(enable_block_verify=True, enable_entropy_verify=False, posterior_threshold=.95, posterior_alpha=.4)
module.get_ascend_config = lambda: Names(rejection_sampler_config=rules, enable_reduce_sample=False)
n = 1000  # requests with three n-gram drafts of token 0 each, which the target has with 1/5
said = Names(all_greedy=False, all_random=True, temperature=torch.ones(n), generators={}, top_k=None, top_p=None)
tokens = module.rejection_sample(torch.zeros(3 * n).int(), [3] * n, 3, 3 * torch.arange(1, n + 1).int(), None,
    torch.tensor([.2, .8]).log().repeat(3 * n, 1), torch.ones(n, 1).int(), said)
print("blocks 0 0 0:", (tokens[:, :3] == 0).all(1).float().mean().item(), "expected 0.008")
"""


def auditees() -> tuple[EngineAuditee, ...]:
    """All of them."""
    common: dict[str, Any] = {
        "package": "vllm-ascend", "what": "rejection_sample", "form": Form.CHAIN, "batched": True, "prepare": prepare,
        "trials": TRIALS,
    }  # fmt: skip
    return (
        EngineAuditee("vllm-ascend V1, draft rows", settings="PyTorch, draft rows", build=v1(False), **common),
        EngineAuditee("vllm-ascend V1, n-gram", settings="PyTorch, no draft rows", build=v1(False, True), **common),
        EngineAuditee("vllm-ascend V1, block verification", settings="PyTorch, draft rows, enable_block_verify",
                      build=v1(True), exact=three_certain_drafts, lines=BLOCK, **common),
        EngineAuditee("vllm-ascend V1, n-gram, block verification", build=v1(True, True), exact=three_certain_drafts,
                      settings="PyTorch, no draft rows, enable_block_verify", **common),
    )  # fmt: skip
