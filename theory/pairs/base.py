"""Pairs: where the target's and the draft's rows come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass
from fractions import Fraction
from functools import lru_cache, partial
from numbers import Integral
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from ..rows.distributions import (
    Row,
    apply_temperature,
    check_count,
    check_rows,
    exact,
    is_exact,
    keep_top_k,
    keep_top_p,
    normalised,
    over_own_sums,
)
from ..rows.logits import rows_of_logits
from ..rows.trees import Context


class Pair(ABC):
    """A target and a draft over one vocabulary: a row of each at every context."""

    vocabulary_size: int
    exact: bool

    @abstractmethod
    def target_row(self, context: Context) -> Row:
        """The target's next-token law (V,) at the context, a tuple of tokens."""

    @abstractmethod
    def draft_row(self, context: Context) -> Row:
        """The draft's next-token law (V,) at the context, a tuple of tokens."""

    def draft_rows(self, contexts: Sequence[Context]) -> Sequence[Row]:
        """The draft's rows (V,) at several contexts, in their order.

        Here they are asked for one by one.  A pair that can answer several at the cost of one may do so: policies
        that know a whole level of a tree ask for its rows together.  A context's parent is asked for before it.
        """
        return [self.draft_row(context) for context in contexts]

    def transformed(
        self, temperature: float = 1.0, top_k: int | None = None, top_p: float | Fraction = 1.0
    ) -> Pair:
        """The pair with temperature, then top-k, then top-p applied to both rows."""
        return self._mapped(lambda row: keep_top_p(keep_top_k(apply_temperature(row, temperature), top_k), top_p))

    def as_float(self) -> Pair:
        """The pair in float64, each Fraction rounded to the nearest float."""
        return self._mapped(_to_float) if self.exact else self

    def on_own_sums(self) -> Pair:
        """The pair whose float64 rows sum to 1 up to rounding: one that misses it by more is divided by its own sum.

        A row may miss 1 by 1e-9; the law that it stands for is this one, of which certificates and values speak.
        """
        return self if self.exact else self._mapped(over_own_sums)

    def rationalised(self, denominator: int = 1000) -> Pair:
        """A nearby pair in Fractions: entries rounded up to multiples of 1/denominator, then renormalised.

        Zeros stay zeros and no other entry becomes 0.  An exact pair is returned as it is.
        """
        check_count("denominator", denominator, 1)
        return self if self.exact else self._mapped(lambda row: rationalise(row, denominator))

    @property
    def class_name(self) -> str:
        """What an error calls the pair: the name of its class, through any function that its rows pass."""
        return type(self).__name__

    def _mapped(self, change: Callable[[Row], Row]) -> Pair:
        """The pair with one function applied to every row."""
        return _Mapped(self, change)


def rationalise(row: Row, denominator: int) -> Row:
    """A row (V,) of Fractions near a float64 row: rounded up to multiples of 1/denominator, renormalised."""
    return normalised(exact(np.ceil(row * denominator)))


def _to_float(row: Row) -> Row:
    return row.astype(np.float64)


def read_only(row: Row) -> Row:
    """A view of the row that cannot be written to: a remembered row is handed out many times."""
    view = row.view()
    view.flags.writeable = False
    return view


class _Mapped(Pair):
    """A pair whose rows are those of another, each passed through one function.

    The function is tried at once on a row of one token: its arguments are checked when the pair is made.
    """

    def __init__(self, source: Pair, change: Callable[[Row], Row]) -> None:
        self.vocabulary_size, self._class_name = source.vocabulary_size, source.class_name
        self._target = lru_cache(maxsize=4096)(lambda context: read_only(change(source.target_row(context))))
        self._draft = lru_cache(maxsize=4096)(lambda context: read_only(change(source.draft_row(context))))
        self.exact = is_exact(change(exact([1]) if source.exact else np.ones(1)))

    @property
    def class_name(self) -> str:
        return self._class_name

    def target_row(self, context: Context) -> Row:
        return self._target(context)

    def draft_row(self, context: Context) -> Row:
        return self._draft(context)


