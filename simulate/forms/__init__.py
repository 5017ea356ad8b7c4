"""The forms of a verifier that can be audited: how it is called, on which cases, and what its answers count as."""

from .cases import Case, default_cases, policy_cases
from .choice import TargetOnly
from .form import Form
from .guard import Fault

__all__ = [
    "Case",
    "Fault",
    "Form",
    "TargetOnly",
    "default_cases",
    "policy_cases",
]
