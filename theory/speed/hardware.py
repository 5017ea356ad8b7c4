"""Presets for what-if questions: the published bandwidth and peak of GPUs, and the shapes of common networks.

Peaks are for bfloat16 products with float32 sums, dense: data sheets that print the doubled figure "with sparsity" are
halved here.  Sources, NVIDIA's own unless said otherwise:

- A100: A100 80GB SXM data sheet: 80 GB, 2,039 GB/s, 312 TFLOPS
- H100: H100 SXM data sheet: 80 GB, 3.35 TB/s, 1,979 TFLOPS with sparsity
- H200: H200 SXM data sheet: 141 GB, 4.8 TB/s, 1,979 TFLOPS with sparsity
- L40S: L40S data sheet: 48 GB, 864 GB/s, 362.05 TFLOPS dense
- RTX 4090: Ada GPU architecture white paper, appendix A: 24 GB, 1,008 GB/s, 165.2 TFLOPS with float32 sums
- B200: HGX B200 data sheet (1,000 W): 180 GB, up to 8 TB/s, 4.5 PFLOPS with sparsity

Data sheets count memory in units of 2^30 bytes; systems report a few per cent less as usable.

Shapes are those of the published configurations of Llama 3.2 1B, Llama 3.1 8B and 70B, and SmolLM2 135M.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import inf
from types import MappingProxyType
from typing import Any

from ..rows.distributions import check_count
from ..rows.near_names import did_you_mean


@dataclass(frozen=True)
class Device:
    """A GPU: bandwidth of its memory in bytes per second, peak in FLOP per second, memory in bytes."""

    name: str
    bandwidth: Any
    peak: Any
    memory: Any

    def __post_init__(self) -> None:
        for name in ("bandwidth", "peak", "memory"):
            if not 0 < getattr(self, name) < inf:
                raise ValueError(f"{name} of {self.name} must be positive and finite, but is {getattr(self, name)}")

    def times(self, count: int) -> Device:
        """So many of them as one, splitting every layer perfectly (tensor parallelism without its communication)."""
        if check_count("count", count, 1) == 1:
            return self
        return Device(f"{count} x {self.name}", self.bandwidth * count, self.peak * count, self.memory * count)

    def require_room(self, needed: Any, what: str) -> None:
        """Raise ``ValueError`` that says both figures unless so many bytes fit."""
        if needed > self.memory:
            raise ValueError(f"{what} needs {needed / 2**30:.1f} GiB, but {self.name} has {self.memory / 2**30:.0f}")


@dataclass(frozen=True)
class Network:
    """The shape of a decoder of the Llama family.

    width : of the residual stream; heads, cache_heads : of queries, and of keys and values; inner : of the
    feed-forward part (three matrices); tied : True if input and output share the embedding table
    """

    name: str
    layers: int
    width: int
    heads: int
    cache_heads: int
    head_width: int
    inner: int
    vocabulary_size: int
    tied: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name not in ("name", "tied"):
                check_count(f"{field.name} of {self.name}", getattr(self, field.name), 1)

    @property
    def _layer_products(self) -> int:
        """Weights of one layer's matrix products."""
        attention = 2 * self.heads * self.head_width + 2 * self.cache_heads * self.head_width
        return self.width * (attention + 3 * self.inner)

    @property
    def product_weights(self) -> int:
        """Weights that a new token is multiplied with, the output matrix among them."""
        return self.layers * self._layer_products + self.vocabulary_size * self.width

    @property
    def norm_weights(self) -> int:
        """Weights of the normalisations."""
        return (2 * self.layers + 1) * self.width

    @property
    def read_weights(self) -> int:
        """Weights that a pass reads: all but the rows of an untied input table, of which it reads a few."""
        return self.product_weights + self.norm_weights

    @property
    def parameters(self) -> int:
        """All weights."""
        return self.read_weights + (0 if self.tied else self.vocabulary_size * self.width)

    @property
    def cache_entries(self) -> int:
        """Entries of the KV cache for one token."""
        return 2 * self.layers * self.cache_heads * self.head_width

    @property
    def attention_flops(self) -> int:
        """FLOPs of one new token's attention to one token: a product with its key and one with its value."""
        return 4 * self.layers * self.heads * self.head_width


def _devices(*devices: Device) -> MappingProxyType[str, Device]:
    return MappingProxyType({device.name: device for device in devices})


DEVICES = _devices(
    Device("A100", 2039 * 10**9, 312 * 10**12, 80 * 2**30),
    Device("H100", 3350 * 10**9, 1979 * 10**12 // 2, 80 * 2**30),
    Device("H200", 4800 * 10**9, 1979 * 10**12 // 2, 141 * 2**30),
    Device("L40S", 864 * 10**9, 36205 * 10**10, 48 * 2**30),
    Device("RTX4090", 1008 * 10**9, 1652 * 10**11, 24 * 2**30),
    Device("B200", 8000 * 10**9, 2250 * 10**12, 180 * 2**30),
)
"""Name to GPU, read-only."""


def _networks(*networks: Network) -> MappingProxyType[str, Network]:
    return MappingProxyType({network.name: network for network in networks})


NETWORKS = _networks(
    Network("135M", 30, 576, 9, 3, 64, 1536, 49152, tied=True),
    Network("1B", 16, 2048, 32, 8, 64, 8192, 128256, tied=True),
    Network("8B", 32, 4096, 32, 8, 128, 14336, 128256),
    Network("70B", 80, 8192, 64, 8, 128, 28672, 128256),
)
"""Name to shape, read-only."""


def get_device(name: str) -> Device:
    """The GPU of that name, spaces and case aside; ``ValueError`` that lists the names, ``TypeError`` for no text."""
    _require_text("GPU", name, DEVICES)
    found = {key.lower(): device for key, device in DEVICES.items()}.get(name.replace(" ", "").lower())
    if found is None:
        raise ValueError(f"GPU {name!r} is unknown; known are {', '.join(DEVICES)}{did_you_mean(name, DEVICES)}")
    return found


def get_network(name: str) -> Network:
    """The shape of that name, case aside; ``ValueError`` that lists the names, ``TypeError`` for no text."""
    _require_text("shape", name, NETWORKS)
    found = {key.lower(): network for key, network in NETWORKS.items()}.get(name.strip().lower())
    if found is None:
        raise ValueError(f"shape {name!r} is unknown; known are {', '.join(NETWORKS)}{did_you_mean(name, NETWORKS)}")
    return found


def _require_text(what: str, name: object, known: Iterable[str]) -> None:
    """Raise ``TypeError`` unless the name is text."""
    if not isinstance(name, str):
        raise TypeError(f"{what} must be named by text, one of {', '.join(known)}, but is {name!r}")
