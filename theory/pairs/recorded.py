"""Recorded pairs: the rows that a real run saw, by context, in one compressed file.

The file is a NumPy ``.npz`` archive of float64 and int64 arrays, readable without this package:

``vocabulary_size``  one integer V
``root``  (R + 1,) and ``root_tokens``: contexts end to end; context i is ``root_tokens[root[i]:root[i + 1]]``
``target``  (R + 1,), ``target_tokens``, ``target_values``: the nonzero entries of the target's rows, likewise
``draft``  the same three for the draft's rows

So a row that top-k or top-p has cut takes the room of what is left of it.

A plain archive of rows along one text is read as well:

``tokens``  (M,) the text, integers
``target``, ``draft``  (N, V) rows of floats, N <= M + 1.  The last one stands behind the whole text, the one before it
    behind all but the last token, and so on: as a model gives them that was fed the text (N = M), or a row at the
    empty context too (N = M + 1)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..rows.distributions import Row, check_count, check_rows, exact
from ..rows.trees import Context, DraftTree
from .base import Pair, TablePair

ARRAYS = ("root", "root_tokens", "target", "target_tokens", "target_values", "draft", "draft_tokens", "draft_values")
"""The arrays of a recording, beside ``vocabulary_size``."""


PLAIN = {"tokens", "target", "draft"}
"""The arrays of rows along one text."""


class RecordedPair(TablePair):
    """A pair that knows the rows of some contexts; one that was not recorded is a ``MissingRowError`` naming it.

    Rows are checked as those of a :class:`TablePair`.
    """

    @property
    def contexts(self) -> tuple[Context, ...]:
        """The contexts of which both rows are known, shortest first."""
        both = set(self.target) & set(self.draft)
        return tuple(sorted(both, key=lambda context: (len(context), context)))

    @classmethod
    def record(cls, pair: Pair, contexts: Iterable[Context]) -> RecordedPair:
        """The rows of a pair at the contexts, in float64."""
        source, wanted = pair.as_float(), list(contexts)
        target = {context: source.target_row(context) for context in wanted}
        return cls(target, {context: source.draft_row(context) for context in wanted})

    @classmethod
    def from_trees(cls, trees: Iterable[tuple[Context, DraftTree]]) -> RecordedPair:
        """The rows of draft trees, each given with the context of its root.

        A leaf has no draft row if the run did not compute it; the pair then has none for that context.
        """
        target: dict[Context, Row] = {}
        draft: dict[Context, Row] = {}
        for root, tree in trees:
            for node in range(tree.size):
                context = root + tree.context(node)
                target[context] = tree.target[node]
                if tree.draft[node].any():
                    draft[context] = tree.draft[node]
        return cls(target, draft)

    def with_leaves(self, length: int) -> Pair:
        """The pair with a uniform row at every unknown context of ``length`` tokens.

        For trees whose leaves have that length: how many tokens are accepted depends on no row of a leaf.
        """
        return _WithLeaves(self, check_count("length", length, 0))

    def save(self, path: str | Path) -> None:
        """Write the recording; a context of which only one row is known is written with the other empty."""
        contexts = sorted({*self.target, *self.draft}, key=lambda context: (len(context), context))
        arrays: dict[str, Any] = {"vocabulary_size": np.int64(self.vocabulary_size)}
        arrays["root"], arrays["root_tokens"] = _end_to_end([np.array(context, dtype=np.int64) for context in contexts])
        for name in ("target", "draft"):
            table: Mapping[Context, Any] = getattr(self, name)
            empty = np.zeros(self.vocabulary_size)
            rows = [np.asarray(table.get(context, empty), dtype=np.float64) for context in contexts]
            kept = [np.flatnonzero(row) for row in rows]
            arrays[name], arrays[f"{name}_tokens"] = _end_to_end(kept)
            arrays[f"{name}_values"] = np.concatenate([row[nonzero] for row, nonzero in zip(rows, kept, strict=True)])
        np.savez_compressed(path, **arrays)

    @classmethod
    def load(cls, path: str | Path, *, normalise: bool = False) -> RecordedPair:
        """The pair of a recording, or of rows along one text; see the module for both.

        ``normalise`` divides every row by its sum, as rows of less precision than float64 need.  Raises
        ``ValueError`` that names the array that is missing or contradicts.
        """
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if set(arrays) >= PLAIN and "root" not in arrays:
            return cls.along(*(arrays[name] for name in ("tokens", "target", "draft")), normalise=normalise)
        missing = [name for name in ("vocabulary_size", *ARRAYS) if name not in arrays]
        if missing:
            plain = " and ".join(sorted(PLAIN - set(arrays)))
            raise ValueError(
                f"recording {path} lacks the array {missing[0]!r} (or {plain}, to be rows along a text); "
                f"it holds {', '.join(arrays) or 'none'}"
            )
        size = int(arrays["vocabulary_size"])
        contexts = [tuple(part.tolist()) for part in _parts(arrays, "root", "root_tokens")]
        tables = {name: dict(zip(contexts, _rows(arrays, name, size), strict=True)) for name in ("target", "draft")}
        known = {name: {c: row for c, row in table.items() if row.any()} for name, table in tables.items()}
        return cls(known["target"], known["draft"], normalise)

    @classmethod
    def along(
        cls, tokens: ArrayLike, target: ArrayLike, draft: ArrayLike, *, normalise: bool = False
    ) -> RecordedPair:
        """The pair of rows (N, V) along a text (M,), N <= M + 1, the last behind all of it; see the module."""
        text = np.asarray(tokens)
        if text.ndim != 1 or text.dtype.kind not in "iu":
            raise ValueError(f"tokens must be integers (M,), but have dtype {text.dtype} and shape {text.shape}")
        tables = []
        for name, given in (("target", target), ("draft", draft)):
            rows = check_rows(name, given, ndim=2, normalise=normalise)
            ahead = len(text) + 1 - len(rows)
            if ahead < 0:
                raise ValueError(f"{name} has {len(rows)} rows, but a text of {len(text)} tokens has {len(text) + 1}")
            ends = range(ahead, len(text) + 1)
            tables.append({tuple(text[:end].tolist()): row for end, row in zip(ends, rows, strict=True)})
        return cls(tables[0], tables[1])


class _WithLeaves(Pair):
    """A recording that answers at unknown contexts of one length."""

    def __init__(self, source: RecordedPair, length: int) -> None:
        self.source, self.length, self.exact = source, length, source.exact
        self.vocabulary_size = source.vocabulary_size
        uniform = np.full(self.vocabulary_size, 1 / self.vocabulary_size)
        self.uniform = exact(np.ones(self.vocabulary_size)) / self.vocabulary_size if self.exact else uniform

    @property
    def class_name(self) -> str:
        return self.source.class_name

    def target_row(self, context: Context) -> Row:
        """The target's row, if it is known or needed."""
        is_leaf = len(context) == self.length and context not in self.source.target
        return self.uniform if is_leaf else self.source.target_row(context)

    def draft_row(self, context: Context) -> Row:
        """The draft's row, likewise."""
        is_leaf = len(context) == self.length and context not in self.source.draft
        return self.uniform if is_leaf else self.source.draft_row(context)


