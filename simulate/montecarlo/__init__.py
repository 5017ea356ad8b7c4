"""Runs a procedure on drawn trees, and holds the counts against the exact laws."""

from .comparison import Agreement, Comparison, Difference, Quantity, compare
from .simulation import Simulation, SimulationInterrupted, progress_bar, simulate

__all__ = [
    "Agreement",
    "Comparison",
    "Difference",
    "Quantity",
    "Simulation",
    "SimulationInterrupted",
    "compare",
    "progress_bar",
    "simulate",
]
