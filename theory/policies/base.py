"""Tree policies: the law by which a draft tree is drawn; here those with independent paths."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import product
from math import inf, log, log10, prod
from typing import Any, cast

import numpy as np

from ..pairs.base import Pair
from ..rows.distributions import Row, check_count, draw
from ..rows.lists import TokenList, ordered_iid_lists
from ..rows.near_names import nearest
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


def _from_lists(lists: dict[Context, tuple[TokenList, tuple[bool, ...]]]) -> Grower:
    """The child lists of one given tree; a context without one is a leaf."""
    return lambda below: lists.get(below, ((), ()))


def grown(child_list: Grower, pair: Pair, context: Context) -> DraftTree:
    """The tree that ``child_list`` unfolds below the context, with the pair's rows."""
    return grow(
        child_list, lambda below: pair.target_row(context + below), lambda below: pair.draft_row(context + below)
    )


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


POLICIES: dict[str, Callable[..., Policy]] = {"Chain(L)": Chain, "Iid(K, L)": Iid, "Delayed(K, L1, L2)": Delayed}
"""Each form of text that :func:`parse_policy` reads, with what builds the policy; other modules add theirs."""


def parse_policy(text: str) -> Policy:
    """The policy that a text such as ``Iid(4, 2)``, ``delayed(4,1,2)`` or ``static(2x2)`` names.

    The forms are the keys of ``POLICIES``, in any case; an argument is an integer, or several joined by x,
    which become a tuple.  Raises ``ValueError`` that lists the forms.
    """
    match = re.fullmatch(r"\s*([A-Za-z]+)\s*\((\s*-?\d[-\dx,\s]*)\)\s*", text)
    arguments = [argument.strip() for argument in match[2].split(",")] if match else []
    if match and all(re.fullmatch(r"-?\d+|\d+(x\d+)+", argument) for argument in arguments):
        for form, build in POLICIES.items():
            if form.split("(")[0].lower() == match[1].lower() and form.count(",") + 1 == len(arguments):
                return build(*map(_number_or_widths, arguments))
    forms = {form.split("(")[0]: form for form in POLICIES}
    near = nearest(text.split("(")[0].strip(), forms)
    meant = f"; did you mean {forms[near]}?" if near else ""
    raise ValueError(f"policy {text!r} is none of {', '.join(POLICIES)} with integers{meant}")


def _number_or_widths(text: str) -> int | tuple[int, ...]:
    return tuple(map(int, text.split("x"))) if "x" in text else int(text)
