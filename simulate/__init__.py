"""Random trials: of the published verifiers, coin by coin, and of anybody's verifier under audit.

``simulate`` draws trees, runs a procedure on them and keeps the counts; ``compare`` holds them against the
target's law of strings and the exact acceptance length.  The procedures are written from their papers and call
no law of ``veridraft.theory``, so that an agreement is evidence for both.

``audit`` answers whether a verifier seen from outside is lossless; ``assert_lossless`` is the same in a test.
``certify`` proves it, or finds the exact distance, for a verifier whose random decisions can be injected.
"""

from .adapters import ADAPTERS, Adapter, get_adapter
from .auditing import (
    Audit,
    AuditInterrupted,
    CaseResult,
    Failure,
    Finding,
    Observation,
    Sign,
    Trait,
    Verdict,
    assert_lossless,
    audit,
)
from .batches import Outcome, Procedure
from .defects import DEFECTS, TRAPS, Defect, Trap
from .forms import Case, Fault, Form, TargetOnly, default_cases, policy_cases
from .montecarlo import (
    Agreement,
    Comparison,
    Quantity,
    RunDifference,
    Simulation,
    SimulationInterrupted,
    compare,
    progress_bar,
    simulate,
)
from .procedures import PROCEDURES, get_procedure
from .white_box import (
    EnumeratedLaw,
    InexactDecisionError,
    NotEnumerableError,
    NotRepeatableError,
    certify,
    enumerate_law,
)

__all__ = [
    "ADAPTERS",
    "DEFECTS",
    "PROCEDURES",
    "TRAPS",
    "Adapter",
    "Agreement",
    "Audit",
    "AuditInterrupted",
    "Case",
    "CaseResult",
    "Comparison",
    "Defect",
    "EnumeratedLaw",
    "Failure",
    "Fault",
    "Finding",
    "Form",
    "InexactDecisionError",
    "NotEnumerableError",
    "NotRepeatableError",
    "Observation",
    "Outcome",
    "Procedure",
    "Quantity",
    "RunDifference",
    "Sign",
    "Simulation",
    "SimulationInterrupted",
    "TargetOnly",
    "Trait",
    "Trap",
    "Verdict",
    "assert_lossless",
    "audit",
    "certify",
    "compare",
    "default_cases",
    "enumerate_law",
    "get_adapter",
    "get_procedure",
    "policy_cases",
    "progress_bar",
    "simulate",
]
