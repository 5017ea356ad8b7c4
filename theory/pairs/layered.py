"""Layered pairs: rows that depend on depth and last token at most, so that contexts fall into few classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from ..rows.distributions import (
    Row,
    apply_temperature,
    check_count,
    check_rows,
    is_exact,
    keep_top_k,
    keep_top_p,
    normalised,
    over_own_sums,
    total_variation,
)
from ..rows.logits import rows_of_logits
from ..rows.trees import Context
from .base import MarkovPair, Pair, check_context, rationalise
from .families import softmax


@dataclass(frozen=True, eq=False)
class Layer:
    """The rows of every context of one length: one row for all of them, or one per last token.

    ``target`` and ``draft`` are (C, V), with C = 1 (the last token does not matter) or C = V (row c follows
    token c), both float64 or both Fractions.  A row's index is the *class* of a context.
    """

    target: Row
    draft: Row
    normalise: InitVar[bool] = False

    def __post_init__(self, normalise: bool) -> None:
        for name in ("target", "draft"):
            rows = check_rows(name, getattr(self, name), normalise=normalise)
            object.__setattr__(self, name, rows[None] if rows.ndim == 1 else rows)
        if self.target.shape != self.draft.shape or is_exact(self.target) != is_exact(self.draft):
            raise ValueError(
                f"target {self.target.shape} and draft {self.draft.shape} must have one shape and one arithmetic"
            )
        if self.target.ndim != 2 or self.classes not in (1, self.target.shape[1]):
            raise ValueError(f"a layer must have shape (V,), (1, V) or (V, V), but has {self.target.shape}")

    @property
    def classes(self) -> int:
        """C, the number of classes of contexts: 1 or V."""
        return len(self.target)

    @property
    def total_variation(self) -> Row:
        """(C,) total variation between the target's and the draft's row, in [0, 1]; exact for Fractions."""
        return total_variation(self.target, self.draft)

    def class_of(self, token: int) -> int:
        """The class of a context that ends in the token."""
        return token if self.classes > 1 else 0

    def mapped(self, change: Callable[[Row], Row]) -> Layer:
        """The layer with one function applied to the rows of both models."""
        return Layer(change(self.target), change(self.draft))


class LayeredPair(Pair):
    """A pair whose rows at a context of length d are those of layer d, the last layer serving all longer ones.

    Parameters
    ----------
    layers : for each length from 0 on, a pair (target, draft) of arrays: (V,) rows that do not depend on the
        last token, or (V, V) matrices whose row c follows token c.  The first one stands at the empty context
        and must be a pair of rows.
    normalise : divide every row by its sum, as rows of less precision than float64 need

    Contexts of one length and one class have one law below them, which exact programmes use.
    """

    def __init__(self, layers: Sequence[tuple[ArrayLike, ArrayLike]], *, normalise: bool = False) -> None:
        self.layers = tuple(Layer(target, draft, normalise) for target, draft in layers)  # type: ignore[arg-type]
        if not self.layers or self.layers[0].classes != 1:
            raise ValueError("layers must start with a pair of rows (V,), for the empty context")
        first = self.layers[0].target
        for depth, layer in enumerate(self.layers):
            if layer.target.shape[1] != first.shape[1] or is_exact(layer.target) != is_exact(first):
                raise ValueError(f"layer {depth} differs from the first one in its vocabulary or its arithmetic")
        self.vocabulary_size = first.shape[1]
        self.exact = is_exact(first)

    @classmethod
    def from_logits(
        cls,
        layers: Sequence[tuple[ArrayLike, ArrayLike]],
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | Fraction = 1.0,
    ) -> LayeredPair:
        """The pair of layers of logits; temperature, top-k, top-p as :func:`.rows_of_logits`."""
        rows = partial(rows_of_logits, temperature=temperature, top_k=top_k, top_p=top_p)
        return cls([(rows("target", target), rows("draft", draft)) for target, draft in layers])

    def layer(self, length: int) -> Layer:
        """The layer of contexts of a length."""
        return self.layers[min(length, len(self.layers) - 1)]

    def target_row(self, context: Context) -> Row:
        """The target's row at the context's length and last token."""
        return self._row(context, "target")

    def draft_row(self, context: Context) -> Row:
        """The draft's row at the context's length and last token."""
        return self._row(context, "draft")

    def _row(self, context: Context, name: str) -> Row:
        check_context(context, self.vocabulary_size)
        layer = self.layer(len(context))
        rows: Row = getattr(layer, name)
        return rows[layer.class_of(context[-1]) if context else 0]

    def _mapped(self, change: Callable[[Row], Row]) -> LayeredPair:
        changed = [layer.mapped(change) for layer in self.layers]
        return LayeredPair([(layer.target, layer.draft) for layer in changed])

    def transformed(
        self, temperature: float = 1.0, top_k: int | None = None, top_p: float | Fraction = 1.0
    ) -> LayeredPair:
        """The pair with temperature, then top-k, then top-p applied to the rows of both models."""
        return self._mapped(lambda rows: keep_top_p(keep_top_k(apply_temperature(rows, temperature), top_k), top_p))

    def as_float(self) -> LayeredPair:
        """The pair in float64, each Fraction rounded to the nearest float."""
        return self._mapped(lambda rows: rows.astype(np.float64)) if self.exact else self

    def on_own_sums(self) -> LayeredPair:
        """The pair whose float64 rows sum to 1 up to rounding; see :meth:`Pair.on_own_sums`."""
        return self if self.exact else self._mapped(over_own_sums)

    def rationalised(self, denominator: int = 1000) -> LayeredPair:
        """A nearby pair in Fractions, rounded as :meth:`Pair.rationalised` does."""
        check_count("denominator", denominator, 1)
        return self if self.exact else self._mapped(lambda rows: rationalise(rows, denominator))


def iid_pair(target_row: ArrayLike, draft_row: ArrayLike, *, normalise: bool = False) -> LayeredPair:
    """A pair with the same two rows (V,) at every context: tokens are independent and identically distributed.

    ``normalise`` divides both rows by their sums; logits: ``LayeredPair.from_logits([(target, draft)])``.
    """
    return LayeredPair([(target_row, draft_row)], normalise=normalise)


def markov_layers(pair: Pair) -> LayeredPair:
    """The layered pair of any pair whose rows depend on the last token alone, read at contexts of length 0 and 1.

    Whether the pair is of that kind is for the caller to know: contexts of length 2 are not looked at.  A
    :class:`MarkovPair` needs no such step unless it was transformed.
    """
    tokens = range(pair.vocabulary_size)
    matrices = [np.stack([rows((token,)) for token in tokens]) for rows in (pair.target_row, pair.draft_row)]
    return LayeredPair([(pair.target_row(()), pair.draft_row(())), (matrices[0], matrices[1])])


def layer_below(pair: Pair, context: Context, depth: int) -> Layer:
    """The layer of the contexts that lie ``depth`` tokens below a root; at depth 0 the root's two rows alone.

    Raises ``ValueError`` for a pair that is neither a :class:`MarkovPair` nor a :class:`LayeredPair`.
    """
    if depth == 0:
        return Layer(pair.target_row(context), pair.draft_row(context))
    if isinstance(pair, LayeredPair):
        return pair.layer(len(context) + depth)
    require_layers(pair)
    known = pair.__dict__.get("_matrix_layer")
    if known is None:
        known = pair.__dict__["_matrix_layer"] = Layer(pair.target, pair.draft)  # type: ignore[attr-defined]
    return known


def is_layered(pair: Pair) -> bool:
    """True if the pair's contexts fall into layers and classes that can be told from its type."""
    return isinstance(pair, (MarkovPair, LayeredPair))


