"""Policies of independent draws: paths below a shared trunk, paths from the root, one chain."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, log, log10
from typing import Any, cast

import numpy as np

from ..rows.distributions import Row, check_count, draw
from ..rows.lists import TokenList, ordered_iid_lists
from ..rows.trees import Context, DraftTree, grow
from .base import DraftLaw, RecursivePolicy, State


class WithReplacement(RecursivePolicy):
    """A policy whose child lists are i.i.d. draws from the draft's row."""

    @property
    def draft_laws(self) -> frozenset[DraftLaw]:
        """Independent draws."""
        return frozenset({DraftLaw.IID})

    @abstractmethod
    def draws(self, state: State) -> int:
        """How many i.i.d. draws of the draft row the child list holds; 0 at a leaf."""

    def is_leaf(self, state: State) -> bool:
        """True if nothing is drawn."""
        return self.draws(state) == 0

    def list_law(self, state: State, draft_row: Row) -> Iterator[tuple[Any, TokenList]]:
        """Every sequence of tokens in the row's support, with the product of their probabilities."""
        return ordered_iid_lists(draft_row, self.draws(state))

    def _log_count(self, row: Row, state: State, most: float, known: dict[State, float]) -> float:
        """As for any policy; lists that are too many already are not gone through."""
        lists = self.draws(state) * log(len(row))
        return lists if lists > most else super()._log_count(row, state, most, known)

    def draw_list(self, state: State, draft_row: Row, rng: np.random.Generator) -> TokenList:
        """Independent draws from the row."""
        count = self.draws(state)
        return tuple(draw(draft_row, rng.random(count)).tolist()) if count else ()


def first_draws(policy: WithReplacement, tree: DraftTree) -> DraftTree:
    """The tree that the policy drafts if the draws of another tree come first: of every list its beginning.

    Where the lists of ``tree`` are independent draws, as many as the policy's or more whatever was drawn, this is a
    tree of the policy.  Raises ``ValueError`` for a list that is too short.
    """
    places: dict[Context, tuple[int, State]] = {(): (0, policy.root_state)}

    def child_list(below: Context) -> tuple[TokenList, tuple[bool, ...]]:
        node, state = places[below]
        nodes = tree.child_lists[node][: policy.draws(state)]
        if len(nodes) < policy.draws(state):
            raise ValueError(f"{policy.name} draws {policy.draws(state)} tokens where the tree has {len(nodes)}")
        tokens = tuple(int(tree.tokens[child]) for child in nodes)
        children = zip(dict.fromkeys(nodes), policy.child_states(state, tokens), strict=True)
        places.update({(*below, int(tree.tokens[child])): (child, deeper) for child, deeper in children})
        return tokens, (True,) * len(set(tokens))

    return grow(child_list, lambda below: tree.target[places[below][0]], lambda below: tree.draft[places[below][0]])


@dataclass(frozen=True, repr=False)
class Delayed(WithReplacement):
    """A trunk of L1 draws, then K independent paths of length L2 below its end (arXiv 2602.16994).

    K >= 1; L1, L2 >= 0.  The trunk is one draw per level, however many paths run through it.  A state is
    (paths, trunk levels left, branch levels left).
    """

    K: int
    L1: int
    L2: int

    def __post_init__(self) -> None:
        check_count("K", self.K, 1)
        check_count("L1", self.L1, 0)
        check_count("L2", self.L2, 0)

    @property
    def name(self) -> str:
        """The call that builds the policy."""
        return f"Delayed({self.K}, {self.L1}, {self.L2})"

    @property
    def depth(self) -> int:
        """L1 + L2."""
        return self.L1 + self.L2

    @property
    def draft_laws(self) -> frozenset[DraftLaw]:
        """Independent paths, hence independent draws."""
        return frozenset({DraftLaw.PATHS, DraftLaw.IID})

    @property
    def most_nodes(self) -> int:
        """1 + L1 + K L2."""
        return 1 + self.L1 + self.K * self.L2

    @property
    def root_state(self) -> State:
        """(K, L1, L2)."""
        return (self.K, self.L1, self.L2)

    def tree_count(self, vocabulary_size: int) -> int:
        """V^(L1 + K L2): however the paths branch, each level makes one draw in the trunk and K below it."""
        return int(check_count("vocabulary_size", vocabulary_size, 1) ** (self.L1 + self.K * self.L2))

    def log_tree_count(self, vocabulary_size: int, most: float = inf) -> float:
        """The exponent times the logarithm of V."""
        return (self.L1 + self.K * self.L2) * log10(check_count("vocabulary_size", vocabulary_size, 1))

    @property
    def plainest(self) -> Delayed:
        """The same law as a chain where one path is drawn, or nothing below the trunk; else the policy itself."""
        return Chain(self.depth) if self.K == 1 or not self.L2 else self

    def draws(self, state: State) -> int:
        """1 in the trunk, as many as paths below it, 0 at the end."""
        paths, trunk, branch = cast("tuple[int, int, int]", state)
        return 1 if trunk else paths if branch else 0

    def child_states(self, state: State, tokens: Sequence[int]) -> tuple[State, ...]:
        """In the trunk all paths go on; below it a child keeps as many paths as its multiplicity."""
        paths, trunk, branch = cast("tuple[int, int, int]", state)
        if trunk:
            return ((paths, trunk - 1, branch),)
        return tuple((count, 0, branch - 1) for count in Counter(tokens).values())


@dataclass(frozen=True, repr=False)
class Iid(Delayed):
    """K independent paths of length L from the root, merged where they agree (2310.15141, 2305.09781)."""

    def __init__(self, K: int, L: int) -> None:
        object.__setattr__(self, "K", check_count("K", K, 1))
        object.__setattr__(self, "L1", 0)
        object.__setattr__(self, "L2", check_count("L", L, 0))

    @property
    def name(self) -> str:
        """The call that builds the policy."""
        return f"Iid({self.K}, {self.L2})"


@dataclass(frozen=True, repr=False)
class Chain(Delayed):
    """One path of length L (2211.17192, 2302.01318); L = 0 is plain decoding."""

    def __init__(self, L: int) -> None:
        object.__setattr__(self, "K", 1)
        object.__setattr__(self, "L1", 0)
        object.__setattr__(self, "L2", check_count("L", L, 0))

    @property
    def name(self) -> str:
        """The call that builds the policy."""
        return f"Chain({self.L2})"

    @property
    def draft_laws(self) -> frozenset[DraftLaw]:
        """One draw: with or without replacement alike."""
        return frozenset({DraftLaw.SINGLE, DraftLaw.PATHS, DraftLaw.IID, DraftLaw.WITHOUT_REPLACEMENT})
