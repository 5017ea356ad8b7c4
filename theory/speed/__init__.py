"""Tokens per second: latency models, published hardware, the throughput of an action."""

from .configs import network_of_config
from .fitting import fitted_roofline, passes_of, worst_error
from .hardware import DEVICES, FORMATS, Device, NumberFormat, get_device, get_format
from .latency import ByLength, Line, NoPass, PassTable, PassTime, Roofline
from .networks import NETWORKS, Network, get_network
from .rates import LatencyModel, StepTime, Term, Throughput, roofline_model, throughput, throughput_by_action
from .schedules import Schedule

__all__ = [
    "DEVICES",
    "FORMATS",
    "NETWORKS",
    "ByLength",
    "Device",
    "LatencyModel",
    "Line",
    "Network",
    "NoPass",
    "NumberFormat",
    "PassTable",
    "PassTime",
    "Roofline",
    "Schedule",
    "StepTime",
    "Term",
    "Throughput",
    "fitted_roofline",
    "get_device",
    "get_format",
    "get_network",
    "network_of_config",
    "passes_of",
    "roofline_model",
    "throughput",
    "throughput_by_action",
    "worst_error",
]
