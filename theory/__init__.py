"""The exact mathematics of lossless speculative decoding on draft trees.

A draft model proposes a tree of tokens, the target scores all of it in one pass, and a verifier keeps a path
and emits one more token.  Here a verifier is its *law given the tree* (`Verifier.law`), made of a one-step
*solver* under a *lift*; from that law follow its block efficiency (`block_efficiency`), and the proof that
what is emitted has the target's distribution (`certify`).

NumPy and SciPy only; POT is imported when a transport plan is asked for.
"""

from .bounds import TreeOptimum, optimal_acceptance, tree_optimum
from .efficiency import BlockEfficiency, block_efficiency
from .pairs import (
    LayeredPair,
    MarkovPair,
    Pair,
    RecordedPair,
    TablePair,
    dirichlet_pair,
    diverging_pair,
    iid_pair,
    zipf_pair,
)
from .policies import (
    CaDDTree,
    Chain,
    Delayed,
    DraftLaw,
    DySpec,
    HubPairs,
    Iid,
    OptTree,
    Policy,
    Static,
    TopK,
    Topology,
    TopPlusOne,
    parse_policy,
)
from .rows import Context, DraftTree, Row, exact, total_variation
from .search import AcceptanceRates, best_tree
from .speed import (
    LatencyModel,
    Schedule,
    Throughput,
    get_device,
    get_network,
    roofline_model,
    throughput,
)
from .verifiers import VERIFIERS, Certificate, Rule, TreeLaw, Verifier, bottom_up, certify, get_verifier, top_down

__all__ = [
    "VERIFIERS",
    "AcceptanceRates",
    "BlockEfficiency",
    "CaDDTree",
    "Certificate",
    "Chain",
    "Context",
    "Delayed",
    "DraftLaw",
    "DraftTree",
    "DySpec",
    "HubPairs",
    "Iid",
    "LatencyModel",
    "LayeredPair",
    "MarkovPair",
    "OptTree",
    "Pair",
    "Policy",
    "RecordedPair",
    "Row",
    "Rule",
    "Schedule",
    "Static",
    "TablePair",
    "Throughput",
    "TopK",
    "TopPlusOne",
    "Topology",
    "TreeLaw",
    "TreeOptimum",
    "Verifier",
    "best_tree",
    "block_efficiency",
    "bottom_up",
    "certify",
    "dirichlet_pair",
    "diverging_pair",
    "exact",
    "get_device",
    "get_network",
    "get_verifier",
    "iid_pair",
    "optimal_acceptance",
    "parse_policy",
    "roofline_model",
    "throughput",
    "top_down",
    "total_variation",
    "tree_optimum",
    "zipf_pair",
]
