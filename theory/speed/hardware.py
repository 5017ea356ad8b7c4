"""GPUs for what-if questions: their published bandwidth, peak, memory and links, and the number formats of weights.

Peaks are for bfloat16 products with float32 sums, dense: data sheets that print the doubled figure "with sparsity" are
halved here.  Links are those between the GPUs of one machine, in one direction: half of what data sheets
print for both.
Sources, NVIDIA's own unless said otherwise:

- A100: A100 80GB SXM data sheet: 80 GB, 2,039 GB/s, 312 TFLOPS, NVLink 600 GB/s
- H100: H100 SXM data sheet: 80 GB, 3.35 TB/s, 1,979 TFLOPS with sparsity, NVLink 900 GB/s
- H200: H200 SXM data sheet: 141 GB, 4.8 TB/s, 1,979 TFLOPS with sparsity, NVLink 900 GB/s
- L40S: L40S data sheet: 48 GB, 864 GB/s, 362.05 TFLOPS dense, PCIe Gen4 x16 64 GB/s
- RTX 4090: Ada GPU architecture white paper, appendix A: 24 GB, 1,008 GB/s, 165.2 TFLOPS with float32 sums; PCIe Gen4
- RTX A6000: data sheet: 48 GB, 768 GB/s, 309.7 TFLOPS with sparsity, NVLink 112.5 GB/s; the machine of 2505.12398
- B200: HGX B200 data sheet (1,000 W): 180 GB, up to 8 TB/s, 4.5 PFLOPS with sparsity, NVLink 1.8 TB/s
- MI300X: AMD's data sheet: 192 GB, 5.3 TB/s, 1,307.4 TFLOPS dense, seven links of 128 GB/s

Data sheets count memory in units of 2^30 bytes; systems report a few per cent less as usable.  FP8 products run at
twice the bfloat16 peak where the GPU has them (all but A100 and RTX A6000).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf
from types import MappingProxyType
from typing import Any, TypeVar

from ..rows.distributions import check_count
from ..rows.near_names import did_you_mean

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class NumberFormat:
    """How weights are stored: bytes of one, scales included, and the share of the bandwidth that kernels reach.

    doubles : True if its products run at twice the bfloat16 peak, on GPUs that have them; else weights are widened
    """

    name: str
    weight_bytes: Any
    bandwidth_share: Any
    doubles: bool = False


@dataclass(frozen=True)
class Device:
    """A GPU, or several of one kind that share every layer.

    bandwidth : of memory, bytes per second; peak : FLOP per second; memory : bytes; of all of them together
    link : bytes per second from one GPU to the others; count : how many; has_fp8 : whether it multiplies 8-bit floats
    """

    name: str
    bandwidth: Any
    peak: Any
    memory: Any
    link: Any = inf
    count: int = 1
    has_fp8: bool = True

    def __post_init__(self) -> None:
        for name in ("bandwidth", "peak", "memory"):
            if not 0 < getattr(self, name) < inf:
                raise ValueError(f"{name} of {self.name} must be positive and finite, but is {getattr(self, name)}")
        if not self.link > 0:
            raise ValueError(f"link of {self.name} must be positive, but is {self.link}")

    def times(self, count: int) -> Device:
        """So many of them as one, splitting every layer (tensor parallelism); what they tell one another costs time."""
        if check_count("count", count, 1) == 1:
            return self
        return replace(
            self, name=f"{count} x {self.name}", bandwidth=self.bandwidth * count, peak=self.peak * count,
            memory=self.memory * count, count=self.count * count,
        )  # fmt: skip

    def peak_of(self, number_format: NumberFormat) -> Any:
        """FLOP per second of products of weights in that format."""
        return self.peak * 2 if number_format.doubles and self.has_fp8 else self.peak

    def require_room(self, needed: Any, what: str) -> None:
        """Raise ``ValueError`` that says both figures unless so many bytes fit."""
        if needed > self.memory:
            raise ValueError(f"{what} needs {needed / 2**30:.1f} GiB, but {self.name} has {self.memory / 2**30:.0f}")


def by_name(*entries: Any) -> MappingProxyType[str, Any]:
    """The entries by their names, read-only."""
    return MappingProxyType({entry.name: entry for entry in entries})


DEVICES: Mapping[str, Device] = by_name(
    Device("A100", 2039 * 10**9, 312 * 10**12, 80 * 2**30, 300 * 10**9, has_fp8=False),
    Device("H100", 3350 * 10**9, 1979 * 10**12 // 2, 80 * 2**30, 450 * 10**9),
    Device("H200", 4800 * 10**9, 1979 * 10**12 // 2, 141 * 2**30, 450 * 10**9),
    Device("L40S", 864 * 10**9, 36205 * 10**10, 48 * 2**30, 32 * 10**9),
    Device("RTX4090", 1008 * 10**9, 1652 * 10**11, 24 * 2**30, 32 * 10**9),
    Device("B200", 8000 * 10**9, 2250 * 10**12, 180 * 2**30, 900 * 10**9),
    Device("MI300X", 5300 * 10**9, 13074 * 10**11, 192 * 2**30, 448 * 10**9),
    Device("A6000", 768 * 10**9, 3097 * 10**11 // 2, 48 * 2**30, 56 * 10**9, has_fp8=False),
)
"""Name to GPU, read-only."""

FORMATS: Mapping[str, NumberFormat] = by_name(
    NumberFormat("bf16", 2, 0.7),
    NumberFormat("fp16", 2, 0.7),
    NumberFormat("fp8", 1, 0.7, doubles=True),
    NumberFormat("int8", 1, 0.58),
    NumberFormat("int4", 0.5 + 2 / 128, 0.48),
)
"""Name to number format, read-only; int4 has a 16-bit scale for each 128 weights.

Shares of the bandwidth are those of gpt-fast's table (batch 1, A100 of 2,039 GB/s): 1,397 GB/s for Llama-2-7B in
bf16; weight-only int8 1,069 (7B) and 1,323 (70B), int4 863 and 1,098, of which the means stand here.  fp8 is not in it:
it counts as bf16 does.
"""


def get_device(name: str) -> Device:
    """The GPU of that name, spaces and case aside; ``ValueError`` that lists the names, ``TypeError`` for no text."""
    return look_up("GPU", name, DEVICES)


def get_format(name: str) -> NumberFormat:
    """The number format of that name, case aside; ``ValueError`` that lists the names, ``TypeError`` for no text."""
    return look_up("number format", name, FORMATS)


def look_up(what: str, name: object, known: Mapping[str, Entry]) -> Entry:
    """The entry of that name, spaces and case aside; ``ValueError`` that lists the names, ``TypeError`` for no text."""
    found = {key.lower(): entry for key, entry in known.items()}.get(_text(what, name, known))
    if found is None:
        raise ValueError(f"{what} {name!r} is unknown; known are {', '.join(known)}{did_you_mean(str(name), known)}")
    return found


def _text(what: str, name: object, known: Iterable[str]) -> str:
    """The name without spaces and case; ``TypeError`` unless it is text."""
    if not isinstance(name, str):
        raise TypeError(f"{what} must be named by text, one of {', '.join(known)}, but is {name!r}")
    return name.replace(" ", "").lower()