def contexts_below(root: Context, tokens: Iterable[int], depth: int) -> list[Context]:
    """All contexts from the root to ``depth`` tokens below it, made of the given tokens."""
    found = sorted(set(tokens))
    return [root + below for size in range(check_count("depth", depth, 0) + 1) for below in product(found, repeat=size)]


def _end_to_end(parts: list[Any]) -> tuple[Any, Any]:
    """Offsets (R + 1,) and the parts joined."""
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return offsets, np.concatenate([*parts, np.zeros(0, dtype=np.int64)]).astype(np.int64)


def _parts(arrays: Mapping[str, Any], offsets: str, values: str) -> list[Any]:
    """The parts of a joined array, after a check that the offsets fit it."""
    ends = arrays[offsets]
    if ends.ndim != 1 or len(ends) < 1 or ends[0] != 0 or (np.diff(ends) < 0).any() or ends[-1] != len(arrays[values]):
        raise ValueError(f"recording: {offsets!r} must rise from 0 to the length of {values!r}, {len(arrays[values])}")
    return [arrays[values][start:end] for start, end in pairwise(ends)]


def _rows(arrays: Mapping[str, Any], name: str, size: int) -> list[Row]:
    tokens, values = (_parts(arrays, name, f"{name}_{kind}") for kind in ("tokens", "values"))
    rows = []
    for index, (where, what) in enumerate(zip(tokens, values, strict=True)):
        if len(where) and not (where.min() >= 0 and where.max() < size):
            raise ValueError(f"recording: {name}_tokens row {index} has a token outside [0, {size})")
        row = np.zeros(size)
        row[where] = what
        rows.append(row)
    if len(rows) != len(arrays["root"]) - 1:
        raise ValueError(f"recording: {name!r} has {len(rows)} rows, but 'root' has {len(arrays['root']) - 1} contexts")
    return rows
