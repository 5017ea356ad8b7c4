"""Verifiers of packages of the Python index that are handed a draft, each called as its package documents it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from veridraft.simulate.adapters.lengths import accepted_and_one
from veridraft.simulate.adapters.torch_tools import as_numpy_generator, logits, seeded, tensor, token_list
from veridraft.simulate.forms.cases import Case
from veridraft.simulate.forms.form import Form

from .audited import Built
from .audited_models import RowModel, prompt


def chain(decide: Callable[..., list[int]]) -> Built:
    """The audit of ``decide(target, draft, tokens)`` with rows in float64, under seeded global generators."""

    def verifier(target: Any, draft: Any, tokens: Any, rng: Any) -> list[int]:
        with seeded(as_numpy_generator(rng)):
            return decide(np.asarray(target), np.asarray(draft), np.asarray(tokens))

    return verifier, None


def flashspec_step() -> Built:
    """``rejection_step``, a batch at once: how many are accepted, and one token more."""
    return _flashspec("rejection_step", with_draft=True)


def flashspec_onehot() -> Built:
    """``rejection_step_onehot``: any draft, taken for a certain one."""
    return _flashspec("rejection_step_onehot", with_draft=False)


def _flashspec(name: str, with_draft: bool) -> Built:
    function = getattr(import_module("flashspec.sampling.rejection"), name)

    def verifier(target: Any, draft: Any, tokens: Any, rng: Any) -> Any:
        ids = np.asarray(tokens)
        rows = [logits(draft, "float32")] if with_draft else []
        with seeded(as_numpy_generator(rng)):
            accepted, following = np.asarray(function(tensor(ids, "int64"), *rows, logits(target, "float32"))).T
        return accepted_and_one(ids, accepted, following)

    return verifier, _equal_lengths()


def _equal_lengths() -> list[Case]:
    """The default cases of batched chains, without requests of unequal lengths."""
    from veridraft.simulate.forms.cases import default_cases

    return [case for case in default_cases(Form.CHAIN, batched=True) if case.lengths is None]


def flashspec_sample() -> Built:
    """``rejection_sample``: the accepted tokens and a replacement; no bonus token, which its engine draws itself."""
    function = import_module("flashspec.sampling.rejection").rejection_sample

    def verifier(target: Any, draft: Any, tokens: Any, rng: Any) -> Any:
        ids, rows = tensor(tokens, "int64"), logits(np.asarray(target)[:, :-1], "float32")
        with seeded(as_numpy_generator(rng)):
            emitted, _, _ = function(ids, logits(draft, "float32"), rows, ids, ids.shape[1])
        return np.asarray(emitted)

    return verifier, _equal_lengths()


class _Softmax:
    """A token selector of economize: the softmax of the logits, drawn from torch's global generator."""

    greedy, generator = False, None

    def distribution(self, scores: Any, history: Any) -> Any:
        return scores.float().softmax(-1)

    def distributions(self, scores: Any) -> Any:
        return scores.float().softmax(-1)

    def __call__(self, scores: Any, history: Any) -> int:
        import torch

        return int(torch.multinomial(scores.float().softmax(-1), 1))


def _economize(verifier: str) -> tuple[Any, Any]:
    """A verifier of economize, and its class of drafts."""
    decoding = import_module("economize.decoding")
    config = decoding.DecodeConfig(verifier=verifier)
    return import_module("economize.decoding.verifiers").VERIFIERS.get(verifier)(config), decoding.Draft


def economize_chain(name: str = "rejection") -> Built:
    """``verify``, one row."""
    verifier, _ = _economize(name)

    def decide(target: Any, draft: Any, tokens: Any) -> list[int]:
        rows, ids = tensor(draft, "float32"), token_list(tokens)
        accepted, last = verifier.verify(logits(target, "float32"), ids, rows, _Softmax(), tensor(tokens, "int64"), 0)
        return [*ids[:accepted], int(last)]

    return chain(decide)


