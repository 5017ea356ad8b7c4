"""Verifiers broken on purpose, each the mechanism of a real bug, beside the right one that differs in that place."""

from .broken.planted import (
    TrunkCountedKTimes,
    bias_total_variation,
    biased,
    specinfer_trunk_pair,
    trunk_counted_k_times,
)
from .kinds import Defect, Trap
from .table import DEFECTS
from .traps import TRAPS

__all__ = [
    "DEFECTS",
    "TRAPS",
    "Defect",
    "Trap",
    "TrunkCountedKTimes",
    "bias_total_variation",
    "biased",
    "specinfer_trunk_pair",
    "trunk_counted_k_times",
]
