"""Many trials at once: rows, drafted batches, tables of a pair's rows, intervals."""

from .batch import Batch, Outcome, Procedure, check_batch

__all__ = [
    "Batch",
    "Outcome",
    "Procedure",
    "check_batch",
]
