"""Runs a procedure on drawn trees, and holds the counts against the exact laws."""

from .comparison import Agreement, Comparison, Quantity, RunDifference, compare
from .simulation import Simulation, SimulationInterrupted, progress_bar, simulate

__all__ = [
    "Agreement",
    "Comparison",
    "Quantity",
    "RunDifference",
    "Simulation",
    "SimulationInterrupted",
    "compare",
    "progress_bar",
    "simulate",
]
