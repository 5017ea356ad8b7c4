"""How often a head would be accepted on held-out texts, by depth and temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.backend import torch
from ...models.heads.network import Head
from ...trees.sampling import Sampling
from .batch import Batch, logits_of
from .features import Features
from .levels import unrolled
from .plan import DEEPEST

Tensor = torch.Tensor

TOGETHER = 4
"""Held-out texts in the head at once."""

GREEDY_AND_COOL = (0.6, 0.0)
"""The other temperatures at which a finished head is measured."""


@dataclass(frozen=True)
class HeadEvaluation:
    """A head on held-out texts, at places whose next token the target drew, with its target's rows.

    acceptance : by depth, the mean of the sum of min(p, q), which is the exact expected acceptance rate of one draft
        there, where the tokens above it are the text's own; ``standard_errors`` take texts as independent
    coverage : the mean of the target's probability of the head's tokens, which no acceptance can exceed
    """

    step: int
    acceptance: tuple[float, ...]
    standard_errors: tuple[float, ...]
    coverage: float

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> HeadEvaluation:
        """What a record says, as JSON gives it back."""
        rates, errors = tuple(record["acceptance"]), tuple(record["standard_errors"])
        return cls(record["step"], rates, errors, record["coverage"])


def evaluate(
    head: Head, held_out: Features, step: int = 0, whole: Any = None, temperature: float = 1.0
) -> HeadEvaluation:
    """A head on held-out texts, both rows at one temperature, as :func:`evaluate_all` has it."""
    return evaluate_all(head, held_out, step, whole, (temperature,))[temperature]


@torch.no_grad()
def evaluate_all(
    head: Head, held_out: Features, step: int, whole: Any, temperatures: Sequence[float]
) -> dict[float, HeadEvaluation]:
    """A head on held-out texts at each temperature, which both rows get; the head reads them once for all.

    ``whole`` is the target's output layer, which other temperatures than 1 need: there all of a row is computed.
    """
    parts = [slice(first, first + TOGETHER) for first in range(0, len(held_out), TOGETHER)]
    batches = (Batch.of(held_out, part, head.projection.weight.device) for part in parts)
    found = [_sums(head, batch, whole, temperatures) for batch in batches]
    return {heat: _means([one[place] for one in found], step) for place, heat in enumerate(temperatures)}


Sums = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]
"""By text and level the sum of acceptance rates and the number of places (B, depth), and what is covered (B,)."""


def _means(found: Sequence[Sums], step: int) -> HeadEvaluation:
    total, count, covered = (np.concatenate(one) for one in zip(*found, strict=True))
    means = total.sum(axis=0) / count.sum(axis=0)
    errors = np.sqrt(((total - means * count) ** 2).sum(axis=0)) / count.sum(axis=0)
    coverage = float(covered.sum() / count[:, 0].sum())
    return HeadEvaluation(step, tuple(means.tolist()), tuple(errors.tolist()), coverage)


def _sums(head: Head, batch: Batch, whole: Any, temperatures: Sequence[float]) -> list[Sums]:
    """Those of each temperature."""
    samplings = [Sampling(heat) for heat in temperatures]
    targets = _target_rows(head, batch, whole, samplings)
    counted = [batch.drawn & (torch.arange(batch.drawn.shape[1], device=batch.drawn.device) >= level)
               for level in range(DEEPEST)]  # fmt: skip
    sums: list[list[NDArray[np.float64]]] = [[] for _ in samplings]
    for level, output in enumerate(unrolled(head, batch.tokens, batch.states, DEEPEST)):
        for sampling, target, kept in zip(samplings, targets, sums, strict=True):
            rates = torch.minimum(target, sampling.rows(output.logits)).sum(dim=-1)
            kept.append((rates * counted[level]).sum(dim=1).cpu().numpy())
    counts = np.stack([one.sum(dim=1).cpu().numpy() for one in counted], axis=1)
    covered = [(target.sum(dim=-1) * batch.drawn).sum(dim=1).cpu().numpy() for target in targets]
    return [(np.stack(kept, axis=1), counts, one) for kept, one in zip(sums, covered, strict=True)]


def _target_rows(head: Head, batch: Batch, whole: Any, samplings: Sequence[Sampling]) -> list[Tensor]:
    """The target's rows over the head's tokens, under each sampling."""
    others = any(sampling.temperature != 1 for sampling in samplings)
    logits: Any = logits_of(whole, batch.states) if others else None
    return [batch.rows(head) if sampling.temperature == 1 else sampling.rows(logits)[..., head.tokens]
            for sampling in samplings]  # fmt: skip
