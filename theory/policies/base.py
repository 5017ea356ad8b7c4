"""Tree policies: the law by which a draft tree is drawn; here those with independent paths."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from enum import Enum
from itertools import product
from math import inf, log, log10, prod
from typing import Any

import numpy as np

from ..pairs.base import Pair
from ..rows.distributions import Row, check_count
from ..rows.lists import TokenList
from ..rows.trees import Context, DraftTree, Grower, grow

State = Hashable
"""What a policy remembers at a node; two nodes of equal state and context have subtrees of one law."""


class DraftLaw(Enum):
    """How a child list is drawn; a verifier is lossless for some of these."""

    SINGLE = "one draw per node"
    IID = "independent draws with replacement"
    PATHS = "independent paths of one length, below a shared trunk"
    WITHOUT_REPLACEMENT = "draws without replacement, in draw order"
    ADAPTIVE = "draws without replacement, the next one decided upon before its value is seen"
    TOP_PLUS_ONE = "the draft's top m - 1 tokens and one draw from the rest"
    HUB_PAIRS = "the draft's top token paired with one draw"
    DETERMINISTIC = "chosen by rule, nothing drawn"


class Policy(ABC):
    """The law of a draft tree at a context."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The call that builds the policy, such as ``Iid(4, 2)``; ``parse_policy`` reads the short ones back."""

    @property
    @abstractmethod
    def depth(self) -> int:
        """L, the depth of the deepest node that a tree can have."""

    @property
    def most_nodes(self) -> int | None:
        """The most nodes that a tree can have, the root included; ``None`` where that is not known."""
        return None

    @property
    @abstractmethod
    def draft_laws(self) -> frozenset[DraftLaw]:
        """Every description that fits all child lists of the policy's trees."""

    @abstractmethod
    def sample(self, pair: Pair, rng: np.random.Generator, context: Context = ()) -> DraftTree:
        """A draft tree drawn at the context, with the rows of its nodes."""

    @abstractmethod
    def enumerate(self, pair: Pair, context: Context = ()) -> Iterator[tuple[Any, DraftTree]]:
        """Every tree of positive probability at the context, with its probability; probabilities sum to 1.

        Two trees are different when a child list differs, so orders of draws are told apart.
        """

    @abstractmethod
    def tree_count(self, vocabulary_size: int) -> int:
        """How many trees :meth:`enumerate` lists at most, with V tokens in every draft row's support."""

    def log_tree_count(self, vocabulary_size: int, most: float = inf) -> float:
        """The decimal logarithm of :meth:`tree_count`, found without that number where it can be huge.

        A policy that counts tree by tree may stop above ``most``.
        """
        return log10(self.tree_count(vocabulary_size))

    def __repr__(self) -> str:
        return self.name


