"""Verifiers as their laws given the tree: the table of all published ones, lifts, emitted laws, certificates."""

from .certificates import Certificate, Difference, Losslessness, certify
from .emission import EmittedLaw, emitted_law
from .greedy_block import RoundsCertificate, certify_greedy_block
from .lifts import Lift, Rule, TreeLaw, TreeRule, bottom_up, top_down
from .path_rules import GreedyMultiPath, Hierarchical
from .table import VERIFIERS, Verifier, add_verifier, get_verifier

__all__ = [
    "VERIFIERS",
    "Certificate",
    "Difference",
    "EmittedLaw",
    "GreedyMultiPath",
    "Hierarchical",
    "Lift",
    "Losslessness",
    "RoundsCertificate",
    "Rule",
    "TreeLaw",
    "TreeRule",
    "Verifier",
    "add_verifier",
    "bottom_up",
    "certify",
    "certify_greedy_block",
    "emitted_law",
    "get_verifier",
    "top_down",
]
