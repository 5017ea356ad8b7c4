"""Hugging Face transformers: its rejection sampler for one draft, and whole assisted generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.rows.distributions import Row, check_count
from veridraft.theory.rows.trees import Context

from .torch_tools import as_numpy_generator, logits, seeded, tensor, token_list

COUNTING_OPTIONS = ("min_new_tokens", "min_length", "forced_bos_token_id", "forced_eos_token_id")
"""Options whose effect depends on how long the prompt is: no function of the text alone describes them."""


def speculative_sampling(function: Callable[..., Any], dtype: str = "float32", **options: Any) -> Callable[..., Any]:
    """A verifier of one chain from transformers' ``_speculative_sampling``, or a function of its signature.

    The function is called as ``function(candidate_input_ids (1, L), candidate_logits (1, L, V), candidate_length,
    new_logits (1, L + 1, V), **options)`` with logarithms of the rows, and returns the valid tokens and how many
    drafts match.  It draws from torch's global generator, which is seeded for the call.  L must be at least 1.
    """

    def verifier(target: Any, draft: Any, tokens: Any, rng: Any) -> list[int]:
        candidates = tensor(tokens, "int64")[None]
        arguments = logits(draft, dtype)[None], candidates.shape[1], logits(target, dtype)[None]
        with seeded(as_numpy_generator(rng)):
            valid, _ = function(candidates, *arguments, **options)
        return token_list(valid)

    return verifier


def generation(
    generate: Callable[..., Any], prompt: Sequence[int] = (0,), new_tokens: int = 3, **options: Any
) -> Callable[[Any], list[int]]:
    """``generate(rng) -> tokens`` from a model's ``generate``, or a function of its signature.

    prompt : tokens before the generated ones; new_tokens : how many are asked for; options : handed over, for
    example ``assistant_model``, ``prompt_lookup_num_tokens``, ``assistant_early_exit``, ``temperature``,
    ``top_k``.  ``do_sample=True`` unless said otherwise, and an attention mask of ones: left to itself, ``generate``
    hides tokens of the prompt that equal the padding token.  :class:`GeneratedTarget` with the same prompt and the
    options that shape the target's law is what the strings are judged against.
    """
    start = _prompt(prompt)
    keywords: dict[str, Any] = {"do_sample": True, "max_new_tokens": check_count("new_tokens", new_tokens, 1)} | options

    def run(rng: Any) -> list[int]:
        ids = tensor([start], "int64")
        with seeded(as_numpy_generator(rng)):
            tokens = generate(ids, **({"attention_mask": ids * 0 + 1} | keywords))
        return token_list(getattr(tokens, "sequences", tokens)[0])[len(start) :]

    return run


class GeneratedTarget(Pair):
    """The law that plain sampling with ``model.generate`` follows: its row after the prompt and a context.

    model : a causal language model of transformers; prompt : the tokens before every context; options : what
    ``generate`` takes to shape the law, such as ``temperature``, ``top_k``, ``top_p``, ``min_p``.  A row is the
    softmax, in float64, of the scores that ``generate`` itself returns for one more token, after its processors;
    each is computed once.  No token is masked, not even one that equals the padding token.  The draft's row is the
    target's: in the form ``generate`` nobody reads it.
    Raises ``ValueError`` for an option that depends on the prompt's length (``min_new_tokens`` and its like).
    """

    exact = False

    def __init__(self, model: Any, prompt: Sequence[int] = (0,), **options: Any) -> None:
        counting = [name for name in COUNTING_OPTIONS if name in options]
        if counting:
            raise ValueError(f"option {counting[0]} depends on the prompt's length; a target's rows cannot have it")
        self.model, self.prompt, self.options = model, _prompt(prompt), options
        self.vocabulary_size = int(model.config.get_text_config().vocab_size)
        self._rows: dict[Context, Row] = {}

    def target_row(self, context: Context) -> Row:
        """The next token's law (V,) after the prompt and the context."""
        if context not in self._rows:
            self._rows[context] = self._computed(context)
        return self._rows[context]

    def draft_row(self, context: Context) -> Row:
        """The target's row: no draft is known."""
        return self.target_row(context)

    def _computed(self, context: Context) -> Row:
        import torch

        ids = tensor([[*self.prompt, *context]], "int64")
        keywords = {"output_scores": True, "return_dict_in_generate": True, "max_new_tokens": 1, "do_sample": True}
        with torch.random.fork_rng(devices=[]):
            scores = self.model.generate(ids, attention_mask=ids * 0 + 1, **keywords, **self.options).scores[0][0]
        weights = np.exp(scores.double().numpy() - float(scores.max()))
        row = weights / weights.sum()
        row.flags.writeable = False
        return row


def _prompt(prompt: Sequence[int]) -> tuple[int, ...]:
    """The prompt as plain integers; ``ValueError`` if it is empty."""
    tokens = tuple(check_count(f"prompt row {row}", token, 0) for row, token in enumerate(prompt))
    if not tokens:
        raise ValueError("prompt is empty; generate needs at least one token to start from")
    return tokens
