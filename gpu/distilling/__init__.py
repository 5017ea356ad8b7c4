"""A small draft taught the rows of a target, from the target's own texts."""

from typing import TYPE_CHECKING

from veridraft._lazy import lazily

if TYPE_CHECKING:
    from .distilling import DistilJob, Distillation, distil
    from .plan import DistilPlan, LossWeights, StudentShape

__all__ = [
    "DistilJob",
    "DistilPlan",
    "Distillation",
    "LossWeights",
    "StudentShape",
    "distil",
]

__getattr__ = lazily(
    __name__,
    {
        ".plan": "DistilPlan LossWeights StudentShape",
        ".distilling": "DistilJob Distillation distil",
    },
)
