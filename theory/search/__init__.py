"""What to run: verifiers, policies and shapes searched for the most tokens per second on some hardware."""

from .acceptance import AcceptanceRates, MeanLengths
from .answers import Answer, Expected, answer_of, gains_by_batch
from .halving import SEARCHED, Found, best_tree, search
from .shapes import shapes_up_to
from .sources import LackError, PairTrees, TreeSource

__all__ = [
    "SEARCHED",
    "AcceptanceRates",
    "Answer",
    "Expected",
    "Found",
    "LackError",
    "MeanLengths",
    "PairTrees",
    "TreeSource",
    "answer_of",
    "best_tree",
    "gains_by_batch",
    "search",
    "shapes_up_to",
]
