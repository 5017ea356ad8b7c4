"""Which features a selector reads, by name and in order: saved with it, and the same for all.  No torch is needed."""

from __future__ import annotations

from typing import Any

BLOCKS = ("target_before", "draft_before", "draft_root")
"""The states, fields of :class:`.Known`."""

OF_ROWS = ("entropy of the target before", "entropy of the draft before", "entropy of the draft at the root",
           "KL of the target to the draft before", "KL of the draft to the target before",
           "L1 of target and draft before")  # fmt: skip
"""Numbers of the rows, in nats; logarithms of ratios are cut, see :mod:`.features`."""

ROOT_ENTROPY = 2
"""Which of them a rule of one number reads."""

OF_TEXT = ("length", "temperature", "top-p")

LENGTH, SAMPLING = len(OF_ROWS), slice(len(OF_ROWS) + 1, len(OF_ROWS) + 3)

OF_MACHINE = ("log seconds of a target's pass", "log seconds of a draft's pass")

SCALARS = (*OF_ROWS, *OF_TEXT, *OF_MACHINE)


def schema_of(widths: tuple[int, int, int]) -> dict[str, Any]:
    """The names of all features in order, and the widths of the states."""
    return {"states": dict(zip(BLOCKS, widths, strict=True)), "scalars": list(SCALARS)}
