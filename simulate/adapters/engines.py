"""Serving engines: the argument lists of vLLM's rejection sampler, SGLang's tree kernels and EAGLE's posterior.

Nothing of an engine is imported.  A function with the same arguments is called as the engine calls its own.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from veridraft.theory.rows.distributions import NO_TOKEN

from ..batches.rows import Ints, draw
from .torch_tools import as_numpy_generator, logits, seeded, tensor, token_list, uniforms
from .trees import Tree, leaf_paths, merged_tree

VLLM_METADATA: dict[str, Any] = {"all_greedy": False, "all_random": True, "temperature": None, "generators": {}}


def vllm(
    function: Callable[..., Any], takes_logits: bool = False, one_hot: bool = False, metadata: Any = None
) -> Callable[..., Ints]:
    """A batched verifier of chains from a function with the arguments of vLLM's ``rejection_sample``.

    It is called as ``function(draft_token_ids (n,), num_draft_tokens, max_spec_len, cu_num_draft_tokens (T,),
    draft_probs (n, V), target_probs (n, V), bonus_token_ids (T, 1), sampling_metadata)``: the requests' drafts
    one behind another, n in all, and a bonus token drawn beforehand from the row behind each draft.  It returns
    (T, max_spec_len + 1) with -1 for what was not emitted.  A token -1 of the input ends its request's draft.

    takes_logits : hand over the logarithms of the target's rows, as newer versions expect
    one_hot : hand over None for the draft's rows, as n-gram drafting does
    metadata : the last argument; by default one that says that every request samples
    """
    said = SimpleNamespace(**VLLM_METADATA, top_k=None, top_p=None) if metadata is None else metadata

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
                tensor(bonus[:, None], "int32"), said,
            )  # fmt: skip
        return np.asarray(emitted).astype(np.int64)

    return verifier


def sglang(function: Callable[..., Any], spelling: str = "retrieve", **options: Any) -> Callable[..., list[int]]:
    """A verifier of trees from a function with the arguments of ``tree_speculative_sampling_target_only``.

    One request; equal siblings are merged first, since the engine's trees have none.  The function writes into
    ``predicts`` (N,), ``accept_index`` (1, depth + 1) and ``accept_token_num`` (1,): the token behind the i-th
    accepted node is ``predicts[accept_index[0, i]]``.  Both thresholds are 1, so that no draft is favoured;
    ``draft_probs`` is zeros, in which the function notes what it has tried.

    spelling : "retrieve", or "retrive" as in versions up to the rename; options : further keywords
    """

    def verifier(target: Any, draft: Any, parents: Any, tokens: Any, rng: Any) -> list[int]:
        tree, generator = merged_tree(target, parents, tokens), as_numpy_generator(rng)
        outputs, rows = _sglang_outputs(tree), tensor(tree.target[None], "float32")
        coins = {
            "uniform_samples": uniforms(generator, (1, tree.size)),
            "uniform_samples_for_final_sampling": uniforms(generator, (1,)),
        }
        keywords = {"threshold_single": 1.0, "threshold_acc": 1.0, "deterministic": True} | options
        with seeded(generator):
            function(
                **outputs, **_sglang_tree(tree, spelling), **coins, target_probs=rows, draft_probs=rows * 0, **keywords
            )
        return _sglang_emitted(outputs)

    return verifier


def sglang_greedy(function: Callable[..., Any], spelling: str = "retrieve", **options: Any) -> Callable[..., list[int]]:
    """A verifier of trees from a function with the arguments of ``verify_tree_greedy``.

    As :func:`sglang`, but each node brings one token of the target, ``target_predict`` (1, N), and the path of
    nodes that agree with it is followed.  The adapter draws these tokens from the target's rows; for a target at
    temperature 0 they are its argmax.
    """

    def verifier(target: Any, draft: Any, parents: Any, tokens: Any, rng: Any) -> list[int]:
        tree, generator = merged_tree(target, parents, tokens), as_numpy_generator(rng)
        outputs, drawn = _sglang_outputs(tree), draw(tree.target, generator)
        with seeded(generator):
            function(
                **outputs, **_sglang_tree(tree, spelling), target_predict=tensor(drawn[None], "int64"), **options
            )
        return _sglang_emitted(outputs)

    return verifier


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


def _sglang_outputs(tree: Tree) -> dict[str, Any]:
    """The three arguments that the function writes into."""
    shapes = {"predicts": tree.size, "accept_index": (1, tree.depth + 1), "accept_token_num": 1}
    return {
        name: tensor(np.full(shape, 0 if name == "accept_token_num" else NO_TOKEN), "int32")
        for name, shape in shapes.items()
    }


def _sglang_tree(tree: Tree, spelling: str) -> dict[str, Any]:
    """The tree as candidates and links, (1, N) each; the root's candidate is a token that is already decided."""
    candidates = np.concatenate([[0], tree.tokens[1:]])
    links = {"index": np.arange(tree.size), "next_token": tree.first_child, "next_sibling": tree.next_sibling}
    arrays = {f"{spelling}_{name}": tensor(link[None], "int64") for name, link in links.items()}
    return {"candidates": tensor(candidates[None], "int64")} | arrays


def _sglang_emitted(outputs: dict[str, Any]) -> list[int]:
    """The tokens behind the accepted nodes, the root among them."""
    accepted = int(outputs["accept_token_num"][0])
    return token_list(outputs["predicts"][outputs["accept_index"][0, : accepted + 1].long()])
