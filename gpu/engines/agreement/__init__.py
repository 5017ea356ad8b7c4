"""Whether reported lengths and rates agree with what the exact law foresees."""

from .agreement import LengthAgreement, compare_lengths
from .predictions import LengthPrediction, predict_from_recording, predict_from_trace

__all__ = [
    "LengthAgreement",
    "LengthPrediction",
    "compare_lengths",
    "predict_from_recording",
    "predict_from_trace",
]
