"""SGLang: the argument lists of its tree kernels and of its chain kernel.

Nothing of the engine is imported.  A function with the same arguments is called as the engine calls its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from veridraft.theory.rows.distributions import NO_TOKEN

from ..batches.rows import Ints, draw
from .lengths import of_equal_lengths
from .torch_tools import as_numpy_generator, seeded, tensor, token_list, uniforms
from .trees import Tree, merged_tree


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


def sglang_chain(function: Callable[..., Any], spelling: str = "retrive", **options: Any) -> Callable[..., Ints]:
    """A batched verifier of chains from a function with the arguments of ``chain_speculative_sampling_triton``.

    As :func:`sglang`, for T requests at once, each a chain: ``candidates`` and links (T, L + 1), ``target_probs``
    (T, L + 1, V), ``draft_probs`` (T, L, V) the rows that the tokens were drawn from, ``predicts`` (T (L + 1),),
    ``accept_index`` (T, L + 1), ``accept_token_num`` (T,).

    spelling : "retrive", or "retrieve"; options : further keywords, such as ``block_verification=True``
    """

    def verifier(target: Any, draft: Any, tokens: Any, rng: Any) -> Ints:
        ids, generator = np.asarray(tokens), as_numpy_generator(rng)
        shape = len(ids), ids.shape[1] + 1
        sizes = {"predicts": shape[0] * shape[1], "accept_index": shape, "accept_token_num": shape[0]}
        outputs = {name: tensor(np.full(size, NO_TOKEN), "int32") for name, size in sizes.items()}
        coins = {
            "uniform_samples": uniforms(generator, shape),
            "uniform_samples_for_final_sampling": uniforms(generator, shape[:1]),
        }
        rows = {"target_probs": tensor(target, "float32"), "draft_probs": tensor(draft, "float32")}
        keywords = {"threshold_single": 1.0, "threshold_acc": 1.0, "deterministic": True} | options
        with seeded(generator):
            function(**outputs, **_sglang_links(ids, spelling), **coins, **rows, **keywords)
        return _chain_emitted(*(np.asarray(array).astype(np.int64) for array in outputs.values()))

    return of_equal_lengths(verifier)


def _sglang_links(ids: Ints, spelling: str) -> dict[str, Any]:
    """Chains of tokens (T, L) as candidates and links, (T, L + 1) each: a token that is already decided comes first."""
    trials, length = ids.shape
    index = np.arange(trials * (length + 1)).reshape(trials, -1)
    following = np.tile([*range(1, length + 1), NO_TOKEN], (trials, 1))
    links = {"index": index, "next_token": following, "next_sibling": np.full_like(following, NO_TOKEN)}
    arrays = {f"{spelling}_{name}": tensor(link, "int64") for name, link in links.items()}
    candidates = np.concatenate([np.zeros((trials, 1), dtype=np.int64), ids], axis=1)
    return {"candidates": tensor(candidates, "int64")} | arrays


def _chain_emitted(predicts: Ints, accept_index: Ints, accepted: Ints) -> Ints:
    """The tokens behind the accepted places, (T, L + 1), -1 behind those."""
    behind = np.arange(accept_index.shape[1]) > accepted[:, None]
    return np.where(behind, NO_TOKEN, predicts[np.where(behind, 0, accept_index)])


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