def economize_typical() -> Built:
    """Typical acceptance, which the package documents as lossy."""
    return economize_chain("typical")


def economize_batch() -> Built:
    """``verify_batch``."""
    verifier, drafts = _economize("rejection")

    def batch(target: Any, draft: Any, tokens: Any, rng: Any) -> Any:
        ids = tensor(tokens, "int64")
        drafted = drafts(tokens=ids, lengths=[ids.shape[1]] * len(ids), probs=tensor(draft, "float32"))
        with seeded(as_numpy_generator(rng)):
            accepted, last = verifier.verify_batch(logits(target, "float32"), drafted, _Softmax(), ids, [0] * len(ids))
        return accepted_and_one(np.asarray(tokens), np.asarray(accepted), np.asarray(last))

    return batch, _equal_lengths()


def economize_tree() -> Built:
    """``verify_tree``, equal siblings as nodes of their own."""
    verifier, drafts = _economize("rejection")

    def decide(target: Any, draft: Any, parents: Any, tokens: Any, rng: Any) -> list[int]:
        above, ids = np.asarray(parents)[1:], np.asarray(tokens)[1:]
        drafted = drafts(
            tokens=tensor(ids[None], "int64"), lengths=[len(ids)], parents=tensor(above[None] - 1, "int64"),
            probs=tensor(np.asarray(draft)[above][None], "float32"),
        )  # fmt: skip
        with seeded(as_numpy_generator(rng)):
            paths, last = verifier.verify_tree(logits(target, "float32")[None], drafted, _Softmax())
        return [*token_list(ids[paths[0]]), int(last[0])]

    return decide, None


def rotalabs_sample() -> Built:
    """``rejection_sample``, called position by position as its documentation says."""
    function = import_module("rotalabs_accel.speculative.sampling").rejection_sample

    def decide(target: Any, draft: Any, tokens: Any) -> list[int]:
        rows, drafts, ids, emitted = tensor(target, "float32"), tensor(draft, "float32"), tensor(tokens, "int64"), []
        for place, token in enumerate(ids):
            accepted, drawn = function(rows[place, token], drafts[place, token], token, rows[place].log())
            emitted.append(int(drawn))
            if not accepted:
                return emitted
        return emitted

    return chain(decide)


def rotalabs_verify() -> Built:
    """``verify_tokens`` of its main loop, with the default top_p; the model's rows are the target's."""
    function = import_module("rotalabs_accel.speculative.core").verify_tokens

    def decide(target: Any, draft: Any, tokens: Any) -> list[int]:
        drawn = np.take_along_axis(draft, tokens[:, None], 1)[:, 0]
        model = RowModel(lambda context: target[len(context)])
        emitted, _, _ = function(model, prompt(), tensor(tokens, "int64"), tensor(drawn, "float32"), None)
        return token_list(emitted)

    return chain(decide)


def rotalabs_eagle() -> Built:
    """``eagle_verify`` with ``use_sampling=True``."""
    function = import_module("rotalabs_accel.speculative.eagle").eagle_verify

    def decide(target: Any, draft: Any, tokens: Any) -> list[int]:
        drawn = np.take_along_axis(draft, tokens[:, None], 1).T
        model = RowModel(lambda context: target[len(context)])
        emitted, _, _ = function(
            model, prompt(), tensor(tokens[None], "int64"), tensor(drawn, "float32"), None, use_sampling=True
        )
        return token_list(emitted)

    return chain(decide)


def dflash_sample() -> Built:
    """``_rejection_sample``."""
    function = import_module("dflash.model")._rejection_sample

    def decide(target: Any, draft: Any, tokens: Any) -> list[int]:
        rows = tensor(target[None], "float32"), tensor(draft[None], "float32")
        accepted, last = function(tensor(tokens[None], "int64"), *rows)
        return [*token_list(tokens[:accepted]), int(last)]

    return chain(decide)
