"""Real models: a target and a draft network, decoded speculatively and held against the exact law.

- :func:`load_pair` gives the two networks: any transformers causal model, a GGUF file, or the embedded one.
- :func:`load_split_pair` loads a target that does not fit one device; :func:`on_all_ranks` decodes with it.
- :func:`distil` teaches a small draft from the target's own samples.
- :func:`decode` writes a text with a tree policy and a verifier, one target pass for each tree.
- :class:`BatchDecoder` writes many texts at once; :func:`speculative` is the same for ``model.generate``.
- :func:`verify` is the verifiers on torch tensors, coin by coin; :func:`stopping_probabilities` is their law.
- :class:`PromptPair` asks the networks for the rows of any context; :func:`record_run` keeps those of a run.
- :func:`crosscheck` decodes and compares what it measures with what ``veridraft.theory`` predicts.

Importing this package imports no torch; the first use of a name does, and says what to install if it is
not there.

>>> from veridraft.gpu import load_pair, crosscheck                                   # doctest: +SKIP
>>> run = crosscheck(load_pair(), ["traversal"], policy="Iid(4, 3)", steps=100)       # doctest: +SKIP
>>> run.rows[0]["z"], run.rows[0]["z_draft"], run.rows[0]["z_text"]                   # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .batch_decoding import BatchDecoder
    from .compiled import compiled_pair
    from .crosschecker import Crosscheck, crosscheck
    from .decoding import Decoded, Decoder, Step, decode
    from .distil_plan import DistilPlan
    from .distilling import distil
    from .generation import speculative
    from .n_gram import NGram
    from .packing import packed_pair
    from .pairs import ModelPair, load_pair
    from .parallel import on_all_ranks
    from .recording import PromptPair, record_run
    from .requests import Block, Ending, Request, Written
    from .sampling import Sampling
    from .split_pairs import load_split_pair
    from .trees import TensorTree
    from .verification import stopping_probabilities, verify

__all__ = [
    "BatchDecoder",
    "Block",
    "Crosscheck",
    "Decoded",
    "Decoder",
    "DistilPlan",
    "Ending",
    "ModelPair",
    "NGram",
    "PromptPair",
    "Request",
    "Sampling",
    "Step",
    "TensorTree",
    "Written",
    "compiled_pair",
    "crosscheck",
    "decode",
    "distil",
    "load_pair",
    "load_split_pair",
    "on_all_ranks",
    "packed_pair",
    "record_run",
    "speculative",
    "stopping_probabilities",
    "verify",
]

_HOMES = {
    "BatchDecoder": "batch_decoding",
    "Block": "requests",
    "Crosscheck": "crosschecker",
    "Decoded": "decoding",
    "Decoder": "decoding",
    "DistilPlan": "distil_plan",
    "Ending": "requests",
    "ModelPair": "pairs",
    "NGram": "n_gram",
    "PromptPair": "recording",
    "Request": "requests",
    "Sampling": "sampling",
    "Step": "decoding",
    "TensorTree": "trees",
    "Written": "requests",
    "compiled_pair": "compiled",
    "crosscheck": "crosschecker",
    "decode": "decoding",
    "distil": "distilling",
    "load_pair": "pairs",
    "load_split_pair": "split_pairs",
    "on_all_ranks": "parallel",
    "packed_pair": "packing",
    "record_run": "recording",
    "speculative": "generation",
    "stopping_probabilities": "verification",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    """The public name, its module imported on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
