"""Predicted against measured on real models: cells, suites, and verifiers held against each other."""

from typing import TYPE_CHECKING

from veridraft._lazy import lazily

if TYPE_CHECKING:
    from .crosschecker import Crosscheck, crosscheck
    from .suite import SuitePlan, run_suite
    from .wins import RootPlan, walk_roots

__all__ = [
    "Crosscheck",
    "RootPlan",
    "SuitePlan",
    "crosscheck",
    "run_suite",
    "walk_roots",
]

__getattr__ = lazily(
    __name__,
    {
        ".crosschecker": "Crosscheck crosscheck",
        ".suite": "SuitePlan run_suite",
        ".wins": "RootPlan walk_roots",
    },
)
