"""Rows of probabilities, laws of child lists, and draft trees: what everything else is said in."""

from .distributions import (
    NO_TOKEN,
    Row,
    Scalar,
    apply_temperature,
    check_rows,
    draw,
    entropy,
    exact,
    is_exact,
    keep_top_k,
    keep_top_p,
    total_variation,
)
from .lists import ListLaw, TokenList
from .logits import rows_of_logits
from .trees import NO_PARENT, Context, DraftTree

__all__ = [
    "NO_PARENT",
    "NO_TOKEN",
    "Context",
    "DraftTree",
    "ListLaw",
    "Row",
    "Scalar",
    "TokenList",
    "apply_temperature",
    "check_rows",
    "draw",
    "entropy",
    "exact",
    "is_exact",
    "keep_top_k",
    "keep_top_p",
    "rows_of_logits",
    "total_variation",
]
