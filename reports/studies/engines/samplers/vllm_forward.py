"""The whole ``RejectionSampler.forward`` of vLLM's V1: raw logits, and sampling settings of each request's own.

What the auditor hands over are the rows behind the settings.  Raw logits are made of them so that every setting leads
back to them: a temperature is undone, and tokens that a row lacks get a small share, which top-k or top-p must cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from veridraft.simulate.adapters.torch_tools import as_numpy_generator, logits, seeded, tensor
from veridraft.simulate.forms.cases import Case
from veridraft.theory.pairs.base import MarkovPair
from veridraft.theory.policies.paths import Chain

TAIL = 0.1
"""The share of the tokens that top-k or top-p must cut."""

KEPT = 3
"""Positive entries of every row."""


@dataclass(frozen=True)
class Setting:
    """Of one request; a setting that is ``None`` is off."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None


MIXED = Setting(), Setting(0.5, KEPT), Setting(2.0, None, 0.88), Setting(0.7, KEPT, 0.95)
"""Requests side by side: with top-k first, what is left must not be cut by top-p."""


def forward_cases() -> list[Case]:
    """Five tokens, of which the target has three at every context, each with 0.12 at least."""
    rng = np.random.default_rng(51)
    target = np.zeros((6, 5))
    for row in target:
        row[rng.permutation(5)[:KEPT]] = 0.12 + 0.64 * rng.dirichlet(np.ones(KEPT))
    draft = rng.dirichlet(np.ones(5), size=6)
    pair = MarkovPair(target[:5], draft[:5], (target[5], draft[5]))
    return [Case("three of five", pair, Chain(2), "settings of each request's own", ((), (0,), (1,)))]


def raw_logits(rows: Any, settings: Sequence[Setting]) -> Any:
    """Logits (T, L + 1, V) that the settings, one for each of T requests, turn into the logarithms of the rows.

    Raises ``ValueError`` for rows of another number of positive entries, if they are to be cut.
    """
    shares = np.array(rows, dtype=np.float64)
    if any(setting.top_k or setting.top_p for setting in settings) and ((shares > 0).sum(axis=-1) != KEPT).any():
        raise ValueError(f"rows must have {KEPT} positive entries each")
    for request, setting in zip(shares, settings, strict=True):
        if setting.top_k or setting.top_p:
            absent = request == 0
            request *= 1 - TAIL
            request[absent] = TAIL / (shares.shape[-1] - KEPT)
    heat = np.array([setting.temperature for setting in settings], dtype=np.float32)
    return logits(shares, "float32") * tensor(heat, "float32")[:, None, None]


def forward_verifier(settings: Sequence[Setting] = MIXED) -> Callable[..., Any]:
    """A batched verifier of chains of equal lengths; the requests of a batch take the settings in turn."""
    module = import_module("vllm.v1.sample.rejection_sampler")
    sampler = module.RejectionSampler(module.Sampler())

    def verifier(target: Any, draft: Any, tokens: Any, rng: Any) -> Any:
        ids, generator = np.asarray(tokens), as_numpy_generator(rng)
        taken = [settings[request % len(settings)] for request in range(len(ids))]
        given = raw_logits(target, taken).flatten(0, 1)
        rows = tensor(draft, "float32").flatten(0, 1)
        with seeded(generator):
            output = sampler(_drafts(ids), rows, given, _metadata(taken, ids.shape[1], given.shape[-1]))
        return np.asarray(output.sampled_token_ids).astype(np.int64)

    return verifier


def _drafts(ids: Any) -> Any:
    """``SpecDecodeMetadata`` of T drafts of L tokens each: L + 1 logits of every request one behind another."""
    trials, length = ids.shape
    place = np.arange(trials * (length + 1)).reshape(trials, -1)
    ends = np.arange(1, trials + 1)
    return import_module("vllm.v1.spec_decode.metadata").SpecDecodeMetadata(
        draft_token_ids=tensor(ids.ravel(), "int32"), num_draft_tokens=[length] * trials,
        cu_num_draft_tokens=tensor(ends * length, "int32"), cu_num_sampled_tokens=tensor(ends * (length + 1), "int32"),
        target_logits_indices=tensor(place[:, :-1].ravel(), "int32"),
        bonus_logits_indices=tensor(place[:, -1], "int32"), logits_indices=tensor(place.ravel(), "int32"),
    )  # fmt: skip


def _metadata(settings: Sequence[Setting], length: int, size: int) -> Any:
    """``SamplingMetadata`` of requests that all sample; a top-k that is off is the vocabulary's size."""
    top_k = [setting.top_k or size for setting in settings]
    top_p = [setting.top_p or 1.0 for setting in settings]
    none = tensor(np.zeros(len(settings)), "float32")
    return import_module("vllm.v1.sample.metadata").SamplingMetadata(
        temperature=tensor([setting.temperature for setting in settings], "float32"),
        all_greedy=False, all_random=True,
        top_k=tensor(top_k, "int32") if min(top_k) < size else None,
        top_p=tensor(top_p, "float32") if min(top_p) < 1 else None,
        generators={}, max_num_logprobs=None, no_penalties=True, prompt_token_ids=None, frequency_penalties=none,
        presence_penalties=none, repetition_penalties=none, output_token_ids=[[] for _ in settings],
        allowed_token_ids_mask=None, bad_words_token_ids={},
        logitsprocs=import_module("vllm.v1.sample.logits_processor").LogitsProcessors(),
        spec_token_ids=[[0] * length for _ in settings],
    )  # fmt: skip
