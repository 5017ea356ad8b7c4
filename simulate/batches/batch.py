"""What a procedure is given and what it returns: many trials at once, in the form of paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from veridraft.theory.rows.distributions import NO_TOKEN, SUM_TOLERANCE

from .rows import Floats, Ints, sums


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a procedure emitted in each of T trials.

    accepted : (T,) int64, tau, how many draft tokens were accepted, 0 to L
    tokens : (T, L + 1) int64, the accepted tokens and the one more; ``NO_TOKEN`` behind them
    """

    accepted: Ints
    tokens: Ints


Procedure = Callable[..., Outcome]
"""``procedure(target, draft, paths, rng, trunk=0) -> Outcome``: the one contract of all procedures.

target : (T, K, L + 1, V), the target's row at every depth of every path: ``target[t, k, d]`` is the law
    after ``paths[t, k, :d]``
draft : (T, K, L, V), likewise the draft's row, from which ``paths[t, k, d]`` was drawn
paths : (T, K, L), the drawn tokens; T >= 1, K >= 1, L >= 0
rng : ``numpy.random.Generator``, the coins
trunk : the first ``trunk`` levels are one draw that all K paths share
"""


@dataclass(frozen=True, eq=False)
class Batch:
    """T trials of K paths, checked: the arguments of a procedure under its contract."""

    target: Floats
    draft: Floats
    paths: Ints
    trunk: int

    @property
    def trials(self) -> int:
        """T."""
        return self.paths.shape[0]

    @property
    def width(self) -> int:
        """K."""
        return self.paths.shape[1]

    @property
    def depth(self) -> int:
        """L."""
        return self.paths.shape[2]

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.target.shape[3]


def check_batch(target: ArrayLike, draft: ArrayLike, paths: ArrayLike, trunk: int = 0) -> Batch:
    """The arguments as a batch, after every check; values are left as they are.

    Shapes are those of :data:`Procedure`.  Raises ``ValueError`` that names the argument, the trial, path
    and depth, and the value: wrong shapes, entries that are negative or not finite, rows that do not sum to
    1 within 1e-9, tokens outside the vocabulary, a drawn token of draft probability 0, paths that disagree
    in the trunk, or two paths with one prefix and different rows behind it.
    """
    rows = np.asarray(target, dtype=np.float64), np.asarray(draft, dtype=np.float64)
    tokens = np.asarray(paths)
    _check_shapes(*rows, tokens, trunk)
    batch = Batch(*rows, tokens.astype(np.int64, copy=False), trunk)
    _check_rows("target", batch.target)
    _check_rows("draft", batch.draft)
    _check_tokens(batch)
    _check_agreement(batch)
    return batch


def one_path(batch: Batch, name: str) -> Batch:
    """The batch, if it has one path in each trial; ``ValueError`` otherwise, naming the procedure."""
    if batch.width != 1:
        raise ValueError(f"{name} verifies one path, but paths has K = {batch.width}")
    return batch


def check_outcome(outcome: Outcome, batch: Batch) -> Outcome:
    """The outcome, if it is one for the batch: any procedure may be run, also one that is broken.

    Raises ``ValueError`` for other shapes, tau outside [0, L], and emitted tokens outside the vocabulary.
    """
    accepted, tokens, length = outcome.accepted, outcome.tokens, batch.depth + 1
    if accepted.shape != (batch.trials,) or tokens.shape != (batch.trials, length):
        raise ValueError(
            f"accepted and tokens must be ({batch.trials},) and ({batch.trials}, {length}), "
            f"but are {accepted.shape} and {tokens.shape}"
        )
    outside = (accepted < 0) | (accepted >= length)
    if outside.any():
        row = int(outside.argmax())
        raise ValueError(f"accepted row {row} is {accepted[row]}; it must lie in [0, {batch.depth}]")
    emitted = np.arange(length) <= accepted[:, None]
    strange = (emitted & ((tokens < 0) | (tokens >= batch.vocabulary_size))).any(axis=1)
    if strange.any():
        row = int(strange.argmax())
        raise ValueError(
            f"tokens row {row} is {tokens[row].tolist()}; the first {accepted[row] + 1} must lie in "
            f"[0, {batch.vocabulary_size})"
        )
    return outcome


