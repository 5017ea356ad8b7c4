"""transformers under audit: its rejection sampler, and every candidate generator end to end on tiny models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from veridraft.simulate.adapters.transformers import GeneratedTarget, generation, speculative_sampling
from veridraft.simulate.forms.cases import Case
from veridraft.simulate.forms.form import Form
from veridraft.theory.policies.paths import Chain

from .audited import Auditee
from .audited_models import dflash_drafter, gemma4_drafter, letter_tokenizer, tiny_gemma4, tiny_llama
from .exact_transformers import argmax_drafts, ensemble_weight, permuted_columns

PROMPT = (1, 2, 1)
NEW_TOKENS = 3
JUDGED = 3
"""Tokens of a judged string: a plain first token in some generators, and two drafted ones."""

TRIALS = 4_000

Loaded = tuple[Any, dict[str, Any]]
"""A model, and what its ``generate`` is given to draft with."""

SETTINGS: dict[str, dict[str, Any]] = {
    "default settings": {},
    "temperature 0.7": {"temperature": 0.7},
    "top_k 3": {"top_k": 3},
    "top_p 0.8": {"top_p": 0.8},
    "min_p 0.2": {"min_p": 0.2},
    "temperature 1.5, top_k 4, top_p 0.9": {"temperature": 1.5, "top_k": 4, "top_p": 0.9},
    "repetition_penalty 1.5": {"repetition_penalty": 1.5},
}
"""Of the target; ``do_sample=True`` in all."""


def assistant_model() -> Loaded:
    """A smaller model of the same vocabulary: ``AssistedCandidateGenerator``."""
    return tiny_llama(1), {"assistant_model": tiny_llama(2, layers=1)}


def two_tokens() -> Loaded:
    """Likewise, two drafted tokens at a time and no confidence threshold."""
    drafter = tiny_llama(2, layers=1)
    options = {"num_assistant_tokens": 2, "num_assistant_tokens_schedule": "constant"}
    drafter.generation_config.update(**options, assistant_confidence_threshold=0.0)
    return tiny_llama(1), {"assistant_model": drafter}


def prompt_lookup() -> Loaded:
    """``PromptLookupCandidateGenerator``."""
    return tiny_llama(1), {"prompt_lookup_num_tokens": 2}


def early_exit() -> Loaded:
    """``EarlyExitCandidateGenerator``: the model's own first layer."""
    return tiny_llama(1), {"assistant_early_exit": 1}


def other_tokenizer(ascending: bool = False) -> Loaded:
    """``UniversalSpeculativeDecodingGenerator``: a drafter of the six letters and one more, in another order."""
    tokenizers = {
        "tokenizer": letter_tokenizer("abcdef"), "assistant_tokenizer": letter_tokenizer("badcegf", ascending),
    }  # fmt: skip
    return tiny_llama(1), {"assistant_model": tiny_llama(2, 1, vocabulary_size=7), **tokenizers}


def listed_in_order() -> Loaded:
    """Likewise, with a tokenizer that lists its vocabulary by number."""
    return other_tokenizer(ascending=True)


def dflash() -> Loaded:
    """``DFlashTokenCandidateGenerator`` with a block of three."""
    return tiny_llama(1), {"assistant_model": dflash_drafter(3), "speculation_type": "dflash"}


def gemma4() -> Loaded:
    """``SinglePositionMultiTokenCandidateGenerator``, for a Gemma 4 and its drafter."""
    return tiny_gemma4(1), {"assistant_model": gemma4_drafter(np.array([0.1, 0.2, 0.3, 0.2, 0.1, 0.1]))}


GENERATORS: dict[str, tuple[Callable[[], Loaded], tuple[str, ...]]] = {
    "AssistedCandidateGenerator": (
        assistant_model, ("default settings", "temperature 0.7", "top_k 3", "top_p 0.8", "min_p 0.2",
                          "temperature 1.5, top_k 4, top_p 0.9", "repetition_penalty 1.5"),
    ),
    "AssistedCandidateGenerator, 2 tokens at a time": (two_tokens, ("default settings", "top_k 3")),
    "PromptLookupCandidateGenerator": (prompt_lookup, ("default settings", "top_p 0.8")),
    "EarlyExitCandidateGenerator": (early_exit, ("default settings", "top_k 3")),
    "UniversalSpeculativeDecodingGenerator": (other_tokenizer, ("default settings", "top_k 3")),
    "UniversalSpeculativeDecodingGenerator, ordered vocabulary": (listed_in_order, ("default settings", "top_k 3")),
    "DFlashTokenCandidateGenerator": (dflash, ("default settings", "top_k 3", "top_p 0.8")),
    "SinglePositionMultiTokenCandidateGenerator": (gemma4, ("default settings", "top_k 3")),
}  # fmt: skip
"""By the generator: models and drafting, and the settings that are tried."""


def generated(load: Callable[[], Loaded], setting: str) -> Callable[[], tuple[Callable[..., Any], list[Case]]]:
    """What builds the audit of one generator in one setting."""

    def build() -> tuple[Callable[..., Any], list[Case]]:
        _quiet()
        model, drafting = load()
        target = GeneratedTarget(model, PROMPT, **SETTINGS[setting])
        case = Case("tiny model", target, Chain(JUDGED - 1), "rows of a model with random weights")
        run = generation(model.generate, prompt=PROMPT, new_tokens=NEW_TOKENS, **drafting, **SETTINGS[setting])
        return run, [case]

    return build


EXACT = {gemma4: argmax_drafts, other_tokenizer: permuted_columns}
"""The exact case of what was found lossy, by what loads the models."""


def _sampler() -> tuple[Callable[..., Any], None]:
    from transformers.generation.utils import _speculative_sampling

    return speculative_sampling(_speculative_sampling), None


def _ensemble() -> tuple[Callable[..., Any], None]:
    from transformers.generation.utils import _speculative_sampling

    return speculative_sampling(_speculative_sampling, assistant_ensemble_weight=0.5), None


def _quiet() -> None:
    import transformers

    transformers.logging.set_verbosity_error()


def auditees() -> tuple[Auditee, ...]:
    """All of them, the sampler first."""
    found = [
        Auditee("transformers sampler", "transformers", "_speculative_sampling", "default cases, float32", Form.CHAIN,
                _sampler, trials=40_000),
        Auditee("transformers ensemble", "transformers", "_speculative_sampling", "assistant_ensemble_weight=0.5",
                Form.CHAIN, _ensemble, claim="documented as biased: a control", exact=ensemble_weight),
    ]  # fmt: skip
    for name, (load, settings) in GENERATORS.items():
        exact = EXACT.get(load)
        found += [
            Auditee(f"{name}: {setting}", "transformers", f"generate, {name}", setting, Form.GENERATE,
                    generated(load, setting), trials=TRIALS, exact=exact)
            for setting in settings
        ]  # fmt: skip
    return tuple(found)
