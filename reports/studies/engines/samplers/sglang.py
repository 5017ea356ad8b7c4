"""SGLang's samplers of chains and its greedy trees: Triton under the interpreter, and PyTorch paths."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from veridraft.simulate.adapters.lengths import accepted_and_one, of_equal_lengths
from veridraft.simulate.adapters.sglang import sglang_chain, sglang_greedy
from veridraft.simulate.adapters.torch_tools import SEED_RANGE, as_numpy_generator, logits, tensor, uniforms
from veridraft.simulate.forms.form import Form

from ...real_audits.audited import BATCHED, Built
from ..audited import EngineAuditee
from . import interpreter, stand_ins
from .vllm_triton import TRIALS

VARIABLES = interpreter.VARIABLES | {"TORCHDYNAMO_DISABLE": "1"}
"""Of the process; what the engine compiles for the machine runs as it is written."""

SERVER = "IPython", "aiohttp", "msgspec", "orjson", "pybase64", "starlette", "zmq"
UNUSED = "flashinfer", "sglang.srt.speculative.dflash_utils", "sglang.srt.speculative.spec_utils"
"""What ``uno_utils`` imports for its dense path and for drawing drafts."""

KERNELS = "sglang.kernels.ops.speculative"


def prepare() -> None:
    """SGLang without its server, Triton's interpreter in place."""
    logging.disable(logging.WARNING)
    stand_ins.install(SERVER, UNUSED)
    interpreter.ready()


def chain(**options: Any) -> Callable[[], Built]:
    """``chain_speculative_sampling_triton``."""
    return lambda: (sglang_chain(import_module(f"{KERNELS}.reject_sampling").chain_speculative_sampling_triton,
                                 **options), None)  # fmt: skip


def greedy_tree() -> Built:
    """``verify_tree_greedy_triton``, given tokens that are drawn from the target."""
    return sglang_greedy(import_module(f"{KERNELS}.spec_tree").verify_tree_greedy_triton), None


def dspark(one_hot: bool) -> Callable[[], Built]:
    """``blockwise_rejection_torch``: how many are accepted, and one token more, from a generator of its own."""

    def build() -> Built:
        module = import_module(f"{KERNELS}.dspark.blockwise_rejection")

        def verifier(target: Any, draft: Any, tokens: Any, rng: Any) -> Any:
            ids, one = np.asarray(tokens), tensor(np.ones(len(tokens)), "float32")
            accepted, last, _ = module.blockwise_rejection_torch(
                candidates=_behind(ids), target_logits=logits(target, "float32").flatten(0, 1),
                draft_logits=None if one_hot else logits(draft, "float32"), target_temperatures=one,
                draft_temperatures=one, noise=_Noise(as_numpy_generator(rng)),
            )  # fmt: skip
            return accepted_and_one(ids, np.asarray(accepted), np.asarray(last))

        return of_equal_lengths(verifier), None

    return build


class _Noise:
    """``RejectionNoise`` with a key of its own for every call; its package, msgspec, is a stand-in."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.key, self.counter = int(rng.integers(SEED_RANGE)), tensor([0], "int64")


def uno() -> Built:
    """``_sparse_rejection_from_support`` on supports that are the whole vocabulary, each row in an order of its own."""
    function = import_module("sglang.srt.speculative.uno_utils")._sparse_rejection_from_support

    def verifier(target: Any, draft: Any, tokens: Any, rng: Any) -> Any:
        ids, generator = np.asarray(tokens), as_numpy_generator(rng)
        coins = uniforms(generator, ids.shape), uniforms(generator, ids.shape[:1])
        accepted, last = function(_behind(ids), *_support(target, generator), *_support(draft, generator), *coins)
        return accepted_and_one(ids, np.asarray(accepted), np.asarray(last))

    return of_equal_lengths(verifier), None


def _support(rows: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Tokens and probabilities of rows, in an order of each row's own."""
    order = rng.permuted(np.broadcast_to(np.arange(rows.shape[-1]), rows.shape), axis=-1)
    return tensor(order, "int64"), tensor(np.take_along_axis(np.asarray(rows), order, -1), "float32")


def _behind(ids: Any) -> Any:
    """Drafts (T, L) behind a token that is already decided."""
    return tensor(np.concatenate([np.zeros((len(ids), 1), dtype=np.int64), ids], axis=1), "int64")


def auditees() -> tuple[EngineAuditee, ...]:
    """All of them."""
    common: dict[str, Any] = {"package": "sglang", "form": Form.CHAIN, "batched": True, "prepare": prepare}
    kernel, torch_path = "chain_speculative_sampling_triton", "PyTorch, {} draft rows"
    return (
        EngineAuditee("sglang chain, classic", what=kernel, settings="Triton, draft rows", build=chain(),
                      trials=TRIALS, **common),
        EngineAuditee("sglang chain, block verification", what=kernel, settings="Triton, draft rows",
                      build=chain(block_verification=True), trials=TRIALS, **common),
        EngineAuditee("sglang greedy tree", what="verify_tree_greedy_triton", build=greedy_tree, trials=TRIALS,
                      settings="Triton, the target's tokens drawn", **common | {"form": Form.TREE, "batched": False}),
        EngineAuditee("sglang DSpark", what="blockwise_rejection_torch", settings=torch_path.format("with"),
                      build=dspark(False), trials=BATCHED, **common),
        EngineAuditee("sglang DSpark, no draft rows", what="blockwise_rejection_torch",
                      settings=torch_path.format("no"), build=dspark(True), trials=BATCHED, **common),
        EngineAuditee("sglang UNO", what="_sparse_rejection_from_support", settings=torch_path.format("with"),
                      build=uno, trials=BATCHED, **common),
    )  # fmt: skip
