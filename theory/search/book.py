"""Trees and laws of a source, each computed once, and of trees that differ in depth alone only the deepest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..policies.base import Policy
from ..policies.paths import Delayed
from ..policies.static import Static
from ..policies.top_plus_one import HubPairs, TopPlusOne
from ..rows.distributions import Row
from ..rows.trees import DraftTree
from ..speed.schedules import Schedule
from ..verifiers.table import VERIFIERS, get_verifier
from .answers import Expected
from .sources import LackError, TreeSource


class Book:
    """What a search computed of a source.

    How often a verifier accepts as far as some depth depends on nothing that is drafted below it: top-down because it
    comes there first, bottom-up because a subtree is accepted, in the mean over what is drafted in it, with the weight
    that its parent gave it.  So the law of a deep tree tells, top-down given the tree and else in the mean, those of
    all trees that are cut off above, and one tree serves all lengths.  That is so for every rule of the table; a rule
    of one's own may look ahead, and is asked about each policy's trees.
    """

    def __init__(self, source: TreeSource, seed: int) -> None:
        self.source, self.seed = source, seed
        self._families: dict[Any, list[Policy]] = defaultdict(list)
        self._trees: dict[tuple[Policy, bool], list[DraftTree]] = {}
        self._reach: dict[tuple[str, Policy, bool], list[Row]] = {}
        self._lacking: dict[Policy, LackError] = {}

    def of(self, policies: Iterable[Policy]) -> Book:
        """The book, which knows from now on that these policies will be asked for."""
        for policy in policies:
            family = self._families[family_of(policy)]
            if policy not in family:
                family.append(policy)
                family.sort(key=lambda one: -one.depth)
        return self

    def expected(self, verifier: str, policy: Policy, count: int, final: bool = False) -> Expected:
        """What the verifier accepts of so many trees; those of the final are drawn from another seed.

        Raises ``LackError`` if the source has no tree of the policy.
        """
        reach = self.reach(verifier, policy, count, final)
        schedules = tuple(Schedule.of_drawn(policy, tree) for tree in self._drawn(verifier, policy, count, final)[1])
        return Expected(verifier, policy, tuple(reach.sum(axis=1).tolist()), schedules,
                        tuple(reach.mean(axis=0).tolist()))  # fmt: skip

    def reach(self, verifier: str, policy: Policy, count: int, final: bool = False) -> Row:
        """(trees, L + 1) the probability that tau is at least 0, 1, ..., given each of so many trees."""
        drawn, trees = self._drawn(verifier, policy, count, final)
        known = self._reach.setdefault((verifier, drawn, final), [])
        known += [_reach(verifier, drawn, tree) for tree in trees[len(known) :]]
        return np.array(known[: len(trees)])[:, : policy.depth + 1]

    def _drawn(self, verifier: str, policy: Policy, count: int, final: bool) -> tuple[Policy, list[DraftTree]]:
        """The policy whose trees tell of this one: the deepest of its family of which the source has some."""
        for deeper in self._deeper(policy) if verifier in VERIFIERS else [policy]:
            if deeper not in self._lacking:
                try:
                    return deeper, self._of_policy(deeper, count, final)
                except LackError as error:
                    self._lacking[deeper] = error
        raise self._lacking[policy]

    def _deeper(self, policy: Policy) -> Iterator[Policy]:
        """The policies of the family that are as deep or deeper, the deepest first."""
        yield from (one for one in self._families[family_of(policy)] if one.depth > policy.depth)
        yield policy

    def _of_policy(self, policy: Policy, count: int, final: bool) -> list[DraftTree]:
        held = self._trees.setdefault((policy, final), [])
        if len(held) < count:
            held += self.source.trees(policy, count - len(held), self.seed + final, len(held))
        if not held:
            raise LackError(f"{policy.name}: no tree of it is held")
        return held[:count]


def family_of(policy: Policy) -> Any:
    """What policies have in common whose trees are those of the deepest, cut off at a depth."""
    if isinstance(policy, Delayed):
        return (Delayed, 1, 0) if policy.K == 1 or not policy.L2 else (Delayed, policy.K, policy.L1)
    if isinstance(policy, TopPlusOne):
        return TopPlusOne, policy.m
    if isinstance(policy, HubPairs):
        return HubPairs
    if isinstance(policy, Static) and len(set(policy.topology.expansion or ())) == 1:
        return Static, policy.replacement, policy.topology.width
    return policy


def _reach(verifier: str, policy: Policy, tree: DraftTree) -> Row:
    """(L + 1,) the probability that tau is at least 0, 1, ..., given the tree."""
    law = get_verifier(verifier).law(tree)
    by_depth = np.zeros(policy.depth + 1)
    np.add.at(by_depth, tree.depths, law.stopping)
    return by_depth[::-1].cumsum()[::-1]
