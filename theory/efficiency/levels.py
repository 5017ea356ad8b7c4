"""RRSw and greedy draft sampling exactly, over trees in which all nodes of a level draft alike.

Such a walk from the root forgets its lists: what follows depends on the class of the node that it comes to alone.  So
the probability that each token is the accepted one, over all lists, moves the walk one depth on.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..pairs.base import Pair
from ..pairs.layered import layer_below, require_layers
from ..policies.arguments import get_policy
from ..policies.base import Policy
from ..policies.static import Static
from ..policies.top_plus_one import TopPlusOne, top_tokens
from ..rows.distributions import Row, check_count
from ..rows.lists import without
from ..rows.trees import Context
from ..verifiers.table import Verifier, get_verifier


def reach_by_level(verifier: str | Verifier, policy: str | Policy, pair: Pair, context: Context = ()) -> Row:
    """(L + 1,) the probability that tau is at least 0, 1, ..., L; their sum is E[tau + 1].

    verifier, policy : ``rrsw`` over a :class:`.Static` expansion drawn without replacement, or ``greedy`` over a
        :class:`.TopPlusOne`

    Exact for Fractions.  RRSw's work is V^k per class of contexts, k the width of the tree; greedy's is V.  Raises
    ``ValueError`` for a pair that is not layered, and for another verifier or policy.
    """
    widths, accepted = _kernel(get_verifier(verifier), get_policy(policy))
    require_layers(pair)
    flow = pair.target_row(context)[:1] * 0 + 1  # [C] the probability of coming to each class
    reach = [flow[0]]
    for depth, width in enumerate(widths):
        layer = layer_below(pair, context, depth)
        moved = layer.target[0] * 0
        for kind in np.flatnonzero(flow):
            moved = moved + flow[kind] * accepted(layer.target[kind], layer.draft[kind], width)
        reach.append(moved.sum())
        flow = moved if layer_below(pair, context, depth + 1).classes > 1 else moved.sum(keepdims=True)
    return np.array(reach)


def _kernel(verifier: Verifier, policy: Policy) -> tuple[tuple[int, ...], Callable[[Row, Row, int], Row]]:
    """How many children nodes have by level, and the law of the accepted token."""
    verifier.require(policy)
    if verifier.name == "greedy" and isinstance(policy, TopPlusOne):
        return (policy.m,) * policy.depth, accepted_of_top
    if verifier.name == "rrsw" and isinstance(policy, Static) and policy.topology.expansion and not policy.replacement:
        return policy.topology.expansion, accepted_of_distinct
    raise ValueError(
        f"verifier {verifier.name!r} with {policy!r}: only 'rrsw' over an expansion drawn without replacement and "
        "'greedy' over TopPlusOne are known level by level"
    )


def accepted_of_distinct(target: Row, draft: Row, count: int) -> Row:
    """(V,) the probability that RRSw accepts each token, over all lists of ``count`` >= 1 draws without replacement."""
    check_count("count", count, 1)
    come, left, rest = target[:1] * 0 + 1, target[None], draft[None]
    accepted = target * 0
    for stage in range(1, count + 1):
        taken = np.minimum(left, rest)
        accepted = accepted + come @ taken
        if stage < count:
            come, left, rest = _refused(come, left, rest, taken)
    return accepted


def _refused(come: Row, left: Row, rest: Row, taken: Row) -> tuple[Row, Row, Row]:
    """Behind each draw that can be refused: its probability, and what is left of the target's row and the draft's."""
    before, tokens = np.nonzero(rest > taken)
    residual, others = (left - taken)[before], rest[before]
    others[np.arange(len(tokens)), tokens] *= 0
    totals, masses = residual.sum(axis=1, keepdims=True), others.sum(axis=1, keepdims=True)
    going = ((totals > 0) & (masses > 0))[:, 0]  # a list ends where no further token can be drawn
    here = (come[before] * (rest - taken)[before, tokens])[going]
    return here, residual[going] / totals[going], others[going] / masses[going]


def accepted_of_top(target: Row, draft: Row, count: int) -> Row:
    """(V,) the probability that greedy draft sampling accepts each token, over all draws behind the top ``count`` - 1.

    What the drawn token leaves of the target's mass goes to the top tokens, which are so accepted as often as the
    target emits them.
    """
    top = top_tokens(draft, check_count("count", count, 1) - 1)
    rest = without(draft, top)
    mass = rest.sum()
    accepted: Row = np.minimum(target, rest / mass) if mass else target * 0
    accepted[top] = target[top]
    return accepted
