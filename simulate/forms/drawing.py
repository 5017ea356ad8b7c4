"""Drawing what a verifier is called with, and the strings that its answers are completed to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Delayed
from veridraft.theory.rows.distributions import NO_TOKEN
from veridraft.theory.rows.trees import DraftTree

from ..batches.batch import Batch
from ..batches.row_tables import RowTables, complete, draw_batch, tabulate
from ..batches.rows import Bools, Floats, Ints
from .cases import Case
from .choice import Ending
from .form import Arguments, Form, Inputs, path_inputs, tree_arguments

MOST_JUDGED = 10_000_000
"""The most completed strings that an audit counts."""

LISTED_TREES = 5_000
"""Policies with at most this many trees are drawn from a list of all of them."""

CHUNK_BYTES = 2**26
"""About how much the rows of one chunk of trials may take."""


class Drawing:
    """The draws of one case in one form.

    Parameters
    ----------
    case, form : what is drawn, and how it is handed over
    multiplicity : in the form ``tree``, whether equal siblings are repeated nodes or one
    pad_to : rows get columns of zeros up to this many; ``None`` adds none
    """

    def __init__(self, case: Case, form: Form, multiplicity: bool = True, pad_to: int | None = None) -> None:
        self.case, self.form, self.multiplicity = case, form, multiplicity
        self.pad_to = max(case.columns, pad_to or 0)
        self.tables = [
            tabulate(self.pair_at(request), case.policy.depth, at, most=MOST_JUDGED)
            for request, at in enumerate(case.contexts)
        ]
        self._trees = None if isinstance(case.policy, Delayed) else [_Trees(case, at) for at in case.contexts]

    def pair_at(self, request: int) -> Pair:
        """The case's pair, its target ending where the texts of a request end."""
        case = self.case
        return case.pair if case.end is None else Ending(case.pair, case.end, len(case.contexts[request]))

    @property
    def requests(self) -> int:
        """R; the number of trials in a chunk must be a multiple of it."""
        return len(self.tables)

    @property
    def length(self) -> int:
        """L + 1, the tokens of a judged string."""
        return self.case.policy.depth + 1

    @property
    def vocabulary_size(self) -> int:
        """V, without padding."""
        return self.case.pair.vocabulary_size

    @property
    def shape(self) -> tuple[int, ...]:
        """(V,) * (L + 1), of an array over strings."""
        return (self.vocabulary_size,) * self.length

    def drafted_length(self, request: int) -> int:
        """How many levels are drafted for a request, at most."""
        lengths = self.case.lengths
        return self.case.policy.depth if lengths is None else lengths[request]

    @property
    def columns(self) -> int:
        """The length of a row as it is handed over."""
        return max(self.vocabulary_size, self.pad_to)

    @property
    def chunk(self) -> int:
        """How many trials are drawn at once: a multiple of R."""
        policy = self.case.policy
        paths = policy.K if isinstance(policy, Delayed) else 16
        most = max(1, CHUNK_BYTES // (16 * paths * self.length * self.columns))
        return max(1, most // self.requests) * self.requests

    def whole_rounds(self, trials: int) -> int:
        """The number of trials, rounded up to a multiple of R."""
        return -(-trials // self.requests) * self.requests

    def draw(self, trials: int, rng: np.random.Generator) -> tuple[list[Inputs], Ints | None]:
        """What ``trials`` trials are called with, and the drafted paths (T, K, L), None if there are none."""
        if self._trees is not None:
            return self._padded(list(self._tree_inputs(trials, rng))), None
        batch = self._shortened(self._draw_paths(trials, rng))
        return self._padded(path_inputs(self.form, batch, self.multiplicity)), batch.paths

    def complete(self, tokens: Ints, rng: np.random.Generator) -> Ints:
        """The numbers (T,) of the completed strings of emitted tokens (T, L + 1)."""
        accepted = (tokens != NO_TOKEN).sum(axis=1) - 1
        numbers = np.empty(len(tokens), dtype=np.int64)
        for request, tables in enumerate(self.tables):
            mine = slice(request, None, self.requests)
            numbers[mine] = complete(tables, accepted[mine], tokens[mine], rng)
        return numbers

    def ended_early(self, tokens: Ints) -> int:
        """How many of the emitted (T, L + 1) end before the judged length, though the text did not."""
        short = tokens[:, -1] == NO_TOKEN
        if self.case.end is None:
            return int(short.sum())
        return int((short & ~(tokens == self.case.end).any(axis=1)).sum())

    def _draw_paths(self, trials: int, rng: np.random.Generator) -> Batch:
        """Trials of all requests in turn."""
        policy, count = self.case.policy, trials // self.requests
        assert isinstance(policy, Delayed)
        parts = [draw_batch(tables, policy, count, rng) for tables in self.tables]
        target, draft, paths = (
            _in_turn([getattr(part, name) for part in parts]) for name in ("target", "draft", "paths")
        )
        return Batch(target, draft, paths, parts[0].trunk)

    def _shortened(self, batch: Batch) -> Batch:
        """The batch with every request's draft cut to its length: -1 and rows of zeros behind."""
        if self.case.lengths is None:
            return batch
        for request, length in enumerate(self.case.lengths):
            mine = slice(request, None, self.requests)
            batch.paths[mine, :, length:] = NO_TOKEN
            batch.draft[mine, :, length:] = 0.0
            batch.target[mine, :, length + 1 :] = 0.0
        return batch

    def _tree_inputs(self, trials: int, rng: np.random.Generator) -> Iterator[Inputs]:
        """Drawn trees, those of one size together."""
        assert self._trees is not None
        drawn = [self._trees[trial % self.requests].draw(rng, self.multiplicity) for trial in range(trials)]
        sizes = np.array([len(arguments[-1]) for arguments in drawn])
        for size in np.unique(sizes):
            mine = np.flatnonzero(sizes == size)
            stacked = zip(*(drawn[trial] for trial in mine), strict=True)
            yield Inputs(tuple(np.stack(arrays) for arrays in stacked), 0, mine)

    def _padded(self, inputs: list[Inputs]) -> list[Inputs]:
        if self.columns == self.vocabulary_size:
            return inputs
        return [replace(one, arrays=self._wider(one.arrays)) for one in inputs]

    def _wider(self, arrays: Arguments) -> Arguments:
        """The arrays with columns of zeros behind the rows."""
        more = self.columns - self.vocabulary_size
        rows = (np.concatenate([row, np.zeros((*row.shape[:-1], more))], axis=-1) for row in arrays[:2])
        return (*rows, *arrays[2:])


class _Trees:
    """The trees of a policy at one context: drawn, and if all can be listed, from the list once it is worth it."""

    def __init__(self, case: Case, context: tuple[int, ...]) -> None:
        self.pair, self.policy, self.context = case.pair.as_float(), case.policy, context
        self._unlisted = _tree_count(self.policy, case.pair.vocabulary_size)
        self._listed: list[DraftTree] = []
        self._sums = np.zeros(0)
        self._known: dict[tuple[int, bool], tuple[np.ndarray, ...]] = {}

    def draw(self, rng: np.random.Generator, multiplicity: bool) -> tuple[np.ndarray, ...]:
        """The arrays of one drawn tree, not to be written to."""
        if self._unlisted > 0:
            self._unlisted -= 1
            return tree_arguments(self.policy.sample(self.pair, rng, self.context), multiplicity)
        if not self._listed:
            self._list()
        place = int(np.searchsorted(self._sums, rng.random() * self._sums[-1], side="right"))
        key = (min(place, len(self._listed) - 1), multiplicity)
        if key not in self._known:
            self._known[key] = tree_arguments(self._listed[key[0]], multiplicity)
        return self._known[key]

    def _list(self) -> None:
        listed = list(self.policy.enumerate(self.pair, self.context))
        self._listed = [tree for _, tree in listed]
        self._sums = np.cumsum([float(probability) for probability, _ in listed])


def _tree_count(policy: Policy, size: int) -> float:
    """How many trees of the policy there are, so many draws being as dear as a list; infinity if too many to list."""
    if size**policy.depth > LISTED_TREES:
        return inf
    count = policy.tree_count(size)
    return count if count <= LISTED_TREES else inf


def _in_turn(parts: list[np.ndarray]) -> np.ndarray:
    """The trials of R requests, one of each in turn: (R T', ...)."""
    return np.stack(parts, axis=1).reshape(-1, *parts[0].shape[1:])


def drafted(tokens: Ints, paths: Ints) -> Ints:
    """(T,) how many of the accepted tokens, all emitted but the last, are the beginning of a drafted path.

    tokens : (T, L + 1), -1 behind the emitted ones; paths : (T, K, L)
    """
    accepted = (tokens != NO_TOKEN).sum(axis=1) - 1
    inside = np.arange(paths.shape[2]) < accepted[:, None]
    agrees = (paths == tokens[:, None, :-1]) & inside[:, None]
    return np.cumprod(agrees, axis=2, dtype=np.int64).sum(axis=2).max(axis=1)


def whole(tokens: Ints, paths: Ints) -> tuple[Bools, Bools]:
    """(T,) whether the emitted tokens are a drafted path and no more, and (T,) whether they are more than was drafted.

    tokens : (T, L + 1), -1 behind the emitted ones; paths : (T, K, L), -1 behind the drafted ones
    """
    bare = (paths == tokens[:, None, :-1]).all(axis=2).any(axis=1) & (tokens[:, -1] == NO_TOKEN)
    deepest, emitted = (paths != NO_TOKEN).sum(axis=2).max(axis=1), (tokens != NO_TOKEN).sum(axis=1)
    return bare & (deepest > 0), emitted > deepest


def token_wise_acceptance(tables: RowTables, depth: int) -> float:
    """E[tau] of token-wise verification of one path of ``depth`` tokens, in [0, depth]: no cleverness, no waste.

    Each token is kept with the smaller of its two probabilities.  Exact.
    """
    mass, mean = np.ones(1), 0.0
    for target, draft in zip(tables.target[:depth], tables.draft[:depth], strict=True):
        mass = (mass[:, None] * np.minimum(target, draft)).ravel()
        mean += float(mass.sum())
    return mean


def string_law(tables: RowTables) -> Floats:
    """The target's law of completed strings (V ** (L + 1),), normalised against rounding."""
    law = tables.string_probabilities()
    return law / law.sum()
