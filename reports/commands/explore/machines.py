"""Time on the page: the rooflines of the library, written down as the numbers that their formula takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from veridraft.theory.speed.hardware import DEVICES, get_device
from veridraft.theory.speed.latency import PassTime, Roofline, Seconds
from veridraft.theory.speed.networks import NETWORKS, Network, get_network
from veridraft.theory.speed.rates import (
    PADDING,
    ROW_BYTES,
    STEP_OVERHEAD,
    VERIFICATION_FLOOR,
    LatencyModel,
    roofline_model,
)

GPUS = (1, 2, 4, 8)
"""How many GPUs may share every layer."""


@dataclass(frozen=True)
class Share(PassTime):
    """A draft each of whose passes takes a share of the target's pass over the same tokens."""

    target: PassTime
    share: Any

    def seconds(self, context: int, new: int) -> Seconds:
        """The share of the target's seconds."""
        return self.share * self.target.seconds(context, new)


def model_of(device: str, gpus: int, network: str, batch: int, share: float, context: int) -> LatencyModel:
    """The latency model behind the page: the target's roofline, and a draft that costs a share of it.

    Raises ``ValueError`` where the target and the caches of all requests do not fit.
    """
    machine = get_device(device).times(gpus)
    model = roofline_model(get_network(network), None, machine, batch=batch, tokens=context)
    return replace(model, draft=Share(model.target, share))


def constants() -> dict[str, Any]:
    """What the page's formula takes: machines, networks and the numbers of :class:`.Roofline`, in bf16."""
    usual = Roofline(get_network("8B"), get_device("H100"))
    shared = ("weight_bytes", "cache_bytes", "bandwidth_share", "peak_share", "layer_overhead", "pass_overhead",
              "all_reduce")  # fmt: skip
    devices = {name: {key: getattr(one, key) for key in ("bandwidth", "peak", "memory", "link")}
               for name, one in DEVICES.items()}  # fmt: skip
    return {
        **{name: getattr(usual, name) for name in shared},
        "row_bytes": ROW_BYTES, "floor": VERIFICATION_FLOOR, "overhead": STEP_OVERHEAD, "padding": PADDING,
        "devices": devices, "gpus": GPUS, "networks": {name: shape_of(one) for name, one in NETWORKS.items()},
    }  # fmt: skip


def shape_of(network: Network) -> dict[str, Any]:
    """The numbers of a network that its passes depend on.

    A pass of n tokens reads ``read - experts (1 - active)^n`` weights: see :meth:`.Network.weights_of_pass`.
    """
    names = ("layers", "width", "product_weights", "attention_flops", "cache_entries", "parameters", "vocabulary_size")
    return {name: getattr(network, name) for name in names} | {
        "read": network.read_weights,
        "experts": network.read_weights - network.weights_of_pass(0) if network.experts > 1 else 0,
        "active": network.active / network.experts,
    }
