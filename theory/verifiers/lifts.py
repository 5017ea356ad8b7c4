"""Lifts: from a one-step solver to a rule for whole trees.

At a node the solver gives probabilities S_1, S_2, ... of its distinct children (in list order), ``off`` of a
token off the list, and ``none``.  With ``h_j = S_j / (S_j + S_{j+1} + ... + off + none)`` a lift is the choice
of what h_j means:

- top-down: child j is *entered* with probability h_j, and its subtree then surely emits;
- bottom-up: child j is always entered, and h_j becomes the *weight* with which its subtree is accepted.

Children are asked in order; when all have passed, the node itself emits with probability
``off / (off + none)``, or is rejected like a subtree of its parent.  The root is asked with weight 1, has
``none`` = 0, and so is never rejected.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..display import ByDepth, Sheet
from ..rows.distributions import Row, Scalar, check_rows
from ..rows.trees import MOST_LEAVES, DraftTree
from ..solvers.sequential import Branching, Solver

Mark = Any
"""What a node is told by its parent's decision (hashable); under a lift its weight, a float or Fraction."""


@dataclass(frozen=True)
class Lift:
    """A lift; ``asks_subtrees`` tells bottom-up (True) from top-down."""

    name: str
    asks_subtrees: bool

    def __call__(self, solver: Solver) -> TreeRule:
        """The rule for whole trees that the lift makes of a solver."""
        return TreeRule(solver, self)

    def __repr__(self) -> str:
        return self.name


top_down = Lift("top_down", asks_subtrees=False)
"""Walk from the root: the token that the solver emits is the child to go to, or the end."""

bottom_up = Lift("bottom_up", asks_subtrees=True)
"""Decide subtrees before their parent, each with the weight that the parent's solver gives it."""


@dataclass(frozen=True, eq=False)
class Ask:
    """What happens when the walk comes to one child.

    It is entered with probability ``enter`` and passed by with ``skip`` (their sum is 1); inside, its
    subtree is decided with the ``mark`` given.
    """

    enter: Scalar
    skip: Scalar
    mark: Mark


@dataclass(frozen=True, eq=False)
class Decision:
    """All that is decided at one node, given its child list: one ``Ask`` per distinct child, then the end.

    ``stop`` is the probability of emitting at the node, and ``reject`` of leaving it rejected, once every
    child has passed; both are 0 if that cannot happen.  ``branching`` holds the law of the emitted token.
    """

    asks: tuple[Ask, ...]
    stop: Scalar
    reject: Scalar
    branching: Branching


class Rule(ABC):
    """A rule for whole trees, as decisions made node by node.

    A *mark* (hashable) is what a node is told by its parent's decision: under a lift, the weight.
    """

    @abstractmethod
    def start(self, one: Scalar) -> Mark:
        """The mark of the root; ``one`` is 1 in the arithmetic of the rows."""

    @abstractmethod
    def leaf(self, mark: Mark) -> Scalar:
        """The probability that a leaf with this mark is accepted, once come to; 0 rejects any subtree unseen."""

    @abstractmethod
    def decide(self, target: Row, draft: Row, tokens: Sequence[int], mark: Mark) -> Decision:
        """The decision at an inner node: its rows (V,), its child list as tokens, its mark."""

    def law(self, tree: DraftTree, rows: bool = False) -> TreeLaw:
        """The law given the tree; ``rows`` computes the next-token rows at once and not when first asked for."""
        walk = _Walk(self, tree, rows)
        walk.run()
        return TreeLaw(tree, walk.stopping, self, walk.rows)


@dataclass(frozen=True)
class TreeRule(Rule):
    """A solver under a lift; the mark is the weight."""

    solver: Solver
    lift: Lift

    def start(self, one: Scalar) -> Mark:
        """Weight 1."""
        return one

    def leaf(self, mark: Mark) -> Scalar:
        """The weight."""
        return mark

    def decide(self, target: Row, draft: Row, tokens: Sequence[int], mark: Mark) -> Decision:
        """The solver's branching law at this weight, read as the lift reads it."""
        branching = self.solver(target, draft, tokens, mark)
        left = branching.off + branching.none
        stop, reject = (branching.off / left, branching.none / left) if left else (left, left)
        asks = []
        for probability in reversed(branching.listed):
            before = left + probability
            share, rest = (probability / before, left / before) if before else (before, before + 1)
            asks.append(Ask(before * 0 + 1, before * 0, share) if self.lift.asks_subtrees else Ask(share, rest, 1))
            left = before
        return Decision(tuple(reversed(asks)), stop, reject, branching)


@dataclass
class _Open:
    """A node whose children are being visited: the asks to come, and the probability of coming to the next one."""

    node: int
    decision: Decision
    asks: Iterator[tuple[int, Ask]]
    reach: Scalar
    passed_by: Scalar


