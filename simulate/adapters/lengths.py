"""Batches of drafts of unequal lengths, for functions that take equal ones; answers that are cut behind a rejection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from veridraft.theory.rows.distributions import NO_TOKEN

from ..batches.rows import Ints, draw
from .torch_tools import as_numpy_generator


def of_equal_lengths(verifier: Callable[..., Ints]) -> Callable[..., Ints]:
    """A batched verifier of chains that calls another for all drafts of one length at a time.

    A token -1 ends a draft; a request without a draft samples its target, as an engine does.
    """

    def grouped(target: Any, draft: Any, tokens: Any, rng: Any) -> Ints:
        rows, drafts, ids = (np.asarray(array) for array in (target, draft, tokens))
        generator = as_numpy_generator(rng)
        lengths = np.logical_and.accumulate(ids != NO_TOKEN, axis=1).sum(axis=1)
        emitted = np.full((len(ids), ids.shape[1] + 1), NO_TOKEN)
        for length in np.unique(lengths):
            some = lengths == length
            if length:
                given = rows[some, : length + 1], drafts[some, :length], ids[some, :length]
                emitted[some, : length + 1] = verifier(*given, generator)
            else:
                emitted[some, 0] = draw(rows[some, 0].astype(np.float64), generator)
        return emitted

    return grouped


def accepted_and_one(drafted: Ints, accepted: Ints, last: Ints) -> Ints:
    """(T, L + 1) the first ``accepted`` (T,) of the drafted tokens (T, L) and the ``last`` (T,), -1 behind those."""
    emitted = np.concatenate([drafted, np.zeros((len(drafted), 1), dtype=np.int64)], axis=1)
    emitted[np.arange(len(drafted)), accepted] = last
    emitted[np.arange(emitted.shape[1]) > accepted[:, None]] = NO_TOKEN
    return emitted