def require_layers(pair: Pair) -> None:
    """Raise ``ValueError`` unless the pair is layered."""
    if not is_layered(pair):
        raise ValueError(
            f"a dynamic programme needs rows that depend on depth and last token alone: a MarkovPair or a LayeredPair, "
            f'but the pair is a {pair.class_name}; use markov_layers(pair) if it is first-order, or method="sample"'
        )


def widening_pair(
    vocabulary_size: int, depth: int, seed: int = 0, *, start: float = 0.1, growth: float = 0.1, spread: float = 1.0
) -> LayeredPair:
    """A Markov pair whose total variation rises with depth, as in 2602.16994, figure 1.

    At depth d the draft is ``1 - s_d`` of the target's row and ``s_d`` of an independent row, with
    ``s_d = min(1, start + growth d)``, for d = 0 .. ``depth`` (the last layer serves deeper contexts).  The
    target's matrix is the same at every depth >= 1, and so is the independent one: only the share changes.
    Rows have normal logits of standard deviation ``spread`` >= 0 (0: flat; 3: most mass on a few tokens).
    ``start`` in [0, 1]; ``growth`` >= 0, 0 for a divergence that does not change.
    """
    if not 0 <= start <= 1 or not 0 <= growth < np.inf or not 0 <= spread < np.inf:
        raise ValueError(f"start {start} must lie in [0, 1], growth {growth} and spread {spread} be at least 0")
    rng = np.random.default_rng(check_count("seed", seed, 0))
    shape = (2, check_count("vocabulary_size", vocabulary_size, 1) + 1, vocabulary_size)
    target, other = softmax(spread * rng.standard_normal(shape))
    shares = [min(1.0, start + growth * level) for level in range(check_count("depth", depth, 0) + 1)]
    drafts = [normalised((1 - share) * target + share * other) for share in shares]
    return one_target_by_depth(target, drafts)


def one_target_by_depth(target: Row, drafts: Sequence[Row]) -> LayeredPair:
    """The Markov pair whose target is the same at every depth >= 1, and whose draft is not.

    target : (V + 1, V) the first token's row, then one for each token before; drafts : such rows for each depth
    """
    return LayeredPair([(target[0], drafts[0][0])] + [(target[1:], draft[1:]) for draft in drafts[1:]])
