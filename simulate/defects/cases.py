"""Cases built for one defect each, where the default cases show it hardly or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from veridraft.theory.pairs.base import MarkovPair, Pair
from veridraft.theory.pairs.families import dirichlet_pair
from veridraft.theory.policies.arguments import parse_policy
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Chain, Delayed, Iid
from veridraft.theory.policies.top_plus_one import HubPairs
from veridraft.theory.rows.distributions import Row
from veridraft.theory.rows.trees import Context

from ..forms.cases import Case
from .broken.planted import specinfer_trunk_pair


def same_rows(target: Sequence[float], draft: Sequence[float]) -> MarkovPair:
    """The pair whose rows are the same at every context."""
    return MarkovPair([target] * len(target), [draft] * len(draft))


def _case(name: str, policy: Policy, exposes: str, target: Sequence[float], draft: Sequence[float]) -> Case:
    return Case(name, same_rows(target, draft), policy, exposes)


class Alternating(Pair):
    """A pair whose rows are turned by one token at every other position."""

    exact = False

    def __init__(self, pair: Pair) -> None:
        self.pair, self.vocabulary_size = pair.as_float(), pair.vocabulary_size

    def target_row(self, context: Context) -> Row:
        """The target's row (V,)."""
        return np.roll(self.pair.target_row(context), len(context) % 2)

    def draft_row(self, context: Context) -> Row:
        """The draft's row (V,)."""
        return np.roll(self.pair.draft_row(context), len(context) % 2)


class Penalised(Pair):
    """A pair under a frequency penalty: a token's weight is halved for each time that it stands in the context."""

    exact = False

    def __init__(self, pair: Pair) -> None:
        self.pair, self.vocabulary_size = pair.as_float(), pair.vocabulary_size

    def target_row(self, context: Context) -> Row:
        """The target's row (V,)."""
        return self._penalised(self.pair.target_row(context), context)

    def draft_row(self, context: Context) -> Row:
        """The draft's row (V,)."""
        return self._penalised(self.pair.draft_row(context), context)

    def _penalised(self, row: Row, context: Context) -> Row:
        counts = np.bincount(np.array(context, dtype=np.int64), minlength=self.vocabulary_size)
        weights = np.asarray(row, dtype=np.float64) * 0.5**counts
        return weights / weights.sum()


_MIDPOINTS = (0.501973, 0.125483, 0.125483, 0.125483, 0.121578)

BFLOAT16_MIDPOINTS = _case(
    "midpoints of bfloat16", Chain(1), "half of the mass is rounded up, half down", _MIDPOINTS, _MIDPOINTS
)
LEAF_BEHIND_SIBLING = _case(
    "leaf behind a sibling", parse_policy("Static(2)"), "a second sibling that is often accepted, and ends the path",
    (0.2, 0.3, 0.5), (0.5, 0.3, 0.2),
)  # fmt: skip
REPEATED_DRAWS = _case(
    "repeated draws", Iid(2, 1), "a draft that often draws one token twice", (0.4, 0.1, 0.5), (0.1, 0.6, 0.3)
)
GRID_OF_256THS = _case(
    "256ths", Chain(1), "ratios on the grid of the uniforms, one of them 0",
    (0.0, 0.5, 0.25, 0.25), (0.5, 0.25, 0.125, 0.125),
)  # fmt: skip
NARROW_LOSERS = _case(
    "narrow losers", Chain(1), "a favourite of the draft and not of the target",
    (0.1, 0.3, 0.35, 0.25), (0.5, 0.1, 0.2, 0.2),
)  # fmt: skip
CLOSE_IN_BFLOAT16 = _case(
    "close in bfloat16", Chain(1), "ratios within a step of bfloat16 below 1",
    (0.1474, 0.1717, 0.0685, 0.3158, 0.2966), (0.1469, 0.1767, 0.068, 0.3139, 0.2945),
)  # fmt: skip
EQUAL_IN_BFLOAT16 = _case(
    "equal in bfloat16", Chain(1), "rows that differ, and do not in bfloat16; columns of padding behind them",
    (0.1969, 0.2744, 0.0154, 0.5133, 0.0, 0.0, 0.0, 0.0), (0.1975, 0.276, 0.0155, 0.511, 0.0, 0.0, 0.0, 0.0),
)  # fmt: skip
FILTERED_ROW = _case(
    "order of filters", Chain(1), "3 tokens have mass 0.85, 2 of them over 0.8 of that",
    (0.3, 0.25, 0.2, 0.15, 0.1), (0.45, 0.25, 0.15, 0.1, 0.05),
)  # fmt: skip
SURE_HUB = _case(
    "sure hub", HubPairs(1), "a hub that the target is nearly sure of", (0.92, 0.05, 0.03), (0.5, 0.3, 0.2)
)
SMALL_RESIDUAL = _case(
    "small residual", Chain(1), "a residual of mass 0.0009, and a token that nobody emits",
    (0.5, 0.3009, 0.1991, 0.0), (0.5, 0.3, 0.2, 0.0),
)  # fmt: skip
SIBLINGS_WITHOUT_REPLACEMENT = _case(
    "without replacement", parse_policy("Static(2)"), "a second sibling far likelier than in the whole row",
    (0.1, 0.7, 0.2), (0.8, 0.1, 0.1),
)  # fmt: skip
INTERLEAVED_PATHS = _case(
    "interleaved paths", Iid(3, 2), "paths that part and are drawn in turns", (0.4, 0.6, 0.0), (0.4, 0.2, 0.4)
)
SHARED_TRUNK = Case("shared trunk", specinfer_trunk_pair(), Delayed(3, 1, 1), "three paths behind one draw")
TWO_REQUESTS = Case(
    "two requests", dirichlet_pair(3, seed=48, concentration=0.4), Chain(1),
    "neighbours in a batch with rows of their own", ((0,), (1,)),
)  # fmt: skip
RESIDUAL_OF_SMALL_MASS = _case(
    "residual of small mass", parse_policy("Static(2)"), "a second sibling that the first one's residual favours",
    (0.25, 0.55, 0.2), (0.05, 0.25, 0.7),
)  # fmt: skip
SMALL_TAIL = _case(
    "small tail", Chain(1), "forty tokens, each of less than a step of the uniforms",
    (0.92, *[0.002] * 40), (0.9, *[0.0025] * 40),
)  # fmt: skip
EQUAL_ROWS = _case(
    "equal rows", Chain(1), "everything is accepted, but at a uniform of 1; nobody emits the last token",
    (0.5, 0.3, 0.2, 0.0), (0.5, 0.3, 0.2, 0.0),
)  # fmt: skip
ENDING_TEXTS = Case(
    "texts that end", dirichlet_pair(3, seed=53, concentration=2.0, closeness=0.7), Chain(2),
    "texts that end with token 0 inside a block", end=0,
)  # fmt: skip
BY_POSITION = Case("rows by position", Alternating(dirichlet_pair(3, seed=54, concentration=1.0)), Chain(2),
                   "rows that depend on how many tokens stand before them")  # fmt: skip
PENALISED = Case("frequency penalty", Penalised(dirichlet_pair(3, seed=55, concentration=2.0, closeness=0.6)),
                 Chain(4), "a token's weight is halved whenever it comes, over several rounds")  # fmt: skip
UNEQUAL_LENGTHS = Case(
    "unequal lengths", dirichlet_pair(3, seed=42, concentration=0.8), Chain(3),
    "a short draft beside a long one, padded", ((), ()), (1, 3),
)  # fmt: skip
