"""Serving engines: the argument lists of EAGLE's posterior, lmdeploy's and flashinfer's samplers and TensorRT-LLM's.

Nothing of an engine is imported.  A function with the same arguments is called as the engine calls its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from veridraft.theory.rows.distributions import NO_TOKEN

from ..batches.rows import Ints, draw
from .lengths import of_equal_lengths
from .torch_tools import as_numpy_generator, logits, seeded, tensor, token_list
from .trees import leaf_paths


def eagle(
    function: Callable[..., Any], logits_processor: Callable[..., Any] | None = None, **options: Any
) -> Callable[..., list[int]]:
    """A verifier of trees from a function with the arguments of EAGLE's ``evaluate_posterior``, as in EAGLE-2 and 3.

    It is called as ``function(logits (paths, depth + 1, V), candidates (paths, depth + 1), logits_processor)``:
    a row for every leaf, its path from the root behind a token that is already decided, padded with -1.  It
    returns the best candidate, the number of accepted tokens, and the weights (V,) that the next token is drawn
    from.  It draws from Python's and torch's global generators, which are seeded for the call.

    logits_processor : given the identity by default; the rows are the target's law already
    """
    processor = logits_processor or (lambda input_ids, scores: scores)

    def verifier(target: Any, draft: Any, parents: Any, tokens: Any, rng: Any) -> list[int]:
        generator, ids = as_numpy_generator(rng), np.asarray(tokens)
        nodes = leaf_paths(parents)  # (paths, depth + 1), NO_TOKEN behind a shorter path
        candidates = np.where(nodes == NO_TOKEN, NO_TOKEN, ids[nodes])
        candidates[:, 0] = 0
        with seeded(generator):
            best, accepted, weights = function(
                logits(np.asarray(target)[nodes], "float32"), tensor(candidates, "int64"), processor, **options
            )
        last = draw(np.asarray(weights, dtype=np.float64).reshape(1, -1), generator)
        return [*token_list(candidates[int(best), 1 : int(accepted) + 1]), int(last[0])]

    return verifier


def lmdeploy(function: Callable[..., Any], one_hot: bool = False) -> Callable[..., Ints]:
    """A batched verifier of chains from a function with the arguments of lmdeploy's ``RejectionSamplingImpl.forward``.

    It is called as ``function(target_logits (T, L, V), draft_token_ids (T, L), bonus_token_ids (T,),
    is_greedy=None, draft_probs=(T, L, V))``, the bonus tokens drawn beforehand, and returns first the tokens
    (T, L + 1), -1 for what was not emitted.

    one_hot : hand over None for the draft's rows, as deterministic drafting does
    """

    def verifier(target: Any, draft: Any, tokens: Any, rng: Any) -> Ints:
        rows, generator = np.asarray(target), as_numpy_generator(rng)
        bonus = draw(rows[:, -1].astype(np.float64), generator)
        told = None if one_hot else tensor(draft, "float32")
        given = logits(rows[:, :-1], "float32"), tensor(tokens, "int64"), tensor(bonus, "int64")
        with seeded(generator):
            emitted = function(*given, is_greedy=None, draft_probs=told)[0]
        return np.asarray(emitted).astype(np.int64)

    return of_equal_lengths(verifier)


def flashinfer_chain(function: Callable[..., Any], **options: Any) -> Callable[..., Ints]:
    """A batched verifier of chains from a function with the arguments of flashinfer's ``chain_speculative_sampling``.

    It is called as ``function(draft_probs (T, L, V), draft_token_ids (T, L), target_probs (T, L + 1, V),
    **options)`` and returns tokens (T, L + 1), -1 for what was not emitted, the tokens that would be accepted, and the
    drafted ones that are emitted; the last two are not read.
    """

    def verifier(target: Any, draft: Any, tokens: Any, rng: Any) -> Ints:
        given = tensor(draft, "float32"), tensor(tokens, "int32"), tensor(target, "float32")
        with seeded(as_numpy_generator(rng)):
            emitted = function(*given, **options)[0]
        return np.asarray(emitted).astype(np.int64)

    return of_equal_lengths(verifier)


def trtllm(function: Callable[..., Any], **options: Any) -> Callable[..., Ints]:
    """A batched verifier of chains from a function like TensorRT-LLM's ``rejection_sampling_one_model``.

    It is called as ``function(draft_probs (T, L, V), draft_token_ids (T, L), target_probs (T, L + 1, V), seed=...,
    offset=0, **options)``, the seed drawn anew for every call, and returns tokens (T, L + 1) and how many of each row
    are emitted, the last one included.
    """

    def verifier(target: Any, draft: Any, tokens: Any, rng: Any) -> Ints:
        generator = as_numpy_generator(rng)
        given = tensor(draft, "float32"), tensor(tokens, "int32"), tensor(target, "float32")
        with seeded(generator):
            seed = int(generator.integers(2**31))
            emitted, counts = function(*given, seed=seed, offset=0, **options)
        behind = np.arange(np.asarray(emitted).shape[1]) >= np.asarray(counts)[:, None]
        return np.where(behind, NO_TOKEN, np.asarray(emitted).astype(np.int64))

    return of_equal_lengths(verifier)
