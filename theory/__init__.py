"""The exact mathematics of lossless speculative decoding on draft trees.

A draft model proposes a tree of tokens, the target scores all of it in one pass, and a verifier keeps a path
and emits one more token.  Here a verifier is its *law given the tree* (`Verifier.law`), made of a one-step
*solver* under a *lift*; from that law follow its block efficiency (`block_efficiency`), and the proof that
what is emitted has the target's distribution (`certify`).

NumPy and SciPy only; POT is imported when a transport plan is asked for.
"""

from .best_first import CaDDTree, OptTree, TopK
from .bounds import TreeOptimum, deterministic_tree_bound, price_bound, tree_optimum
from .canonical import canonical, canonical_of
from .carried import RoundsCertificate, certify_greedy_block
from .distributions import (
    NO_TOKEN,
    Row,
    apply_temperature,
    check_rows,
    draw,
    entropy,
    exact,
    is_exact,
    keep_top_k,
    keep_top_p,
    total_variation,
)
from .dynamic import DynamicBlockEfficiency
from .dyspec import DySpec
from .efficiency import BlockEfficiency, SampledBlockEfficiency, block_efficiency
from .emission import EmittedLaw, emitted_law
from .families import RandomPair, dirichlet_pair, diverging_pair, zipf_pair
from .hardware import DEVICES, NETWORKS, Device, Network, get_device, get_network
from .large_transport import OptimalIid, optimal_iid
from .latency import ByLength, Line, PassTable, PassTime, Roofline
from .layered import LayeredPair, iid_pair, markov_layers, widening_pair
from .lifts import Lift, Rule, TreeLaw, TreeRule, bottom_up, top_down
from .losslessness import Certificate, Difference, Losslessness, certify
from .optimal_acceptance import OptimalAcceptance, optimal_acceptance
from .path_rules import GreedyMultiPath, Hierarchical
from .policies import Chain, Delayed, DraftLaw, Iid, Policy, RecursivePolicy, parse_policy
from .recorded import RecordedPair, contexts_below
from .schedules import Schedule
from .by_rank import acceptance_by_rank
from .sequoia import sequoia_topology, sequoia_value
from .solvers import Branching, Solver, k_seq, naive, nss, rrs, rrs_without_replacement, smallest_rho
from .sources import MarkovPair, Pair, TablePair
from .static import Static
from .symmetrised import symmetrised
from .throughput import LatencyModel, StepTime, Term, Throughput, roofline_model, throughput, throughput_by_action
from .top_plus_one import HubPairs, TopPlusOne
from .top_solvers import greedy, hub
from .topologies import EAGLE_TOPOLOGY, Topology
from .transport import OptimalTransport, TransportPlan, optimal
from .trees import NO_PARENT, Context, DraftTree
from .verifiers import VERIFIERS, Verifier, get_verifier
from .weighted_bounds import BoundedBlockEfficiency

__all__ = [
    "DEVICES",
    "EAGLE_TOPOLOGY",
    "NETWORKS",
    "NO_PARENT",
    "NO_TOKEN",
    "VERIFIERS",
    "BlockEfficiency",
    "BoundedBlockEfficiency",
    "Branching",
    "ByLength",
    "CaDDTree",
    "Certificate",
    "Chain",
    "Context",
    "Delayed",
    "Device",
    "Difference",
    "DraftLaw",
    "DraftTree",
    "DySpec",
    "DynamicBlockEfficiency",
    "EmittedLaw",
    "GreedyMultiPath",
    "Hierarchical",
    "HubPairs",
    "Iid",
    "LatencyModel",
    "LayeredPair",
    "Lift",
    "Line",
    "Losslessness",
    "MarkovPair",
    "Network",
    "OptTree",
    "OptimalAcceptance",
    "OptimalIid",
    "OptimalTransport",
    "Pair",
    "PassTable",
    "PassTime",
    "Policy",
    "RandomPair",
    "RecordedPair",
    "RecursivePolicy",
    "Roofline",
    "RoundsCertificate",
    "Row",
    "Rule",
    "SampledBlockEfficiency",
    "Schedule",
    "Solver",
    "Static",
    "StepTime",
    "TablePair",
    "Term",
    "Throughput",
    "TopK",
    "TopPlusOne",
    "Topology",
    "TransportPlan",
    "TreeLaw",
    "TreeOptimum",
    "TreeRule",
    "Verifier",
    "acceptance_by_rank",
    "apply_temperature",
    "block_efficiency",
    "bottom_up",
    "canonical",
    "canonical_of",
    "certify",
    "certify_greedy_block",
    "check_rows",
    "contexts_below",
    "deterministic_tree_bound",
    "dirichlet_pair",
    "diverging_pair",
    "draw",
    "emitted_law",
    "entropy",
    "exact",
    "get_device",
    "get_network",
    "get_verifier",
    "greedy",
    "hub",
    "iid_pair",
    "is_exact",
    "k_seq",
    "keep_top_k",
    "keep_top_p",
    "markov_layers",
    "naive",
    "nss",
    "optimal",
    "optimal_acceptance",
    "optimal_iid",
    "parse_policy",
    "price_bound",
    "roofline_model",
    "rrs",
    "rrs_without_replacement",
    "sequoia_topology",
    "sequoia_value",
    "smallest_rho",
    "symmetrised",
    "throughput",
    "throughput_by_action",
    "top_down",
    "total_variation",
    "tree_optimum",
    "widening_pair",
    "zipf_pair",
]
