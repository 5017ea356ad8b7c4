"""Where the rows of a target and a draft come from: tables, Markov chains, families drawn at random, recorded runs."""

from .base import MarkovPair, MissingRowError, Pair, TablePair
from .families import RandomPair, dirichlet_pair, diverging_pair, zipf_pair
from .layered import LayeredPair, iid_pair, markov_layers, widening_pair
from .noisy import noisy_pair
from .recorded import RecordedPair, contexts_below

__all__ = [
    "LayeredPair",
    "MarkovPair",
    "MissingRowError",
    "Pair",
    "RandomPair",
    "RecordedPair",
    "TablePair",
    "contexts_below",
    "dirichlet_pair",
    "diverging_pair",
    "iid_pair",
    "markov_layers",
    "noisy_pair",
    "widening_pair",
    "zipf_pair",
]
