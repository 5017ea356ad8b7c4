"""Which nodes a draft tree has: all that a policy tells a bound, with child order and multiplicity merged away."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from ..pairs.base import Pair
from ..policies.base import DraftLaw, Policy, RecursivePolicy, State
from ..policies.paths import Delayed
from ..rows.distributions import Scalar
from ..rows.trees import Context

NodeSet = frozenset[Context]
"""The nodes of one draft tree, as contexts below the root; with a node stand all its prefixes."""


@dataclass(frozen=True, eq=False)
class Trie:
    """The M nodes that some tree has and the target can emit, breadth first, the root being node 0.

    Fields
    ------
    contexts : M contexts below the root
    parents : M nodes, -1 at the root
    steps : M numbers, the target's probability of the node's token after its parent; 1 at the root
    children : M tuples of nodes
    """

    contexts: tuple[Context, ...]
    parents: tuple[int, ...]
    steps: tuple[Scalar, ...]
    children: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, contexts: Iterable[Context], pair: Pair, root: Context) -> Trie:
        """The trie of contexts that hold all their prefixes; those of target probability 0 are left out."""
        places: dict[Context, int] = {}
        parents: list[int] = []
        steps: list[Scalar] = []
        children: list[list[int]] = []
        for node in sorted(contexts, key=lambda item: (len(item), item)):
            step = pair.target_row(root + node[:-1])[node[-1]] if node else pair.target_row(root)[0] * 0 + 1
            if node and (node[:-1] not in places or not step):
                continue
            parents.append(places[node[:-1]] if node else -1)
            places[node] = len(steps)
            steps.append(step)
            children.append([])
            if node:
                children[parents[-1]].append(places[node])
        return cls(tuple(places), tuple(parents), tuple(steps), tuple(map(tuple, children)))

    @property
    def size(self) -> int:
        """M."""
        return len(self.contexts)

    @property
    def depth(self) -> int:
        """L, the depth of the deepest node."""
        return len(self.contexts[-1])


class NodeLaw(ABC):
    """The law of the set of nodes of a policy's tree, over the nodes of a trie."""

    trie: Trie

    @abstractmethod
    def expected_maximum(self, prices: Sequence[Scalar]) -> Scalar:
        """The mean, over trees, of the greatest of M prices among the tree's nodes; the root's price is 0."""


@dataclass(frozen=True, eq=False)
class ListedTrees(NodeLaw):
    """The law given by a list: ``blocks`` holds (probability, nodes without the root), ``trees`` counts the
    trees that were merged into them.
    """

    trie: Trie
    blocks: tuple[tuple[Scalar, tuple[int, ...]], ...]
    trees: int

    def expected_maximum(self, prices: Sequence[Scalar]) -> Scalar:
        """The mean of the greatest price, block by block; exact for Fractions."""
        return sum(chance * max(prices[node] for node in (0, *nodes)) for chance, nodes in self.blocks)


@dataclass(frozen=True, eq=False)
class PathTrees(NodeLaw):
    """The law of a trunk of ``trunk`` draws and ``paths`` independent paths below its end.

    ``masses`` holds, for each of the M nodes, the probability that one path runs through it.
    """

    trie: Trie
    masses: tuple[Scalar, ...]
    paths: int
    trunk: int

    @property
    def ends(self) -> tuple[int, ...]:
        """The nodes at which the trunk ends."""
        return tuple(node for node, context in enumerate(self.trie.contexts) if len(context) == self.trunk)

    def meeting(self, end: int, mass: Scalar) -> Scalar:
        """Probability that the tree meets some nodes below a trunk's end that one path meets with this mass."""
        share = mass / self.masses[end]
        missed = max(1 - share, share * 0) ** self.paths
        return self.masses[end] * (1 - missed)

    def expected_maximum(self, prices: Sequence[Scalar]) -> Scalar:
        """The mean of the greatest price, from the law of the greatest along one path; exact for Fractions."""
        atoms = self._path_maxima(prices)
        total = sum(value * mass for value, mass in atoms.pop(-1, []))
        for end, found in atoms.items():
            met = found[0][1] * 0
            for value, mass in sorted(found, reverse=True):
                before, met = self.meeting(end, met), met + mass
                total += value * (self.meeting(end, met) - before)
        return total

    def _path_maxima(self, prices: Sequence[Scalar]) -> dict[int, list[tuple[Scalar, Scalar]]]:
        """For each trunk end the (greatest price, mass) of one path through it; under -1 for trunks cut short."""
        atoms = defaultdict(list)
        greatest, ends = list(prices), list(range(self.trie.size))
        for node, context in enumerate(self.trie.contexts):
            parent = self.trie.parents[node]
            if node:
                greatest[node] = max(prices[node], greatest[parent])
            ends[node] = -1 if len(context) < self.trunk else node if len(context) == self.trunk else ends[parent]
            leaving = self.masses[node] - sum(self.masses[child] for child in self.trie.children[node])
            if leaving > 0:
                atoms[ends[node]].append((greatest[node], leaving))
        return atoms


