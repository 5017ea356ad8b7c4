"""Bounds: the most that any lossless verifier can make of a tree policy, and of one given tree.

What a lossless verifier can reach depends on the *set* of nodes of the tree alone.  Given two trees with the same
nodes, a verifier may treat them alike, with the average of its two laws: the emitted strings and the length come
out the same.  Neither the order of a child list nor a multiplicity ever has to be looked at.

Nor does the next token have to be tied to the tree.  Let w(x) be the probability that the accepted node is x or
lies below it.  The emitted string of a verifier is the block that ends with the next token y at node x with
probability F(xy); summing over what lies below, it is lossless if and only if F(xy) = target(y | x) w(x) - w(xy)
at every node.  So a function w belongs to a lossless verifier if and only if

1. w(root) = 1 and 0 <= w(xy) <= target(y | x) w(x), and
2. w(B) = sum_{x in B} w(x) <= Pr(the tree meets B) for every set B of nodes none of which lies above another.

Both are necessary.  They suffice: by 1 the mass to stop at x, w(x) - sum_y w(xy), is nonnegative, by 2 and Hall's
theorem trees can be matched to the nodes where to stop, and y is drawn there with probability proportional to
F(xy), whatever the tree.  E[tau] is the sum of w(x) below the root.  For one level this is the subset selection
of Hu et al. (2502.18779); the programme itself stands with them and SpecTr (2310.15141).

Any probabilities A(x) of accepting x or a node below it, lossless or not, give a w at once: w(xy) is the lesser of
A(xy) and target(y | x) w(x).  Any prices give a bound: see :func:`price_bound`.  So both sides of the optimum are
proven by evaluating a formula, whatever the solver that proposed them did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from ..display import Sheet, Shown
from ..pairs.base import Pair, check_pair
from ..policies.arguments import MOST_TREES, check_levels, get_policy, naming, too_many_trees
from ..policies.base import Policy
from ..rows.distributions import Scalar
from ..rows.trees import Context, DraftTree
from .block_program import Solution, clipped, solve_blocks
from .node_laws import ListedTrees, NodeLaw, PathTrees, is_path_policy, listed_trees, path_trees
from .path_cuts import antichain_excess, solve_paths

LARGEST_GAP = 1e-7
"""The largest distance between the two sides of an optimum; above it, the programme counts as not solved."""

MOST_STRINGS = 20_000
"""More strings than this are not searched for antichains."""

MOST_DIGITS = 6
"""A longer number of trees is said by its logarithm."""

ROUNDED = 10**9
"""For an exact pair, what the solver found is tried as it is, and as fractions of denominators up to this."""


@dataclass(frozen=True)
class TreeOptimum(Shown):
    """The greatest block efficiency E[tau + 1] of any lossless verifier with a policy on a pair, from both sides.

    Fields
    ------
    lower : a lossless verifier attains it, that of ``acceptance``; in [1, L + 1]
    upper : no lossless verifier exceeds it, by ``prices``
    acceptance : context below the root to w, the probability that a best verifier accepts it or a node below it
    prices : context below the root to its price, for :func:`price_bound`
    method : "blocks" (all node sets listed) or "antichains" (independent paths, nothing listed)
    trees, blocks : how many trees and node sets were listed; 0 for "antichains"
    variables, constraints : size of the (last) linear programme

    For a pair in Fractions ``lower`` and ``upper`` are Fractions and proofs; in float64 they are evaluated with
    rounding errors of the order of 1e-15, by which they may also cross.
    """

    lower: Scalar
    upper: Scalar
    acceptance: Mapping[Context, Scalar] = field(repr=False)
    prices: Mapping[Context, Scalar] = field(repr=False)
    method: str
    trees: int
    blocks: int
    variables: int
    constraints: int

    @property
    def value(self) -> Scalar:
        """E[tau + 1], the side that is attained: ``lower``."""
        return self.lower

    @property
    def acceptance_length(self) -> Scalar:
        """E[tau], the mean number of accepted tokens."""
        return self.lower - 1

    @property
    def gap(self) -> Scalar:
        """``upper - lower``: 0 for a pair in Fractions means that the optimum is proven to the last digit."""
        return self.upper - self.lower

    def sheet(self) -> Sheet:
        """Both sides of it."""
        facts = (("attained", self.lower), ("never exceeded", self.upper), ("gap", self.gap), ("method", self.method))
        return Sheet("The greatest block efficiency of any lossless verifier", facts)


def tree_optimum(
    policy: str | Policy,
    pair: Pair,
    context: Context = (),
    *,
    method: str | None = None,
    most_trees: float = MOST_TREES,
) -> TreeOptimum:
    """The greatest block efficiency E[tau + 1] over all lossless verifiers that see the tree and both models.

    Maximises 1 + sum_x w(x) over the polytope of this module's docstring, w (M,) indexed by the nodes that some
    tree has.  The optimum is over verifiers that may use anything of the pair; those of ``VERIFIERS`` use the
    rows of the tree's nodes alone.

    Parameters
    ----------
    context : the root
    method : "blocks" is a linear programme over every set of nodes that a tree can have, for any policy;
        "antichains" is for independent paths (``Chain``, ``Iid``, ``Delayed``) and lists nothing, so that its
        size is that of the strings, V^L; ``None`` takes "antichains" where it can
    most_trees : with "blocks", a policy of more trees is refused

    Raises ``ValueError`` for an unknown method, "antichains" with another policy, and too many trees or strings;
    ``RuntimeError`` if the two sides end further apart than 1e-7.  The lossless part is exact for Fractions, the
    search for it is float64.  The programme over all strings, its constraints telescoped; see the module.
    """
    policy, pair = get_policy(policy), check_pair(pair).on_own_sums()
    chosen = method or ("antichains" if is_path_policy(policy) else "blocks")
    with naming(policy, context):
        law = _node_law(policy, pair, context, chosen, most_trees)
    solution = _solved(law)
    lower, acceptance = _attained(law, solution.acceptance, pair.exact)
    upper, prices = _bounded(law, solution.prices, pair.exact)
    if upper - lower > LARGEST_GAP:
        raise RuntimeError(f"{policy!r}: optimum not found, it lies between {float(lower)} and {float(upper)}")
    trees, blocks = (law.trees, len(law.blocks)) if isinstance(law, ListedTrees) else (0, 0)
    accepted, priced = (dict(zip(law.trie.contexts, values, strict=True)) for values in (acceptance, prices))
    return TreeOptimum(lower, upper, accepted, priced, chosen, trees, blocks, solution.variables, solution.constraints)


def price_bound(
    policy: str | Policy,
    pair: Pair,
    prices: Mapping[Context, Scalar],
    context: Context = (),
    *,
    method: str | None = None,
) -> Scalar:
    """An upper bound on the block efficiency of every lossless verifier, from any prices of nodes.

    With price(root) = 0, and 0 for a node not in ``prices``, it is::

        1 + E[greatest price among the tree's nodes] + sum_y target(y) g(y)
        g(x) = max(0, 1 + price(parent of x) - price(x) + sum_y target(y | x) g(xy))

    It holds for any numbers (weak duality: sum_x w(x) is the prices of where the verifier stops, which cost at
    most the first mean, and what w gains beyond them, at most the second), and prices exist at which it is the
    optimum.  Exact for prices and a pair in Fractions.  ``method`` and errors as :func:`tree_optimum`.
    """
    policy, pair = get_policy(policy), check_pair(pair).on_own_sums()
    chosen = method or ("antichains" if is_path_policy(policy) else "blocks")
    law = _node_law(policy, pair, context, chosen, MOST_TREES)
    zero = law.trie.steps[0] * 0
    return _price_bound(law, [prices.get(node, zero) if node else zero for node in law.trie.contexts])


def deterministic_tree_bound(tree: DraftTree) -> Scalar:
    """The greatest block efficiency E[tau + 1] of a lossless verifier when the tree is always this one.

    1 + the sum, over nodes below the root, of the target's probability of the path to the node: w(x) can be no
    more, and naive speculative sampling attains it.  In [1, L + 1]; exact for Fractions; the draft is not read.
    It bounds a verifier that is lossless *given the tree*; one that is lossless on average over a policy's trees
    may do better on some.  Stated with DDTree (2604.12989).
    """
    reach = [tree.target[0, 0] * 0 + 1]
    for node in range(1, tree.size):
        reach.append(reach[tree.parents[node]] * tree.target[tree.parents[node], tree.tokens[node]])
    return sum(reach)


def _node_law(policy: Policy, pair: Pair, context: Context, method: str, most_trees: float) -> NodeLaw:
    size = pair.vocabulary_size
    check_levels(policy)
    if method == "antichains":
        if not is_path_policy(policy):
            raise ValueError(f'method "antichains" needs Chain, Iid or Delayed, but the policy is {policy!r}')
        if size**policy.depth > MOST_STRINGS:
            raise ValueError(f"{policy!r} on {size} tokens has {size**policy.depth} strings, more than {MOST_STRINGS}")
        return path_trees(policy, pair, context)  # type: ignore[arg-type]
    if method != "blocks":
        raise ValueError(f'method must be "blocks" or "antichains", but is {method!r}')
    digits = too_many_trees(policy, size, most_trees)
    if digits is not None:
        count = f"10^{digits:.1f}" if digits > MOST_DIGITS else policy.tree_count(size)
        raise ValueError(f"{policy!r} on {size} tokens has {count} trees, more than most_trees = {most_trees}")
    return listed_trees(policy, pair, context)


def _solved(law: NodeLaw) -> Solution:
    if law.trie.size == 1:
        return Solution([1.0], [0.0], 0, 0)
    if isinstance(law, PathTrees):
        return solve_paths(law)
    assert isinstance(law, ListedTrees)
    return solve_blocks(law)


Side = tuple[Scalar, list[Scalar]]
"""A value and the M numbers that prove it."""


def _attained(law: NodeLaw, proposed: Sequence[Scalar], exact: bool) -> Side:
    """The greatest value that is proven to be attained, with its w."""
    if not isinstance(law, PathTrees):
        weights = clipped(law.trie, proposed)
        return sum(weights), weights
    return max((_attained_by_paths(law, numbers) for numbers in _candidates(proposed, exact)), key=_value)


def _attained_by_paths(law: PathTrees, proposed: Sequence[Scalar]) -> Side:
    """The value of w, less the most that it can lose where it exceeds what trees meet.

    Stops of a total mass equal to the excess are to be given up (the rank formula of a polymatroid); each depth
    then loses that mass and at most what the depth above has lost.
    """
    trunk = [weight if below else min(weight, mass) for weight, mass, below in _by_trunk(law, proposed)]
    weights = clipped(law.trie, trunk)
    return sum(weights) - antichain_excess(law, weights) * (law.trie.depth * (law.trie.depth + 1) // 2), weights


def _by_trunk(law: PathTrees, weights: Sequence[Scalar]) -> list[tuple[Scalar, Scalar, bool]]:
    """For each node its weight, its mass, and whether it lies below the trunk."""
    below = [len(context) > law.trunk for context in law.trie.contexts]
    return list(zip(weights, law.masses, below, strict=True))


def _bounded(law: NodeLaw, proposed: Sequence[Scalar], exact: bool) -> Side:
    """The least bound, with its prices."""
    return min(((_price_bound(law, prices), prices) for prices in _candidates(proposed, exact)), key=_value)


def _value(side: Side) -> Scalar:
    return side[0]


def _price_bound(law: NodeLaw, prices: Sequence[Scalar]) -> Scalar:
    """The bound of M prices, that of the root being 0."""
    trie = law.trie
    gains = [trie.steps[0] * 0] * trie.size  # first the sum over children, then g
    for node in range(trie.size - 1, 0, -1):
        parent = trie.parents[node]
        gain = max(1 + prices[parent] - prices[node] + gains[node], gains[node] * 0)
        gains[parent] += trie.steps[node] * gain
    return 1 + law.expected_maximum(prices) + gains[0]


def _candidates(proposed: Sequence[Scalar], exact: bool) -> list[list[Scalar]]:
    """The numbers proposed; for an exact pair as Fractions, and as simpler Fractions nearby."""
    if not exact:
        return [list(proposed)]
    numbers = [Fraction(number) for number in proposed]
    return [numbers, [number.limit_denominator(ROUNDED) for number in numbers]]