class RecursivePolicy(Policy):
    """A policy in which a node's *state* and draft row give the law of its child list.

    The list says which state each distinct child gets, and given the list the children's subtrees are
    independent.  Sampling, enumeration and certificates read the functions below.
    """

    @property
    @abstractmethod
    def root_state(self) -> State:
        """The state of the root."""

    @abstractmethod
    def is_leaf(self, state: State) -> bool:
        """True if a node of this state has no children."""

    @abstractmethod
    def child_states(self, state: State, tokens: Sequence[int]) -> tuple[State, ...]:
        """The states of the distinct children of a list of tokens, in order of first appearance."""

    @abstractmethod
    def list_law(self, state: State, draft_row: Row) -> Iterator[tuple[Any, TokenList]]:
        """Each possible child list (of positive probability) with its probability, in the row's arithmetic."""

    @abstractmethod
    def draw_list(self, state: State, draft_row: Row, rng: np.random.Generator) -> TokenList:
        """A child list drawn from its law; empty at a leaf."""

    def is_drawn(self, state: State, draft_row: Row, tokens: TokenList) -> tuple[bool, ...]:
        """For each distinct child, whether it was drawn (True) or put there by rule; not asked at a leaf."""
        return (True,) * len(dict.fromkeys(tokens))

    def sample(self, pair: Pair, rng: np.random.Generator, context: Context = ()) -> DraftTree:
        """A draft tree drawn at the context, with the rows of its nodes."""
        states: dict[Context, State] = {(): self.root_state}

        def child_list(below: Context) -> tuple[TokenList, tuple[bool, ...]]:
            state = states[below]
            if self.is_leaf(state):
                return (), ()
            row = pair.draft_row(context + below)
            tokens = self.draw_list(state, row, rng)
            children = zip(dict.fromkeys(tokens), self.child_states(state, tokens), strict=True)
            states.update({(*below, token): child for token, child in children})
            return tokens, self.is_drawn(state, row, tokens)

        return grown(child_list, pair, context)

    def enumerate(self, pair: Pair, context: Context = ()) -> Iterator[tuple[Any, DraftTree]]:
        """Every tree of positive probability at the context, with its probability; probabilities sum to 1."""
        for probability, lists in self._unfold(pair, context, (), self.root_state):
            if probability:  # in float64 a product may underflow
                yield probability, grown(_from_lists(lists), pair, context)

    def tree_count(self, vocabulary_size: int) -> int:
        """How many trees there are when every draft row is uniform on V tokens."""
        return self._count(np.full(vocabulary_size, 1 / vocabulary_size), self.root_state, {})

    def _count(self, row: Row, state: State, known: dict[State, int]) -> int:
        if self.is_leaf(state):
            return 1
        if state not in known:
            known[state] = sum(
                prod(self._count(row, child, known) for child in self.child_states(state, tokens))
                for _, tokens in self.list_law(state, row)
            )
        return known[state]

    def log_tree_count(self, vocabulary_size: int, most: float = inf) -> float:
        """The decimal logarithm of the number of trees, or of one above ``most``, list by list."""
        row = np.full(check_count("vocabulary_size", vocabulary_size, 1), 1 / vocabulary_size)
        return self._log_count(row, self.root_state, log(most), {}) / log(10)

    def _log_count(self, row: Row, state: State, most: float, known: dict[State, float]) -> float:
        """The natural logarithm of the number of subtrees, counted until it exceeds ``most``."""
        if self.is_leaf(state):
            return 0.0
        if state not in known:
            total = -inf
            for _, tokens in self.list_law(state, row):
                children = self.child_states(state, tokens)
                here = sum(self._log_count(row, child, most, known) for child in children)
                total = float(np.logaddexp(total, here))
                if total > most:
                    break
            known[state] = total
        return known[state]

    def _unfold(
        self, pair: Pair, context: Context, below: Context, state: State
    ) -> Iterator[tuple[Any, dict[Context, tuple[TokenList, tuple[bool, ...]]]]]:
        """Probability and child lists of every subtree at a node."""
        if self.is_leaf(state):
            yield 1, {}
            return
        row = pair.draft_row(context + below)
        for probability, tokens in self.list_law(state, row):
            children = zip(dict.fromkeys(tokens), self.child_states(state, tokens), strict=True)
            subtrees = [list(self._unfold(pair, context, (*below, token), child)) for token, child in children]
            for choice in product(*subtrees):
                lists = {below: (tokens, self.is_drawn(state, row, tokens))}
                for _, deeper in choice:
                    lists |= deeper
                yield probability * prod(weight for weight, _ in choice), lists


def _from_lists(lists: dict[Context, tuple[TokenList, tuple[bool, ...]]]) -> Grower:
    """The child lists of one given tree; a context without one is a leaf."""
    return lambda below: lists.get(below, ((), ()))


def grown(child_list: Grower, pair: Pair, context: Context) -> DraftTree:
    """The tree that ``child_list`` unfolds below the context, with the pair's rows."""
    return grow(
        child_list, lambda below: pair.target_row(context + below), lambda below: pair.draft_row(context + below)
    )


