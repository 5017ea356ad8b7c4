"""vLLM: the argument lists of its two rejection samplers.

Nothing of the engine is imported.  A function with the same arguments is called as the engine calls its own.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from veridraft.theory.rows.distributions import NO_TOKEN

from ..batches.rows import Ints, draw
from .torch_tools import SEED_RANGE, as_numpy_generator, logits, seeded, tensor

VLLM_METADATA: dict[str, Any] = {
    "all_greedy": False, "all_random": True, "generators": {}, "top_k": None, "top_p": None
}  # fmt: skip
"""What the engine says of a batch in which every request samples."""


def vllm_v1(
    function: Callable[..., Any], takes_logits: bool = False, one_hot: bool = False, metadata: Any = None
) -> Callable[..., Ints]:
    """A batched verifier of chains from a function with the arguments of vLLM's ``rejection_sample``.

    It is called as ``function(draft_token_ids (n,), num_draft_tokens, max_spec_len, cu_num_draft_tokens (T,),
    draft_probs (n, V), target_probs (n, V), bonus_token_ids (T, 1), sampling_metadata)``: the requests' drafts
    one behind another, n in all, and a bonus token drawn beforehand from the row behind each draft.  It returns
    (T, max_spec_len + 1) with -1 for what was not emitted.  A token -1 of the input ends its request's draft.

    takes_logits : hand over the logarithms of the target's rows, as newer versions expect
    one_hot : hand over None for the draft's rows, as n-gram drafting does
    metadata : the last argument; by default one that says that every request samples, at temperature 1
    """

    def verifier(target: Any, draft: Any, tokens: Any, rng: Any) -> Ints:
        rows, drafts, ids = (np.asarray(array) for array in (target, draft, tokens))
        generator = as_numpy_generator(rng)
        drafted = np.logical_and.accumulate(ids != NO_TOKEN, axis=1)
        lengths = drafted.sum(axis=1)
        bonus = draw(rows[np.arange(len(ids)), lengths].astype(np.float64), generator)
        flat = rows[:, :-1][drafted]
        with seeded(generator):
            emitted = function(
                tensor(ids[drafted], "int32"), lengths.tolist(), int(ids.shape[1]), tensor(np.cumsum(lengths), "int32"),
                None if one_hot else tensor(drafts[drafted], "float32"),
                logits(flat, "float32") if takes_logits else tensor(flat, "float32"),
                tensor(bonus[:, None], "int32"), _sampling(len(ids)) if metadata is None else metadata,
            )  # fmt: skip
        return np.asarray(emitted).astype(np.int64)

    return verifier


def _sampling(requests: int) -> SimpleNamespace:
    """Metadata of requests that all sample at temperature 1."""
    return SimpleNamespace(**VLLM_METADATA, temperature=tensor(np.ones(requests), "float32"))


def vllm_v2(function: Callable[..., Any], one_hot: bool = False, **options: Any) -> Callable[..., Ints]:
    """A batched verifier of chains from a function with the arguments of the newer worker's ``rejection_sample``.

    It is called as ``function(target_logits (n, V), draft_logits (T, L, V), draft_sampled (n,), cu_num_logits
    (T + 1,), pos (n,), idx_mapping (T,), expanded_idx_mapping (n,), expanded_local_pos (n,), temperature (T,),
    seed (T,), L, **options)``: for each request a token that is already decided, then its drafts, n in all, with a
    row of the target for each.  It draws by seed and position, which are drawn anew for every request.  It returns
    tokens (T, L + 1) and how many of each row are emitted.  A token -1 of the input ends its request's draft.

    one_hot : hand over None for the draft's rows, as n-gram drafting does
    options : further keywords, such as ``use_block_verification=True``
    """

    def verifier(target: Any, draft: Any, tokens: Any, rng: Any) -> Ints:
        rows, ids, generator = np.asarray(target), np.asarray(tokens), as_numpy_generator(rng)
        trials, length = ids.shape
        drafted = np.logical_and.accumulate(ids != NO_TOKEN, axis=1)
        held = np.concatenate([np.ones((trials, 1), dtype=bool), drafted], axis=1)  # (T, L + 1): a row of logits each
        request, place = np.nonzero(held)
        sampled = np.concatenate([np.zeros((trials, 1), dtype=np.int64), ids], axis=1)[held]
        starts = np.concatenate([[0], np.cumsum(held.sum(axis=1))])
        first = np.asarray(generator.integers(1, 2**20, size=trials))
        with seeded(generator):
            emitted, counts = function(
                logits(rows[held], "float32"), None if one_hot else logits(draft, "float32"),
                tensor(sampled, "int32"), tensor(starts, "int32"), tensor(first[request] + place, "int64"),
                tensor(np.arange(trials), "int32"), tensor(request, "int32"), tensor(place, "int32"),
                tensor(np.ones(trials), "float32"), tensor(generator.integers(SEED_RANGE, size=trials), "int64"),
                length, **options,
            )  # fmt: skip
        behind = np.arange(length + 1) >= np.asarray(counts)[:, None]
        return np.where(behind, NO_TOKEN, np.asarray(emitted).astype(np.int64))

    return verifier