@dataclass(frozen=True, eq=False)
class TablePair(Pair):
    """A pair given by two mappings from a context (a tuple of tokens) to a row (V,).

    All rows are checked when the pair is built (with ``normalise`` divided by their sums, as rows of less precision
    than float64 need); a row that is asked for and missing is a ``MissingRowError`` that names the model and the
    context.
    """

    target: Mapping[Context, ArrayLike]
    draft: Mapping[Context, ArrayLike]
    normalise: InitVar[bool] = False

    def __post_init__(self, normalise: bool) -> None:
        tables = {name: _checked_table(name, getattr(self, name), normalise) for name in ("target", "draft")}
        for name, table in tables.items():
            object.__setattr__(self, name, table)
        rows = [row for table in tables.values() for row in table.values()]
        object.__setattr__(self, "vocabulary_size", len(rows[0]))
        object.__setattr__(self, "exact", is_exact(rows[0]))
        _check_alike(tables, len(rows[0]), is_exact(rows[0]))

    @classmethod
    def from_logits(
        cls,
        target: Mapping[Context, ArrayLike],
        draft: Mapping[Context, ArrayLike],
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | Fraction = 1.0,
    ) -> Self:
        """The pair of the rows of logits (V,) by context; temperature, top-k, top-p as :func:`.rows_of_logits`."""
        tables = {"target": target, "draft": draft}
        rows = {
            name: {c: rows_of_logits(f"{name}[{c}]", row, temperature, top_k, top_p) for c, row in table.items()}
            for name, table in tables.items()
        }
        return cls(rows["target"], rows["draft"])

    def target_row(self, context: Context) -> Row:
        """The target's row at the context."""
        return _lookup("target", self.target, context)

    def draft_row(self, context: Context) -> Row:
        """The draft's row at the context."""
        return _lookup("draft", self.draft, context)


class MissingRowError(KeyError):
    """A row that was asked for and is not known."""

    def __str__(self) -> str:
        """The sentence without the quotes that ``KeyError`` puts around it."""
        return str(self.args[0])


def _checked_table(name: str, table: Mapping[Context, ArrayLike], normalise: bool) -> dict[Context, Row]:
    if not isinstance(table, Mapping) or not table:
        raise TypeError(f"{name} must be a mapping from contexts to rows with at least one entry")
    return {
        _checked_key(name, key): check_rows(f"{name}[{key}]", row, ndim=1, normalise=normalise)
        for key, row in table.items()
    }


def _checked_key(name: str, context: Context) -> Context:
    """The context with plain integers; raises unless it is a tuple of integers >= 0."""
    if not isinstance(context, tuple) or not all(isinstance(token, Integral) and token >= 0 for token in context):
        raise TypeError(f"{name} has the key {context!r}; a context is a tuple of tokens, integers >= 0")
    return tuple(int(token) for token in context)


def _check_alike(tables: Mapping[str, Mapping[Context, Row]], size: int, exact_rows: bool) -> None:
    """Raise unless every row has the same length and arithmetic."""
    for name, table in tables.items():
        for context, row in table.items():
            if any(token >= size for token in context):
                raise ValueError(f"{name} has the context {context}, but tokens must lie in [0, {size})")
            if len(row) != size:
                raise ValueError(f"{name}[{context}] has {len(row)} entries, but the vocabulary has {size}")
            if is_exact(row) != exact_rows:
                raise TypeError(f"{name}[{context}] is in another arithmetic than the first row: use one throughout")


def _lookup(name: str, table: Mapping[Context, ArrayLike], context: Context) -> Row:
    try:
        return table[context]  # type: ignore[return-value]
    except KeyError:
        raise MissingRowError(f"{name} has no row for the context {context}, one of {len(table)} known") from None


def checked_row(name: str, row: ArrayLike, vocabulary_size: int) -> Row:
    """The row (V,), read-only, after every check of ``check_rows`` and of its length."""
    checked = check_rows(name, row, ndim=1)
    if len(checked) != vocabulary_size:
        raise ValueError(f"{name} row has {len(checked)} entries, but the vocabulary has {vocabulary_size}")
    return read_only(checked)


def check_pair(pair: object) -> Pair:
    """The pair as it is; ``TypeError`` for anything else."""
    if not isinstance(pair, Pair):
        raise TypeError(f"pair must be a Pair, such as dirichlet_pair(4), but is {pair!r}")
    return pair


