"""Lifted rules held against Traversal verification at the same trees, root by root, by standard errors."""

from __future__ import annotations

from dataclasses import dataclass

from .budgets import ahead
from .leads import LogRatio
from .rows import Wins, Yardstick

RULE = "traversal"
"""What the others are held against: no rule of the papers accepts more of independent trees."""

LIFTED = "lifted_rrs", "lifted_k_seq", "lifted_optimal"

ERRORS = 3.0
"""Standard errors beyond which two rules are told apart."""


@dataclass(frozen=True)
class RuleLine:
    """A lifted rule with a policy, over Traversal with the same: in block efficiency and in tokens per second."""

    policy: str
    verifier: str
    efficiency: LogRatio
    speed: LogRatio


def against_traversal(run: Wins) -> tuple[RuleLine, ...]:
    """Every policy that Traversal and a lifted rule both verify; () without a setting."""
    pairs = [tuple(one) for one in run.file.settings["pairs"]] if run.settings else []
    found = [(policy, verifier) for verifier, policy in pairs if verifier in LIFTED and (RULE, policy) in pairs]
    return tuple(RuleLine(policy, verifier, *(ahead(run, (verifier, policy), (RULE, policy), quantity)
                                              for quantity in (Yardstick.EFFICIENCY, Yardstick.SPEED)))
                 for policy, verifier in found)  # fmt: skip


def errors_of(found: LogRatio) -> float:
    """The difference in standard errors; 0 for no difference."""
    return found.value / found.error if found.error else 0.0