class _Walk:
    """One depth-first walk over a tree that collects the stopping probabilities and, if asked, the rows."""

    def __init__(self, rule: Rule, tree: DraftTree, rows: bool) -> None:
        self.rule, self.tree = rule, tree
        self.open: list[_Open] = []
        self.one: Scalar = tree.target[0, 0] * 0 + 1
        self.stopping = np.full(tree.size, self.one * 0, dtype=tree.target.dtype)
        self.rows = np.zeros_like(tree.target) if rows else None

    def run(self) -> None:
        """Visit every node that can be come to; the nodes whose children are being visited stand on a stack."""
        rejected = self._enter(0, self.rule.start(self.one), self.one)
        while self.open:
            here = self.open[-1]
            if rejected is not None:  # a child's subtree is behind the walk
                here.reach = here.passed_by + rejected
            child, ask = next(here.asks, (0, None))
            if ask is not None:
                here.passed_by = here.reach * ask.skip
                rejected = self._enter(child, ask.mark, here.reach * ask.enter)
                continue
            decision = self.open.pop().decision
            stop, reject = here.reach * decision.stop, here.reach * decision.reject
            rejected = self._stop(here.node, stop, reject, decision.branching)

    def _enter(self, node: int, mark: Mark, reach: Scalar) -> Scalar | None:
        """Come to a node: put it on the stack, or return the probability that it is rejected at once."""
        tree, weight = self.tree, self.rule.leaf(mark)
        if reach == 0 or weight == 0:
            return reach
        if not tree.child_lists[node]:
            return self._stop(node, reach * weight, reach * (1 - weight), None)
        tokens = tree.tokens[list(tree.child_lists[node])].tolist()
        decision = self.rule.decide(tree.target[node], tree.draft[node], tokens, mark)
        asks = zip(tree.children[node], decision.asks, strict=True)
        self.open.append(_Open(node, decision, asks, reach, reach * 0))
        return None

    def _stop(self, node: int, stop: Scalar, reject: Scalar, branching: Branching | None) -> Scalar:
        self.stopping[node] = stop
        if self.rows is not None and stop:
            self._write_row(node, branching)
        return reject

    def _write_row(self, node: int, branching: Branching | None) -> None:
        assert self.rows is not None
        if branching is None:
            self.rows[node] = self.tree.target[node]
        else:
            np.divide(branching.residual, branching.residual_sum, out=self.rows[node])


@dataclass(frozen=True, eq=False)
class TreeLaw(ByDepth):
    """The law of a verifier given a tree of N nodes: where it stops, and what it emits there.

    ``stopping`` (N,) is the probability that each node is the accepted one; it sums to 1 (exactly for
    Fractions).  Everything else is read from it and from :attr:`next_token`.
    """

    tree: DraftTree
    stopping: Row
    rule: Rule
    rows: Row | None = None

    @property
    def next_token(self) -> Row:
        """(N, V) the law of the token emitted after each accepted node; zeros where stopping is 0."""
        if self.rows is None:
            object.__setattr__(self, "rows", self.rule.law(self.tree, rows=True).rows)
        assert self.rows is not None
        return self.rows

    @property
    def acceptance_length(self) -> Scalar:
        """E[tau | tree], the mean number of accepted tokens, in [0, L]."""
        return (self.stopping * self.tree.depths).sum()

    @property
    def block_efficiency(self) -> Scalar:
        """E[tau + 1 | tree], the mean number of emitted tokens."""
        return self.acceptance_length + self.stopping.sum()

    @property
    def variance(self) -> Scalar:
        """Var[tau | tree], from the verifier's coins alone."""
        return (self.stopping * (self.tree.depths - self.acceptance_length) ** 2).sum()

    @property
    def by_depth(self) -> Row:
        """(L + 1,) the probability that tau is 0, 1, ..., L, the depth of the deepest node."""
        depths = self.tree.depths
        return np.array([self.stopping[depths == depth].sum() for depth in range(depths.max() + 1)])

    def svg(self, words: Sequence[str] | None = None) -> str:
        """The tree with the probability of stopping at each node, as SVG text; ``words`` (V,) name the tokens."""
        from ..rows.pictures import tree_svg

        shares = {node: float(share) for node, share in enumerate(self.stopping)}
        label = f"The probability of stopping at each node; {float(self.block_efficiency):.3f} tokens on average"
        return tree_svg(self.tree, words, {node: f"{share:.2f}" for node, share in shares.items()}, shares, label)

    def sheet(self) -> Sheet:
        """The tree with where the verifier stops, drawn unless it is broad, and the law of the accepted length."""
        picture = self.svg() if self.tree.leaves <= MOST_LEAVES else ""
        facts = (("E[τ + 1]", self.block_efficiency), ("Var[τ]", self.variance))
        note = "Beside each node: the probability that it is the last one accepted." if picture else ""
        return Sheet("Where the verifier stops, given the tree", facts, None, picture, self._columns(), note)

    def check(self) -> None:
        """Raise ``ValueError`` unless the law is one: stopping sums to 1, and the rows where it can stop do."""
        check_rows("stopping", self.stopping)
        check_rows("next_token", self.next_token[np.flatnonzero(self.stopping)])
