"""Acceptance by the rank of a drafted token, which Sequoia's shapes are made from."""

from __future__ import annotations

import numpy as np

from ..pairs.base import Pair
from ..policies.static import Static
from ..policies.topologies import Topology
from ..rows.distributions import Row, check_count
from ..rows.trees import Context
from ..verifiers.table import Verifier, get_verifier


def acceptance_by_rank(verifier: str | Verifier, pair: Pair, width: int, context: Context = ()) -> Row:
    """(width,) the probability that exactly the first, second, ... of ``width`` siblings is the accepted one.

    Siblings are drawn without replacement at the context; the law is exact (in Fractions for an exact pair),
    over every list, of which there are up to V (V - 1) ... (V - width + 1).  Sequoia (2402.12374) measures the
    same vector on text; average over contexts for its mean.  Raises ``ValueError`` for a verifier that is not
    lossless for draws without replacement.
    """
    entry = get_verifier(verifier)
    policy = Static(Topology.k_ary(check_count("width", width, 1), 1), replacement=False)
    entry.require(policy)
    rates = np.full(width, pair.draft_row(context)[0] * 0)
    for probability, tree in policy.enumerate(pair, context):
        rates[: tree.size - 1] += entry.law(tree).stopping[1:] * probability
    return rates
