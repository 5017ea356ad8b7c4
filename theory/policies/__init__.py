"""Tree policies: which trees are drafted, sampled or listed with their probabilities."""

from .arguments import POLICIES, get_policy, parse_policy
from .base import DraftLaw, Policy, RecursivePolicy, State
from .best_first import CaDDTree, DeterministicPolicy, OptTree, TopK
from .dyspec import DySpec
from .paths import Chain, Delayed, Iid, WithReplacement
from .sequoia import sequoia_topology, sequoia_value
from .static import Static
from .top_plus_one import HubPairs, TopPlusOne
from .topologies import EAGLE_TOPOLOGY, Topology

__all__ = [
    "EAGLE_TOPOLOGY",
    "POLICIES",
    "CaDDTree",
    "Chain",
    "Delayed",
    "DeterministicPolicy",
    "DraftLaw",
    "DySpec",
    "HubPairs",
    "Iid",
    "OptTree",
    "Policy",
    "RecursivePolicy",
    "State",
    "Static",
    "TopK",
    "TopPlusOne",
    "Topology",
    "WithReplacement",
    "get_policy",
    "parse_policy",
    "sequoia_topology",
    "sequoia_value",
]