def check_context(context: Context, vocabulary_size: int) -> None:
    """Raise ``ValueError`` for a token of the context outside the vocabulary, ``TypeError`` for what is no token."""
    if not isinstance(context, tuple):
        raise TypeError(f"context must be a tuple of tokens, but is {context!r}")
    for position, token in enumerate(context):
        if type(token) is int and 0 <= token < vocabulary_size:
            continue  # nearly always, and much faster than asking for an Integral
        if not isinstance(token, Integral):
            raise TypeError(f"context row {position} is {token!r}; a token is an integer in [0, {vocabulary_size})")
        if not 0 <= token < vocabulary_size:
            raise ValueError(f"context row {position} is {token}; it must lie in [0, {vocabulary_size})")


class MarkovPair(Pair):
    """A pair in which the next token depends on the last one: (V, V) matrices of rows.

    Parameters
    ----------
    target, draft : (V, V), row c is the law after token c; float64 or Fractions
    start : the target's and the draft's row for the empty context; ``None`` takes the mean of the rows of
        each matrix, the law after a token drawn uniformly
    normalise : divide every row by its sum, as rows of less precision than float64 need
    """

    def __init__(
        self,
        target: ArrayLike,
        draft: ArrayLike,
        start: tuple[ArrayLike, ArrayLike] | None = None,
        *,
        normalise: bool = False,
    ) -> None:
        self.target = read_only(_square("target", target, normalise))
        self.draft = read_only(_square("draft", draft, normalise))
        if self.target.shape != self.draft.shape or is_exact(self.target) != is_exact(self.draft):
            raise ValueError(
                f"target {self.target.shape} and draft {self.draft.shape} must have one shape and one arithmetic"
            )
        self.vocabulary_size = len(self.target)
        self.exact = is_exact(self.target)
        first = self._first_rows(start, normalise)
        self.start = read_only(first[0]), read_only(first[1])

    @classmethod
    def from_logits(
        cls,
        target: ArrayLike,
        draft: ArrayLike,
        start: tuple[ArrayLike, ArrayLike] | None = None,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | Fraction = 1.0,
    ) -> MarkovPair:
        """The pair of logits (V, V), and (V,) at the start; temperature, top-k, top-p as :func:`.rows_of_logits`."""
        rows = partial(rows_of_logits, temperature=temperature, top_k=top_k, top_p=top_p)
        first = None if start is None else (rows("start target", start[0]), rows("start draft", start[1]))
        return cls(rows("target", target), rows("draft", draft), first)

    def _first_rows(self, start: tuple[ArrayLike, ArrayLike] | None, normalise: bool) -> tuple[Row, Row]:
        if start is None:
            return self.target.sum(axis=0) / self.vocabulary_size, self.draft.sum(axis=0) / self.vocabulary_size
        rows = tuple(
            check_rows(f"start {name}", row, ndim=1, normalise=normalise)
            for name, row in zip(("target", "draft"), start, strict=True)
        )
        if any(len(row) != self.vocabulary_size or is_exact(row) != self.exact for row in rows):
            raise ValueError("start must be two rows of the matrices' length and arithmetic")
        return rows[0], rows[1]

    def target_row(self, context: Context) -> Row:
        """The target's row after the last token of the context."""
        return self.target[self._last(context)] if context else self.start[0]

    def draft_row(self, context: Context) -> Row:
        """The draft's row after the last token of the context."""
        return self.draft[self._last(context)] if context else self.start[1]

    def _mapped(self, change: Callable[[Row], Row]) -> Pair:
        """A Markov pair again."""
        target, draft = (np.stack([change(row) for row in rows]) for rows in (self.target, self.draft))
        return MarkovPair(target, draft, (change(self.start[0]), change(self.start[1])))

    def _last(self, context: Context) -> int:
        check_context(context, self.vocabulary_size)
        return context[-1]


def _square(name: str, matrix: ArrayLike, normalise: bool) -> Row:
    rows = check_rows(name, matrix, ndim=2, normalise=normalise)
    if rows.shape[0] != rows.shape[1]:
        raise ValueError(f"{name} must be square (V, V), but has shape {rows.shape}")
    return rows
