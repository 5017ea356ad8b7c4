"""Tokens per second: latency models, published hardware, the throughput of an action."""

from .hardware import DEVICES, NETWORKS, Device, Network, get_device, get_network
from .latency import ByLength, Line, PassTable, PassTime, Roofline
from .rates import LatencyModel, StepTime, Term, Throughput, roofline_model, throughput, throughput_by_action
from .schedules import Schedule

__all__ = [
    "DEVICES",
    "NETWORKS",
    "ByLength",
    "Device",
    "LatencyModel",
    "Line",
    "Network",
    "PassTable",
    "PassTime",
    "Roofline",
    "Schedule",
    "StepTime",
    "Term",
    "Throughput",
    "get_device",
    "get_network",
    "roofline_model",
    "throughput",
    "throughput_by_action",
]
