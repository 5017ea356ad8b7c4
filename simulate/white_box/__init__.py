"""Certificates of a verifier's own code: its random decisions injected, every outcome followed."""

from .certificates import EnumeratedLaw, certify, enumerate_law
from .injection import InexactDecisionError, NotEnumerableError, NotRepeatableError

__all__ = [
    "EnumeratedLaw",
    "InexactDecisionError",
    "NotEnumerableError",
    "NotRepeatableError",
    "certify",
    "enumerate_law",
]
