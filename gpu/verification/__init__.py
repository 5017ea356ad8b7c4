"""The verifiers on torch tensors, coin by coin, a batch of trees at once; and their laws."""

from typing import TYPE_CHECKING

from veridraft._lazy import lazily

if TYPE_CHECKING:
    from .table import DEVICE_VERIFIERS, Accepted, DeviceVerifier, stopping_probabilities, verify, verify_batch

__all__ = [
    "DEVICE_VERIFIERS",
    "Accepted",
    "DeviceVerifier",
    "stopping_probabilities",
    "verify",
    "verify_batch",
]

__getattr__ = lazily(
    __name__,
    {
        ".table": "DEVICE_VERIFIERS DeviceVerifier Accepted stopping_probabilities verify verify_batch",
    },
)
