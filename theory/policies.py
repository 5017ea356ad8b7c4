"""Tree policies: the law by which a draft tree is drawn.

A policy is given recursively: every node has a *state*, the state says how many i.i.d. draws of the draft
row make up the node's child list, and the list says which state each distinct child gets.  Sampling,
enumeration and certificates all read these three functions, and given a node's list its children's
subtrees are independent.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import factorial, prod
from typing import Any

import numpy as np

from .distributions import Row, check_count, draw
from .sources import Pair
from .trees import Context, DraftTree, grow

State = Hashable
"""What a policy remembers at a node; two nodes of equal state and context have subtrees of one law."""

TokenList = tuple[int, ...]
"""A child list as tokens, in draw order, with multiplicity."""


class Policy(ABC):
    """The law of a draft tree whose child lists are i.i.d. draws from the draft's row.

    Every policy has ``K`` paths at most, and ``depth`` levels.
    """

    K: int
    L1: int
    L2: int

    @property
    def depth(self) -> int:
        """L, the depth of the deepest node."""
        return self.L1 + self.L2

    @property
    @abstractmethod
    def name(self) -> str:
        """The call that builds the policy, such as ``Iid(4, 2)``; ``parse_policy`` reads it back."""

    def __repr__(self) -> str:
        return self.name

    @property
    @abstractmethod
    def root_state(self) -> State:
        """The state of the root."""

    @abstractmethod
    def draws(self, state: State) -> int:
        """How many i.i.d. draws of the draft row the child list holds; 0 at a leaf."""

    @abstractmethod
    def child_states(self, state: State, tokens: Sequence[int]) -> tuple[State, ...]:
        """The states of the distinct children of a list of tokens, in order of first appearance."""

    def list_law(self, state: State, draft_row: Row) -> Iterator[tuple[Any, TokenList]]:
        """Each possible child list (of positive probability) with its probability, in the row's arithmetic."""
        support = np.flatnonzero(draft_row).tolist()
        for tokens in product(support, repeat=self.draws(state)):
            yield prod(draft_row[token] for token in tokens), tokens

    def draw_list(self, state: State, draft_row: Row, rng: np.random.Generator) -> TokenList:
        """A child list drawn from its law; empty at a leaf."""
        count = self.draws(state)
        return tuple(draw(draft_row, rng.random(count)).tolist()) if count else ()

    def sample(self, pair: Pair, rng: np.random.Generator, context: Context = ()) -> DraftTree:
        """A draft tree drawn at the context, with the rows of its nodes."""
        states: dict[Context, State] = {(): self.root_state}

        def child_list(below: Context) -> TokenList:
            tokens = self.draw_list(states[below], pair.draft_row(context + below), rng)
            self._remember(states, below, tokens)
            return tokens

        return _grown(child_list, pair, context)

    def enumerate(self, pair: Pair, context: Context = ()) -> Iterator[tuple[Any, DraftTree]]:
        """Every tree of positive probability at the context, with its probability; probabilities sum to 1.

        Two trees are different when a child list differs, so orders of draws are told apart.
        """
        for probability, lists in self._unfold(pair, context, (), self.root_state):
            yield probability, _grown(lambda below, lists=lists: lists.get(below, ()), pair, context)

    def tree_count(self, vocabulary_size: int) -> int:
        """How many trees :meth:`enumerate` lists when every draft row has full support on V tokens."""
        return self._count(vocabulary_size, self.root_state)

    def _count(self, vocabulary_size: int, state: State) -> int:
        """Lists are grouped by the multiplicities of their distinct tokens."""
        draws = self.draws(state)
        if draws == 0:
            return 1
        total = 0
        for parts in partitions(draws, vocabulary_size):
            tokens = [token for token, part in enumerate(parts) for _ in range(part)]
            below = prod(self._count(vocabulary_size, child) for child in self.child_states(state, tokens))
            total += list_count(parts, vocabulary_size) * below
        return total

    def _remember(self, states: dict[Context, State], below: Context, tokens: TokenList) -> None:
        children = self.child_states(states[below], tokens)
        states.update({(*below, token): state for token, state in zip(dict.fromkeys(tokens), children, strict=True)})

    def _unfold(
        self, pair: Pair, context: Context, below: Context, state: State
    ) -> Iterator[tuple[Any, dict[Context, TokenList]]]:
        """Probability and child lists of every subtree at a node."""
        if self.draws(state) == 0:
            yield 1, {}
            return
        for probability, tokens in self.list_law(state, pair.draft_row(context + below)):
            children = zip(dict.fromkeys(tokens), self.child_states(state, tokens), strict=True)
            subtrees = [list(self._unfold(pair, context, (*below, token), child)) for token, child in children]
            for choice in product(*subtrees):
                lists = {below: tokens}
                for _, deeper in choice:
                    lists |= deeper
                yield probability * prod(weight for weight, _ in choice), lists


def _grown(child_list: Any, pair: Pair, context: Context) -> DraftTree:
    """The tree with the pair's rows below the root's context."""
    return grow(
        child_list, lambda below: pair.target_row(context + below), lambda below: pair.draft_row(context + below)
    )


def partitions(total: int, most_parts: int, largest: int | None = None) -> Iterator[tuple[int, ...]]:
    """The ways to write ``total`` as a sum of at most ``most_parts`` positive parts, largest first."""
    if total == 0:
        yield ()
    elif most_parts > 0:
        for first in range(min(total, largest or total), 0, -1):
            for rest in partitions(total - first, most_parts - 1, first):
                yield (first, *rest)


def list_count(parts: Sequence[int], vocabulary_size: int) -> int:
    """How many lists over V tokens have these multiplicities: choices of tokens times orders of the list."""
    used = len(parts)
    tokens = factorial(vocabulary_size) // factorial(vocabulary_size - used)
    equal = prod(factorial(count) for count in Counter(parts).values())
    return tokens // equal * (factorial(sum(parts)) // prod(factorial(part) for part in parts))


@dataclass(frozen=True, repr=False)
class Delayed(Policy):
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
    def root_state(self) -> State:
        """(K, L1, L2)."""
        return (self.K, self.L1, self.L2)

    def draws(self, state: State) -> int:
        """1 in the trunk, as many as paths below it, 0 at the end."""
        paths, trunk, branch = state  # type: ignore[misc]
        return 1 if trunk else paths if branch else 0

    def child_states(self, state: State, tokens: Sequence[int]) -> tuple[State, ...]:
        """In the trunk all paths go on; below it a child keeps as many paths as its multiplicity."""
        paths, trunk, branch = state  # type: ignore[misc]
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


POLICIES: dict[str, tuple[type[Policy], int]] = {"chain": (Chain, 1), "iid": (Iid, 2), "delayed": (Delayed, 3)}
"""Name in lower case to the policy's class and its number of integer arguments."""


def parse_policy(text: str) -> Policy:
    """The policy that a text such as ``Iid(4, 2)`` or ``delayed(4,1,2)`` names.

    Raises ``ValueError`` that lists the known forms.
    """
    match = re.fullmatch(r"\s*([A-Za-z]+)\s*\(([-\d,\s]*)\)\s*", text)
    numbers: Iterable[str] = match[2].split(",") if match else ()
    if match and match[1].lower() in POLICIES:
        kind, count = POLICIES[match[1].lower()]
        arguments = [int(number) for number in numbers if number.strip()]
        if len(arguments) == count:
            return kind(*arguments)
    raise ValueError(f"policy {text!r} is none of Chain(L), Iid(K, L), Delayed(K, L1, L2) with integers")