def no_tokens(batch: Batch) -> Ints:
    """An array (T, L + 1) of ``NO_TOKEN``, to be filled with what is emitted."""
    return np.full((batch.trials, batch.depth + 1), NO_TOKEN, dtype=np.int64)


def _check_shapes(target: Floats, draft: Floats, paths: Ints, trunk: int) -> None:
    if paths.ndim != 3 or 0 in paths.shape[:2] or paths.dtype.kind not in "iu":
        raise ValueError(
            "paths must be integers (T, K, L) with T, K >= 1, "
            f"but have dtype {paths.dtype} and shape {paths.shape}"
        )
    trials, width, depth = paths.shape
    for name, rows, length in (("target", target, depth + 1), ("draft", draft, depth)):
        size = target.shape[-1] if target.ndim else 0
        if rows.shape != (trials, width, length, size) or size == 0:
            raise ValueError(f"{name} must have shape {(trials, width, length, 'V')}, but has shape {rows.shape}")
    if not 0 <= trunk <= depth:
        raise ValueError(f"trunk must lie in [0, {depth}], but is {trunk}")


def _check_rows(name: str, rows: Floats) -> None:
    if rows.size == 0:
        return
    if not (rows.min() >= 0 and rows.max() < np.inf):
        where = np.argwhere(~((rows >= 0) & (rows < np.inf)))[0]
        value, token = rows[tuple(where)], where[3]
        raise ValueError(f"{name} row {_place(where)} has the entry {value} at token {token}; entries must be >= 0")
    totals = sums(rows)
    bad = np.abs(totals - 1.0) > SUM_TOLERANCE
    if bad.any():
        where = np.argwhere(bad)[0]
        raise ValueError(f"{name} row {_place(where)} sums to {totals[tuple(where)]}, not 1")


def _check_tokens(batch: Batch) -> None:
    paths, size = batch.paths, batch.vocabulary_size
    if paths.size == 0:
        return
    if paths.min() < 0 or paths.max() >= size:
        where = np.argwhere((paths < 0) | (paths >= size))[0]
        raise ValueError(f"paths row {_place(where)} is {paths[tuple(where)]}; it must lie in [0, {size})")
    drawn = np.take_along_axis(batch.draft, paths[..., None], axis=-1)[..., 0]
    if drawn.min() <= 0:
        where = np.argwhere(drawn <= 0)[0]
        raise ValueError(
            f"paths row {_place(where)} is {paths[tuple(where)]}, a token of draft probability 0 there: "
            "it cannot have been drawn"
        )


def _check_agreement(batch: Batch) -> None:
    """Raise where paths that share a prefix part in their rows, or part within the trunk."""
    paths = batch.paths
    parted = paths[:, :, : batch.trunk] != paths[:, :1, : batch.trunk]
    if parted.any():
        where = np.argwhere(parted)[0]
        raise ValueError(f"paths row {_place(where)} is not path 0's token, inside a trunk of {batch.trunk}")
    for path in range(1, batch.width):
        for name, rows in (("target", batch.target), ("draft", batch.draft)):
            _check_same_rows(name, rows, paths, path)


def _check_same_rows(name: str, rows: Floats, paths: Ints, path: int) -> None:
    """Raise where an earlier path has the same prefix as ``path`` and another row behind it."""
    for earlier in range(path):
        same = np.ones(rows.shape[::2][:2], dtype=bool)  # (T, depths)
        agree = paths[:, path] == paths[:, earlier]
        same[:, 1:] = np.logical_and.accumulate(agree[:, : rows.shape[2] - 1], axis=1)
        gaps = sums(np.abs(rows[:, path] - rows[:, earlier]))
        differs = same & (gaps > 0)
        if differs.any():
            trial, depth = np.argwhere(differs)[0]
            place = _place((trial, path, depth))
            raise ValueError(f"{name} row {place} differs from that of path {earlier}, with one prefix")


def _place(where: np.ndarray | tuple[int, ...]) -> str:
    trial, path, depth = (int(index) for index in tuple(where)[:3])
    return f"(trial {trial}, path {path}, depth {depth})"
