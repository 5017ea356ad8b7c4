"""What a tree costs in memory, what is free, and what an error says when there is not enough."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from traceback import clear_frames

from ..models.backend import torch
from ..models.pairs import ModelPair

ROWS_PER_NODE = 6
"""Rows of V float64 that a node takes at the worst moment: logits, both rows, and what a solver works on."""


@contextmanager
def tree_advice(pair: ModelPair, batch: int, nodes: int) -> Iterator[None]:
    """Turns running out of memory inside into a ``MemoryError`` that says which tree size would fit.

    batch : B, the number of requests; nodes : N columns of the tree, 0 if they are not known
    """
    try:
        yield
    except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        clear_frames(error.__traceback__)  # what the failed calls held would fit again
        fits = available_bytes(pair.device) // (bytes_per_node(pair) * max(1, batch))
        had = f"{nodes} nodes" if nodes else "this policy"
        raise MemoryError(
            f"out of memory with {batch} requests and trees of {had}: a tree of {fits} nodes would fit beside them "
            f"({first_line(error)}); give a smaller policy, or fewer rows"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """True for the errors by which torch and Python say that memory has run out."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return bool(re.search("not enough memory|out of memory|can't allocate memory", str(error), re.IGNORECASE))


def bytes_per_node(pair: ModelPair) -> int:
    """What one node of one request takes: rows of V entries, and keys and values of both networks."""
    cache = sum(_cache_bytes(model) for model in (pair.target, pair.draft) if model is not None)
    return ROWS_PER_NODE * 8 * pair.vocabulary_size + cache


def _cache_bytes(model: object) -> int:
    """The bytes of one slot of a network's KV cache."""
    config = model.config  # type: ignore[attr-defined]
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size = next(model.parameters()).element_size()  # type: ignore[attr-defined]
    return int(2 * config.num_hidden_layers * heads * width * size)


def available_bytes(device: torch.device) -> int:
    """The bytes that can still be had: on a GPU what is free or held in reserve, else what the system has."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info(device)[0])
    info = Path("/proc/meminfo")
    found = re.search(r"MemAvailable:\s+(\d+) kB", info.read_text()) if info.exists() else None
    return min(int(found[1]) * 1024 if found else _free_pages(), _left_of_limit())


def _free_pages() -> int:
    """The bytes that the system says are free, where it says so: no limit is known else."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError):  # Windows has no sysconf, macOS no such entry
        return sys.maxsize


def _left_of_limit() -> int:
    """What the process's own limit of its address space leaves, where it has one."""
    held = Path("/proc/self/statm")
    try:
        import resource
    except ImportError:  # Windows
        return sys.maxsize
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or not held.exists():
        return sys.maxsize
    return max(0, limit - int(held.read_text().split()[0]) * resource.getpagesize())


class PeakMemory:
    """The most memory held while a block runs: ``with PeakMemory(device) as peak: ...; peak.bytes``.

    On a GPU what torch had allocated there, reset at the start.  On the CPU the process's resident set; where the
    system cannot reset its mark the figure is that of the whole process so far.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.bytes = device, 0

    def __enter__(self) -> PeakMemory:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")
        return self

    def __exit__(self, *_: object) -> None:
        if self.device.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated(self.device)
            return
        status = Path("/proc/self/status")
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
        self.bytes = int(found[1]) * 1024 if found else 0


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
