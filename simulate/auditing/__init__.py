"""The auditor: whether a verifier seen from outside is lossless, where not, and why."""

from .auditor import AuditInterrupted, assert_lossless, audit
from .case_result import CaseResult
from .findings import Failure, Finding, Observation, Sign, Trait
from .verdict import Audit, Verdict

__all__ = [
    "Audit",
    "AuditInterrupted",
    "CaseResult",
    "Failure",
    "Finding",
    "Observation",
    "Sign",
    "Trait",
    "Verdict",
    "assert_lossless",
    "audit",
]
