"""What a measurement was made with: the machine, versions, threads."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np

from .backend import torch, transformers


def machine() -> dict[str, Any]:
    """Versions and threads that a row was made with."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
    }


def machine_of(device: torch.device) -> dict[str, Any]:
    """The machine's name, and the versions and threads that matter for time."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {"name": name, "processor": processor(), "cores": os.cpu_count(), **machine()}


def processor() -> str:
    """What the system calls its processor."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.M) if info.exists() else None
    return (found[1].strip() if found else "") or platform.processor() or platform.machine()
