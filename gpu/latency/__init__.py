"""Measured seconds: passes by length, steps of decoding, throughput held against prediction."""

from typing import TYPE_CHECKING

from veridraft._lazy import lazily

if TYPE_CHECKING:
    from .file import LatencyFile
    from .measure import LatencyPlan, measure_latency
    from .speed_check import SpeedPlan, check_speed
    from .speed_rows import SpeedRow

__all__ = [
    "LatencyFile",
    "LatencyPlan",
    "SpeedPlan",
    "SpeedRow",
    "check_speed",
    "measure_latency",
]

__getattr__ = lazily(
    __name__,
    {
        ".file": "LatencyFile",
        ".measure": "LatencyPlan measure_latency",
        ".speed_check": "SpeedPlan check_speed",
        ".speed_rows": "SpeedRow",
    },
)
