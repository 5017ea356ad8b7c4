"""vLLM's two samplers, V1 and that of its newer worker, their Triton kernels under the interpreter."""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction
from importlib import import_module
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np

from veridraft.simulate.adapters.vllm import vllm_v2
from veridraft.simulate.forms.cases import Case, default_cases
from veridraft.simulate.forms.form import Form
from veridraft.theory.pairs.base import MarkovPair
from veridraft.theory.policies.paths import Chain

from ...real_audits.audited import Built, ExactCase
from ..audited import EngineAuditee
from . import interpreter, stand_ins
from .vllm_cpu import SERVER, with_rows, without_rows
from .vllm_forward import MIXED, forward_cases, forward_verifier

TRIALS = 2_000
"""Of an audit under the interpreter: some 10 to 40 ms a trial."""


def prepare() -> None:
    """vLLM without its server, Triton's interpreter in place."""
    logging.disable(logging.WARNING)
    stand_ins.install(SERVER)
    interpreter.ready()
    utilities: Any = import_module("vllm.utils.torch_utils")
    utilities.PIN_MEMORY = False  # found to be possible where no device is visible
    filters: Any = import_module("vllm.v1.sample.ops.topk_topp_sampler")
    filters.HAS_TRITON = False  # top-k and top-p in PyTorch: their kernel asks for a device's compute units


def newer() -> Callable[..., Any]:
    """``rejection_sample`` of the newer worker."""
    name = "vllm.v1.worker.gpu.spec_decode.rejection_sampler_utils"
    found: Callable[..., Any] = import_module(name).rejection_sample
    return found


def v2(**options: Any) -> Callable[[], Built]:
    """The newer sampler with these options, on the default cases."""
    return lambda: (vllm_v2(newer(), **options), None)


def mixed_forward() -> Built:
    """``RejectionSampler.forward`` of V1 on requests with settings of their own."""
    return forward_verifier(MIXED), forward_cases()


def masked(draft_logits: bool) -> Callable[[], Built]:
    """The newer sampler where a grammar forbids drafted tokens, as ``RejectionSampler.__call__`` hands them over."""
    return lambda: (vllm_v2(_with_grammar, one_hot=not draft_logits), _masked_cases())


def _masked_cases() -> list[Case]:
    """Targets that lack tokens which the draft has."""
    half = MarkovPair([[0.5, 0.5, 0.0]] * 3, [[0.5, 0.0, 0.5]] * 3)
    others = [case for case in default_cases(Form.CHAIN, batched=True) if case.name in ("zeros", "masked")]
    return [Case("half forbidden", half, Chain(1), "the grammar forbids half of the drafts"), *others]


def _with_grammar(target_logits: Any, draft_logits: Any, draft_sampled: Any, *others: Any) -> Any:
    """``rejection_sample`` of requests whose grammars forbid what their rows lack.

    The scheduler counts the drafts that the grammar takes, one behind another, up to the first that it does not;
    ``grammar_invalid_drafts`` marks those behind, which ``RejectionSampler.__call__`` makes -1.
    """
    ends, expanded_local_pos = others[0], others[4]
    taken = [_acceptable(target_logits[start:end], draft_sampled[start:end]) for start, end in _spans(ends)]
    names = [str(request) for request in range(len(taken))]
    batch = SimpleNamespace(
        num_draft_tokens=len(draft_sampled) - len(taken), num_reqs=len(taken), req_ids=names,
        num_draft_tokens_per_req=np.diff(np.asarray(ends)) - 1, expanded_local_pos=expanded_local_pos,
        cu_num_logits=ends,
    )  # fmt: skip
    module = import_module("vllm.v1.worker.gpu.structured_outputs")
    invalid = module.grammar_invalid_drafts(batch, names, taken)
    verified = draft_sampled if invalid is None else draft_sampled.masked_fill(invalid, -1)
    return newer()(target_logits, draft_logits, verified, *others)


def _spans(ends: Any) -> list[tuple[int, int]]:
    """The places of each request's logits."""
    return list(pairwise(np.asarray(ends).tolist()))


