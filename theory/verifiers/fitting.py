"""Which policy a verifier runs with, where the one that was asked for is not for it."""

from __future__ import annotations

from ..policies.base import Policy
from ..policies.paths import Chain
from ..policies.static import Static
from ..policies.top_plus_one import HubPairs, TopPlusOne
from ..policies.topologies import Topology
from .table import Verifier, get_verifier


def fitting_policy(verifier: str | Verifier, policy: Policy) -> Policy:
    """The policy itself where the verifier is lossless for it, else the first of the same depth that it takes.

    In this order: a chain, two tokens at a node of which the last is drawn, hub pairs, two draws at a node without
    replacement.  Raises ``ValueError`` for an unknown verifier, or one that takes none of them.
    """
    entry = get_verifier(verifier)
    found = next((one for one in (policy, *_instead(policy.depth)) if entry.supports(one)), policy)
    entry.require(found)
    return found


def _instead(depth: int) -> tuple[Policy, ...]:
    shape = Static(Topology.k_ary(2, depth), replacement=False)
    return Chain(depth), TopPlusOne(2, depth), HubPairs(depth), shape
