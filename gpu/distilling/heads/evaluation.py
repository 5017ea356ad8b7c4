"""How often a head would be accepted on held-out texts, by depth and temperature."""

from __future__ import annotations

from collections.abc import Mapping
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


@torch.no_grad()
def evaluate(
    head: Head, held_out: Features, step: int = 0, whole: Any = None, temperature: float = 1.0
) -> HeadEvaluation:
    """A head on held-out texts, both rows at a temperature.

    ``whole`` is the target's output layer, which other temperatures than 1 need: there all of a row is computed.
    """
    parts = [slice(first, first + TOGETHER) for first in range(0, len(held_out), TOGETHER)]
    batches = (Batch.of(held_out, part, head.projection.weight.device) for part in parts)
    found = [_sums(head, batch, whole, temperature) for batch in batches]
    total, count, covered = (np.concatenate(one) for one in zip(*found, strict=True))
    means = total.sum(axis=0) / count.sum(axis=0)
    errors = np.sqrt(((total - means * count) ** 2).sum(axis=0)) / count.sum(axis=0)
    coverage = float(covered.sum() / count[:, 0].sum())
    return HeadEvaluation(step, tuple(means.tolist()), tuple(errors.tolist()), coverage)


def _sums(
    head: Head, batch: Batch, whole: Any, temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """By text and level the sum of acceptance rates and the number of places (B, depth), and what is covered (B,)."""
    sampling = Sampling(temperature)
    target = batch.rows(head) if temperature == 1 else sampling.rows(logits_of(whole, batch.states))[..., head.tokens]
    sums, counts = [], []
    for level, output in enumerate(unrolled(head, batch.tokens, batch.states, DEEPEST)):
        counted = batch.drawn.clone()
        counted[:, :level] = False
        rates = torch.minimum(target, sampling.rows(output.logits)).sum(dim=-1)
        sums.append((rates * counted).sum(dim=1).cpu().numpy())
        counts.append(counted.sum(dim=1).cpu().numpy())
    covered = (target.sum(dim=-1) * batch.drawn).sum(dim=1).cpu().numpy()
    return np.stack(sums, axis=1), np.stack(counts, axis=1), covered