def path_trees(policy: Delayed, pair: Pair, context: Context = ()) -> PathTrees:
    """The law of the node set for independent paths, without listing trees: at most V^L nodes at the last level."""
    masses: dict[Context, Scalar] = {(): pair.target_row(context)[0] * 0 + 1}
    level: list[Context] = [()]
    for _ in range(policy.depth):
        found: dict[Context, Scalar] = {}
        for node in level:
            rows = zip(pair.target_row(context + node), pair.draft_row(context + node), strict=True)
            found |= {(*node, token): masses[node] * q for token, (p, q) in enumerate(rows) if p and q}
        masses |= {node: mass for node, mass in found.items() if mass}  # in float64 a product may underflow
        level = [node for node in found if node in masses]
    trie = Trie.of(masses, pair, context)
    return PathTrees(trie, tuple(masses[node] for node in trie.contexts), policy.K, policy.L1)


def is_path_policy(policy: Policy) -> bool:
    """True if :func:`path_trees` applies: a trunk, then independent paths of one length."""
    return isinstance(policy, Delayed) and DraftLaw.PATHS in policy.draft_laws


def listed_trees(policy: Policy, pair: Pair, context: Context = ()) -> ListedTrees:
    """The law of the node set for any policy, equal node sets merged; exact for Fractions."""
    law = _recursive_law(policy, pair, context) if isinstance(policy, RecursivePolicy) else _law(policy, pair, context)
    trie = Trie.of(set().union(*law), pair, context)
    places = {node: index for index, node in enumerate(trie.contexts)}
    blocks: dict[tuple[int, ...], Any] = defaultdict(int)
    for nodes, (chance, _) in law.items():
        blocks[tuple(sorted(places[node] for node in nodes if node and node in places))] += chance
    count = sum(trees for _, trees in law.values())
    return ListedTrees(trie, tuple((chance, nodes) for nodes, chance in blocks.items()), count)


Counted = dict[NodeSet, tuple[Scalar, int]]
"""Node set to its probability and the number of trees that have it."""


def _law(policy: Policy, pair: Pair, context: Context) -> Counted:
    """Tree by tree."""
    law: Counted = {}
    for chance, tree in policy.enumerate(pair, context):
        _add(law, frozenset(map(tree.context, range(tree.size))), chance, 1)
    return law


def _add(law: Counted, nodes: NodeSet, chance: Scalar, count: int) -> None:
    before, trees = law.get(nodes, (0, 0))
    law[nodes] = (before + chance, trees + count)


def _recursive_law(policy: RecursivePolicy, pair: Pair, context: Context) -> Counted:
    """Subtree by subtree: lists that give the same children the same states are merged before they unfold."""
    known: dict[tuple[Context, State], Counted] = {}

    def below(node: Context, state: State) -> Counted:
        if policy.is_leaf(state):
            return {frozenset({node}): (1, 1)}
        if (node, state) not in known:
            known[node, state] = unfold(node, state)
        return known[node, state]

    def unfold(node: Context, state: State) -> Counted:
        lists: dict[Any, tuple[Scalar, int]] = {}
        for chance, tokens in policy.list_law(state, pair.draft_row(context + node)):
            children = frozenset(zip(dict.fromkeys(tokens), policy.child_states(state, tokens), strict=True))
            before, count = lists.get(children, (0, 0))
            lists[children] = (before + chance, count + 1)
        law: Counted = {}
        for children, (chance, count) in lists.items():
            for choice in product(*(below((*node, token), child).items() for token, child in children)):
                _join(law, node, choice, chance, count)
        return law

    return below((), policy.root_state)


def _join(law: Counted, node: Context, choice: Sequence[tuple[NodeSet, Any]], chance: Scalar, count: int) -> None:
    """Add the tree of a node and the chosen subtrees of its children."""
    nodes = frozenset({node}).union(*(deeper for deeper, _ in choice))
    for _, (weight, trees) in choice:
        chance, count = chance * weight, count * trees
    _add(law, nodes, chance, count)
