"""Target and draft networks: loaded, embedded, cut down, drawn at random, split over devices."""

from typing import TYPE_CHECKING

from veridraft._lazy import lazily

if TYPE_CHECKING:
    from .machine import machine_of
    from .pairs import ModelPair, load_network, load_pair
    from .random_models import load_timing_pair, random_model

__all__ = [
    "ModelPair",
    "load_network",
    "load_pair",
    "load_timing_pair",
    "machine_of",
    "random_model",
]

__getattr__ = lazily(
    __name__,
    {
        ".pairs": "ModelPair load_network load_pair",
        ".random_models": "load_timing_pair random_model",
        ".machine": "machine_of",
    },
)
