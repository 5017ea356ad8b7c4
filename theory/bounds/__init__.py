"""What no verifier can exceed: the one-step optimum and the tree-level optimum, bounded from both sides."""

from .one_step import OptimalAcceptance, optimal_acceptance
from .tree import TreeOptimum, deterministic_tree_bound, price_bound, tree_optimum

__all__ = [
    "OptimalAcceptance",
    "TreeOptimum",
    "deterministic_tree_bound",
    "optimal_acceptance",
    "price_bound",
    "tree_optimum",
]
