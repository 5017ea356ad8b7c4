"""Random trials of the published verifiers, coin by coin, and their comparison with the exact mathematics.

``simulate`` draws trees, runs a procedure on them and keeps the counts; ``compare`` holds them against the
target's law of strings and the exact acceptance length.  The procedures are written from their papers and call
no law of ``veridraft.theory``, so that an agreement is evidence for both.
"""

from .batch import Outcome, Procedure
from .block import block
from .comparison import Agreement, Comparison, Difference, Quantity, compare
from .defects import (
    TrunkCountedKTimes,
    bias_total_variation,
    biased,
    specinfer_trunk_pair,
    trunk_counted_k_times,
)
from .depth_first import decision_order
from .lifted import lifted_k_seq, lifted_rrs
from .montecarlo import Simulation, SimulationInterrupted, progress_bar, simulate
from .one_step import naive, naive_tree, nss, specinfer, spectr
from .procedures import PROCEDURES, get_procedure
from .traversal import traversal

__all__ = [
    "PROCEDURES",
    "Agreement",
    "Comparison",
    "Difference",
    "Outcome",
    "Procedure",
    "Quantity",
    "Simulation",
    "SimulationInterrupted",
    "TrunkCountedKTimes",
    "bias_total_variation",
    "biased",
    "block",
    "compare",
    "decision_order",
    "get_procedure",
    "lifted_k_seq",
    "lifted_rrs",
    "naive",
    "naive_tree",
    "nss",
    "progress_bar",
    "simulate",
    "specinfer",
    "specinfer_trunk_pair",
    "spectr",
    "traversal",
    "trunk_counted_k_times",
]
