"""What a selector is told of a root: three states, and numbers of the rows that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from veridraft.theory.rows.distributions import Row

from ...decoding.drafting.known import Known, rows_of
from ...models.backend import torch
from ...models.pairs import ModelPair
from ..grid import Times
from ..schema import LENGTH, schema_of

Tensor = torch.Tensor

FARTHEST = 20.0
"""The most that the logarithm of a ratio counts for: where one row has no mass it would be infinite."""


def scalars_of(pair: ModelPair, known: Sequence[Known]) -> Row:
    """(B, 9) the numbers of the rows and of the text at several roots."""
    target, draft, root = rows_of(pair, known)
    parts = [_entropy(target), _entropy(draft), _entropy(root), _divergence(target, draft), _divergence(draft, target),
             (target - draft).abs().sum(dim=1)]  # fmt: skip
    own = [[one.length, one.sampling.temperature, one.sampling.top_p] for one in known]
    return np.concatenate([torch.stack(parts, dim=1).cpu().numpy(), np.array(own, dtype=float)], axis=1)


def with_machine(scalars: Row, machine: Times) -> Row:
    """(B, 11) the numbers with those of the machine, whose passes take longer behind longer texts."""
    lengths = scalars[:, LENGTH].astype(int).tolist()
    return np.concatenate([scalars, np.log(machine.passes(lengths))], axis=1)


def _entropy(rows: Tensor) -> Tensor:
    return -torch.xlogy(rows, rows).sum(dim=1)


def _divergence(rows: Tensor, others: Tensor) -> Tensor:
    """(B,) the Kullback-Leibler divergence of rows from others, cut."""
    ratio = (rows.clamp(min=1e-300).log() - others.clamp(min=1e-300).log()).clamp(-FARTHEST, FARTHEST)
    return (rows * ratio).sum(dim=1)


def schema(pair: ModelPair) -> dict[str, Any]:
    """The features of a pair."""
    draft = int(pair.draft.config.hidden_size)
    return schema_of((int(pair.target.config.hidden_size), draft, draft))
