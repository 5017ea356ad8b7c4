"""The published verifiers, coin by coin and many trials at once, written from their papers."""

from .block_verification import block
from .depth_first import decision_order
from .lifted import lifted_k_seq, lifted_rrs
from .one_step import naive, naive_tree, nss, specinfer, spectr
from .table import PROCEDURES, get_procedure
from .traversal_verification import traversal

__all__ = [
    "PROCEDURES",
    "block",
    "decision_order",
    "get_procedure",
    "lifted_k_seq",
    "lifted_rrs",
    "naive",
    "naive_tree",
    "nss",
    "specinfer",
    "spectr",
    "traversal",
]
