"""What engines report of a run, and traces of it, read into one shape; nothing here needs torch."""

from .lengths import read_lengths
from .recorder import RunRecorder
from .runs import EngineRun, Format, RequestSteps
from .trace_writer import TraceWriter
from .traces import Trace, load_trace

__all__ = [
    "EngineRun",
    "Format",
    "RequestSteps",
    "RunRecorder",
    "Trace",
    "TraceWriter",
    "load_trace",
    "read_lengths",
]
