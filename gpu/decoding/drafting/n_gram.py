"""Prompt lookup as a tree policy: it proposes from the text itself, and needs no draft network and no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.policies.arguments import get_policy
from veridraft.theory.policies.base import DraftLaw, Policy
from veridraft.theory.rows.trees import Context, DraftTree


@dataclass(frozen=True, repr=False)
class NGram(Policy):
    """Prompt lookup: the tokens that followed the last place where the text had the same last tokens.

    ``length`` tokens at most are proposed, after the longest match of at most ``longest`` tokens, the last one in
    the text.  No network drafts, and nothing is drawn: a deterministic path, which ``nss`` verifies losslessly
    and, since no rule does better on a given tree, best.  Both numbers are at least 1.
    """

    length: int
    longest: int = 3

    def __post_init__(self) -> None:
        for name in ("length", "longest"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")

    @property
    def name(self) -> str:
        """The call that builds the policy."""
        return f"NGram({self.length}, {self.longest})"

    @property
    def depth(self) -> int:
        """The number of tokens proposed."""
        return self.length

    @property
    def draft_laws(self) -> frozenset[DraftLaw]:
        """Chosen by rule."""
        return frozenset({DraftLaw.DETERMINISTIC})

    def sample(self, pair: Pair, rng: np.random.Generator, context: Context = ()) -> DraftTree:
        """Refused: the proposal follows from the text, and a pair of rows does not hold it."""
        raise ValueError("NGram drafts from the text of a request, not from a pair of rows")

    def enumerate(self, pair: Pair, context: Context = ()) -> Iterator[tuple[Any, DraftTree]]:
        """Refused, as :meth:`sample` is."""
        raise ValueError("NGram drafts from the text of a request, not from a pair of rows")

    def tree_count(self, vocabulary_size: int) -> int:
        """1."""
        return 1

    def proposal(self, text: Sequence[int]) -> list[int]:
        """At most ``length`` tokens that may follow the text; none if no token of its end stood there before."""
        array = np.asarray(text)
        for size in range(min(self.longest, len(array) - 1), 0, -1):
            windows = np.lib.stride_tricks.sliding_window_view(array[:-1], size)
            found = np.flatnonzero((windows == array[-size:]).all(axis=1))
            if len(found):
                begin = int(found[-1]) + size
                return array[begin : begin + self.length].tolist()
        return []


FORM = re.compile(r"\s*ngram\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)\s*", re.IGNORECASE)
"""``NGram(length)`` or ``NGram(length, longest)``."""


def any_policy(policy: str | Policy) -> Policy:
    """The policy itself, or what a text names: ``NGram(3)``, or one of the theory's as :func:`.get_policy` reads it."""
    found = FORM.fullmatch(policy) if isinstance(policy, str) else None
    return NGram(*(int(number) for number in found.groups() if number)) if found else get_policy(policy)
