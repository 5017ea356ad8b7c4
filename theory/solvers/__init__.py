"""One-step solvers: two rows and a child list to the law of what is emitted."""

from .by_rule import greedy, hub
from .canonical_lists import canonical, canonical_of
from .closed_form import OptimalIid, optimal_iid
from .sequential import (
    Branching,
    Solver,
    accept_ratio,
    k_seq,
    k_seq_parts,
    naive,
    nss,
    reject_in_order,
    rrs,
    rrs_without_replacement,
    smallest_rho,
)
from .symmetry import symmetrised
from .transport import OptimalTransport, TransportPlan, optimal

__all__ = [
    "Branching",
    "OptimalIid",
    "OptimalTransport",
    "Solver",
    "TransportPlan",
    "accept_ratio",
    "canonical",
    "canonical_of",
    "greedy",
    "hub",
    "k_seq",
    "k_seq_parts",
    "naive",
    "nss",
    "optimal",
    "optimal_iid",
    "reject_in_order",
    "rrs",
    "rrs_without_replacement",
    "smallest_rho",
    "symmetrised",
]
