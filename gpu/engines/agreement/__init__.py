"""Whether reported lengths and rates agree with what the exact law foresees."""

from .agreement import Agreement, compare
from .predictions import LengthPrediction, predict_from_recording, predict_from_trace

__all__ = [
    "Agreement",
    "LengthPrediction",
    "compare",
    "predict_from_recording",
    "predict_from_trace",
]
