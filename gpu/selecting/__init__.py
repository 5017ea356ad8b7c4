"""A choice of the tree before drafting: what is learnt from, networks, baselines, and what they are worth."""

from typing import TYPE_CHECKING

from veridraft._lazy import lazily

if TYPE_CHECKING:
    from .grid import Grid, Machine, MeasuredMachine
    from .job import SelectorJob
    from .plan import RootPlan, SelectorPlan, TrainingPlan
    from .scores import Evaluation
    from .selector import Selector

__all__ = [
    "Evaluation",
    "Grid",
    "Machine",
    "MeasuredMachine",
    "RootPlan",
    "Selector",
    "SelectorJob",
    "SelectorPlan",
    "TrainingPlan",
]

__getattr__ = lazily(
    __name__,
    {
        ".grid": "Grid Machine MeasuredMachine",
        ".plan": "RootPlan SelectorPlan TrainingPlan",
        ".job": "SelectorJob",
        ".scores": "Evaluation",
        ".selector": "Selector",
    },
)