def _acceptable(rows: Any, tokens: Any) -> int:
    """How many drafted tokens the rows allow, one behind another; the first token is no draft."""
    allowed = [bool(row[token] > float("-inf")) for row, token in zip(rows, tokens[1:], strict=False)]
    return (*allowed, False).index(False)


HALF = Fraction(1, 2)


def forbidden_draft() -> ExactCase:
    """One draft that the grammar forbids half of the time."""
    verify = vllm_v2(_with_grammar)
    target, draft = np.array([[[0.5, 0.5, 0.0]] * 2]), np.array([[[0.5, 0.0, 0.5]]])

    def run(rng: np.random.Generator) -> int:
        return int(verify(target, draft, 2 * rng.integers(2, size=(1, 1)), rng)[0, 0])

    return ExactCase(
        "One draft; target (1/2, 1/2, 0), where the grammar forbids token 2; drafter (1/2, 0, 1/2), whose rows are "
        "handed over (draft_sample_method=probabilistic). Token 0 is always accepted. Token 2 becomes -1, and "
        "_resample_kernel takes a request whose draft is -1 for one without a draft: it draws from p, "
        "(1/2, 1/2, 0), where the residual (p - q)+ is (0, 1/2, 0). With a draft without rows p is the residual, and "
        "nothing is wrong.",
        ("token 0", "token 1", "token 2"), (HALF, HALF, Fraction(0)), (Fraction(3, 4), Fraction(1, 4), Fraction(0)),
        run, 2000,
    )  # fmt: skip


GRAMMAR = """\
import torch
from vllm.v1.worker.gpu.spec_decode.rejection_sampler_utils import rejection_sample

n = 1000  # requests; the second half drafted token 2, which the grammar forbids: its draft is -1
p, q = torch.tensor([.5, .5, 0.]).log(), torch.tensor([.5, 0., .5]).log()
drafts = torch.tensor([0] * (n // 2) + [-1] * (n // 2))
sampled = torch.stack([torch.zeros(n, dtype=torch.int64), drafts], 1).flatten().int()
requests, place = torch.arange(n).int(), torch.tensor([0, 1] * n).int()
tokens, _ = rejection_sample(p.repeat(2 * n, 1), q.repeat(n, 1, 1), sampled, 2 * torch.arange(n + 1).int(),
    place.long() + 7, requests, requests.repeat_interleave(2), place, torch.ones(n), torch.arange(n), 1)
print("token 0:", (tokens[:, 0] == 0).float().mean().item(), "expected 0.5")
"""


def auditees() -> tuple[EngineAuditee, ...]:
    """All of them."""
    common: dict[str, Any] = {
        "package": "vllm", "form": Form.CHAIN, "batched": True, "prepare": prepare, "trials": TRIALS,
    }  # fmt: skip
    one, two = "rejection_sample", "worker/gpu rejection_sample"
    return (
        EngineAuditee("vllm V2, grammar, draft rows", what=two, settings="Triton, draft rows, tokens that a grammar "
                      "forbids", build=masked(True), exact=forbidden_draft, lines=GRAMMAR, **common),
        EngineAuditee("vllm V2, grammar, one-hot", what=two, settings="Triton, no draft rows, tokens that a grammar "
                      "forbids", build=masked(False), **common),
        EngineAuditee("vllm V1, draft rows", what=one, settings="Triton, draft rows", build=with_rows, **common),
        EngineAuditee("vllm V1, n-gram", what=one, settings="Triton, no draft rows", build=without_rows, **common),
        EngineAuditee("vllm V1, forward, mixed settings", what="RejectionSampler.forward", build=mixed_forward,
                      settings="Triton, temperatures, top-k, top-p by request", **common),
        EngineAuditee("vllm V2, standard", what=two, settings="Triton, draft rows", build=v2(), **common),
        EngineAuditee("vllm V2, block verification", what=two, settings="Triton, draft rows",
                      build=v2(use_block_verification=True), **common),
        EngineAuditee("vllm V2, one-hot", what=two, settings="Triton, no draft rows", build=v2(one_hot=True), **common),
        EngineAuditee("vllm V2, one-hot, block verification", what=two, settings="Triton, no draft rows",
                      build=v2(one_hot=True, use_block_verification=True), **common),
    )  # fmt: skip
