"""Adapters: verifiers in the shapes that engines give them, made callable in a form of the audit.

An adapter takes somebody's function and returns a verifier::

    verifier = ADAPTERS["transformers_speculative_sampling"].wrap(_speculative_sampling)

torch is imported when a verifier runs, never before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..forms.form import Form
from .engines import eagle, flashinfer_chain, lmdeploy, trtllm
from .sglang import sglang, sglang_chain, sglang_greedy
from .transformers import generation, speculative_sampling
from .vllm import vllm_v1, vllm_v2


@dataclass(frozen=True)
class Adapter:
    """A shape in use, and the form of the audit that it is made into.

    name : what ``--adapter`` takes; form, batched : how the returned verifier is called
    description : which functions have the shape
    wrap : ``wrap(function, **options) -> verifier``; its docstring lists the options
    """

    name: str
    form: Form
    batched: bool
    description: str
    wrap: Callable[..., Callable[..., Any]]


_ALL = (
    Adapter("transformers_speculative_sampling", Form.CHAIN, False,
            "transformers' _speculative_sampling", speculative_sampling),
    Adapter("transformers_generate", Form.GENERATE, False,
            "a transformers model's generate, assisted or not", generation),
    Adapter("vllm-v1", Form.CHAIN, True,
            "vLLM's v1/sample/rejection_sampler.rejection_sample, flat requests of unequal lengths, -1 as placeholder "
            "(tried: 0.32 compiled for CPUs, 0.33; with takes_logits=True)", vllm_v1),
    Adapter("vllm-v2", Form.CHAIN, True,
            "vLLM's v1/worker/gpu/spec_decode.rejection_sample: logits, seeds and positions of requests (tried: 0.33)",
            vllm_v2),
    Adapter("vllm-ascend", Form.CHAIN, True,
            "vllm-ascend's rejection_sample, of vllm-v1's shape (tried: 0.23; with takes_logits=True)", vllm_v1),
    Adapter("sglang", Form.TREE, False,
            "SGLang's tree_speculative_sampling_target_only: linked nodes, outputs written in place", sglang),
    Adapter("sglang-greedy", Form.TREE, False,
            "SGLang's verify_tree_greedy, given the target's own tokens", sglang_greedy),
    Adapter("sglang-chain", Form.CHAIN, True,
            "SGLang's chain_speculative_sampling_triton, with draft rows (tried: 0.5.23)", sglang_chain),
    Adapter("lmdeploy", Form.CHAIN, True,
            "lmdeploy's RejectionSamplingImpl.forward (tried: 0.18, default backend)", lmdeploy),
    Adapter("flashinfer-chain", Form.CHAIN, True,
            "flashinfer's chain_speculative_sampling (from its documentation; not tried)", flashinfer_chain),
    Adapter("trtllm", Form.CHAIN, True,
            "TensorRT-LLM's rejection_sampling_one_model (from its source; not tried)", trtllm),
    Adapter("eagle", Form.TREE, False,
            "EAGLE's evaluate_posterior: one row of candidates for every leaf", eagle),
)  # fmt: skip

ADAPTERS: Mapping[str, Adapter] = {adapter.name: adapter for adapter in _ALL}
"""By name."""


def get_adapter(name: str) -> Adapter:
    """The adapter; ``ValueError`` that lists the names for one that is not there."""
    if name not in ADAPTERS:
        raise ValueError(f"adapter must be one of {', '.join(ADAPTERS)}, but is {name!r}")
    return ADAPTERS[name]
