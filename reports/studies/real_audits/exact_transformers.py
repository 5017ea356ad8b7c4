"""Exact cases of transformers: its own code on rows in small fractions, and what it makes of them."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

from veridraft.simulate.adapters.torch_tools import logits, seeded, tensor
from veridraft.simulate.adapters.transformers import speculative_sampling

from .audited import ExactCase
from .audited_models import gemma4_drafter


def argmax_drafts() -> ExactCase:
    """The exact case of the single-position generator: its drafts are argmax tokens, its q is the raw row."""
    from transformers.generation.candidate_generator import SinglePositionMultiTokenCandidateGenerator
    from transformers.generation.utils import _speculative_sampling

    target, draft = (Fraction(5, 10), Fraction(3, 10), Fraction(2, 10)), np.array([0.2, 0.25, 0.55])
    rows = logits(np.array([[float(value) for value in target]] * 2), "float32")[None]
    states = SimpleNamespace(hidden_states=[tensor(np.zeros((1, 1, 4)), "float32")], shared_kv_states={})
    maker = SinglePositionMultiTokenCandidateGenerator(
        gemma4_drafter(draft), lambda ids: tensor(np.zeros((1, 1, 4)), "float32"), SimpleNamespace(max_length=3)
    )

    def run(rng: np.random.Generator) -> int:
        with seeded(rng):
            drafted, scores = maker.get_candidates(tensor([[0]], "int64"), {}, states, False, 0)
            valid, _ = _speculative_sampling(drafted, scores, 1, rows)
        return int(valid[0, 0])

    return ExactCase(
        "One draft, target (1/2, 3/10, 1/5), drafter (1/5, 1/4, 11/20). get_candidates always proposes token 2, the "
        "argmax, and returns the raw logits; _speculative_sampling takes them for the law that token 2 was drawn from. "
        "It accepts with probability (1/5)/(11/20) = 4/11, and otherwise draws from the residual (3/10, 1/20, 0), that "
        "is (6/7, 1/7, 0).",
        ("token 0", "token 1", "token 2"), target, (Fraction(6, 11), Fraction(1, 11), Fraction(4, 11)), run,
    )  # fmt: skip


def permuted_columns() -> ExactCase:
    """The exact case of universal speculative decoding: q's columns in another order than the drafted tokens."""
    from transformers.generation.candidate_generator import AssistantToTargetTranslator
    from transformers.generation.utils import _speculative_sampling

    drafter = _TwoLetterDrafter(np.array([0.9, 0.1, 1.0]))
    translator = AssistantToTargetTranslator(
        ListedVocabulary({"a": 0, "b": 1}), ListedVocabulary({"b": 1, "a": 0, "c": 2}), 2, drafter, True
    )
    rows = logits(np.full((2, 2), 0.5), "float32")[None]

    def run(rng: np.random.Generator) -> int:
        import torch

        with seeded(rng), torch.no_grad():
            scores = drafter.head(torch.ones(1, 1, 1))
            drawn = torch.multinomial(scores[0].softmax(-1), 1)
            drafted = translator.get_target_ids(torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.long), _behind(drawn))
            valid, _ = _speculative_sampling(drafted, translator.get_target_logits(scores), 1, rows)
        return int(valid[0, 0])

    return ExactCase(
        "Letters a, b of the target, law (1/2, 1/2); the drafter has a, b, c and draws a with 9/10, b with 1/10 (c is "
        "pruned); its get_vocab lists b before a. get_target_ids translates drawn tokens in the order of that list, "
        "get_target_logits in the order of the numbers: q is reported as (1/10, 9/10). a is always accepted; b with "
        "(1/2)/(9/10) = 5/9, and otherwise the residual (2/5, 0) gives a.",
        ("letter a", "letter b"), (Fraction(1, 2), Fraction(1, 2)), (Fraction(17, 18), Fraction(1, 18)), run,
    )  # fmt: skip


def _behind(drawn: Any) -> Any:
    """A token drawn (1, 1) behind one that was there before, ids (1, 2)."""
    import torch

    return torch.cat([torch.zeros(1, 1, dtype=torch.long), drawn], dim=1)


class ListedVocabulary:
    """A tokenizer that knows its vocabulary, listed in the given order, and no space."""

    def __init__(self, vocabulary: dict[str, int]) -> None:
        self.vocabulary = vocabulary

    def get_vocab(self) -> dict[str, int]:
        """The vocabulary as it was given."""
        return dict(self.vocabulary)

    def __call__(self, text: str, **ignored: Any) -> dict[str, list[int]]:
        """No tokens."""
        return {"input_ids": []}


class _TwoLetterDrafter:
    """A drafter whose head gives the logarithms of the given weights (V,) for the hidden state 1."""

    def __init__(self, weights: Any) -> None:
        import torch

        self.device, self.head = "cpu", torch.nn.Linear(1, len(weights), bias=False)
        self.head.weight.data = logits(weights, "float32")[:, None]
        self.embedding = torch.nn.Embedding(len(weights), 1)

    def get_output_embeddings(self) -> Any:
        return self.head

    def set_output_embeddings(self, head: Any) -> None:
        self.head = head

    def get_input_embeddings(self) -> Any:
        return self.embedding

    def set_input_embeddings(self, embedding: Any) -> None:
        self.embedding = embedding


def ensemble_weight() -> ExactCase:
    """The exact case of the documented bias: acceptance with probability (1 - w) + w p/q at w = 1/2."""
    from transformers.generation.utils import _speculative_sampling

    target, draft = (Fraction(1, 3), Fraction(2, 3)), np.array([2 / 3, 1 / 3])
    verifier = speculative_sampling(_speculative_sampling, assistant_ensemble_weight=0.5)
    rows = np.array([[float(value) for value in target]] * 2)

    def run(rng: np.random.Generator) -> int:
        return verifier(rows, draft[None], [int(rng.random() >= draft[0])], rng)[0]

    return ExactCase(
        "One draft, target (1/3, 2/3), drafter (2/3, 1/3): token 0 is drafted with probability 2/3 and accepted with "
        "1/2 + 1/2 * 1/2 = 3/4; everything else leads to token 1.",
        ("token 0", "token 1"), target, (Fraction(1, 2), Fraction(1, 2)), run,
    )  # fmt: skip


def emitted_at_zero() -> int:
    """The token that ``_speculative_sampling`` emits at a uniform of 0, where the target forbids the draft, token 1."""
    import torch
    from transformers.generation.utils import _speculative_sampling

    target, draft = (logits(np.array([[rows]]), "float32") for rows in ((1.0, 0.0), (0.0, 1.0)))
    with mock.patch.object(torch, "rand_like", torch.zeros_like):
        valid, _ = _speculative_sampling(tensor([[1]], "int64"), draft, 1, torch.cat([target, target], dim=1))
    return int(valid[0, 0])
