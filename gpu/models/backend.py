"""The one place that imports torch and transformers, so that their absence is said in one sentence."""

from __future__ import annotations

try:
    import torch as torch
    import transformers as transformers
except ImportError as missing:
    raise ImportError(f"{missing}: real models need the extra, `pip install veridraft[gpu]`") from missing


def are_free(tensor: torch.Tensor) -> bool:
    """True if a value of the tensor can be read without waiting for a device."""
    return tensor.device.type == "cpu"
