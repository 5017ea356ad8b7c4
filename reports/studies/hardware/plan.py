"""The cells of the study: what the actions that another study computed are worth on one machine, at every batch."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from veridraft.theory.rows.distributions import Row
from veridraft.theory.speed.hardware import get_device
from veridraft.theory.speed.networks import get_network
from veridraft.theory.speed.rates import LatencyModel, roofline_model

from ..actions.tables import CONTEXT, best_of, seconds_by_action, spaces, verifiers

MACHINES = ("A100", "H100", "H200", "B200", "L40S", "MI300X")
PAIRS = (("70B", "8B"), ("32B", "0.5B"), ("8B", "1B"))
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)

PLAIN = "naive_tree"
"""On one path it is speculative sampling: what trees and other rules are held against."""

Cell = Mapping[str, Any]


@dataclass(frozen=True)
class HardwarePlan:
    """Every machine with every pair of networks; ``actions`` are finished cells of that study, at least one."""

    actions: tuple[Cell, ...]

    def __post_init__(self) -> None:
        if not self.actions:
            raise ValueError("actions: no cell of that study is finished")

    def settings(self) -> dict[str, Any]:
        """What determines the numbers."""
        text = json.dumps(sorted(json.dumps(cell, sort_keys=True) for cell in self.actions))
        cells = [[machine, *pair] for machine, pair in product(MACHINES, PAIRS)]
        return {"actions": hashlib.sha256(text.encode()).hexdigest()[:16], "settings": len(self.actions),
                "context": CONTEXT, "batches": list(BATCHES), "cells": cells}  # fmt: skip

    def measure(self, machine: str, target: str, draft: str) -> dict[str, Any]:
        """The GPUs that hold the largest batch, and by family, batch and verifier what is gained."""
        gpus, model = model_of(machine, target, draft)
        families = {family: [cell for cell in self.actions if cell["family"] == family]
                    for family in dict.fromkeys(cell["family"] for cell in self.actions)}  # fmt: skip
        found: dict[str, dict[str, Any]] = {family: {} for family in families}
        for batch in BATCHES:
            here = model.at_batch(batch)
            pace = float(here.plain(CONTEXT)) / seconds_by_action(here)
            for family, cells in families.items():
                found[family][str(batch)] = {verifier: gains_of(cells, verifier, pace) for verifier in verifiers()}
        return {"gpus": gpus, "found": found}


def model_of(machine: str, target: str, draft: str) -> tuple[int, LatencyModel]:
    """The fewest GPUs, a power of two, that hold both networks and the caches of the largest batch; their times."""
    networks, device = (get_network(target), get_network(draft)), get_device(machine)
    for gpus in (1, 2, 4, 8):
        try:
            model = roofline_model(*networks, device.times(gpus), batch=BATCHES[-1], tokens=CONTEXT)
        except ValueError:
            continue
        return gpus, model.at_batch(1)
    raise ValueError(f"machine {machine}: eight of them do not hold {target} and {draft}")


def gains_of(cells: Sequence[Cell], verifier: str, pace: Row) -> dict[str, Any]:
    """Means over settings of what a verifier's best action gains in tokens per second, and which action that is.

    pace : (4, 9, 9) steps of each action in the time of a plain one
    gain : over decoding without a draft; tree : over the best chain under speculative sampling; delay : over the
    verifier's own best action from the root; pays : the share of settings in which it gains over no draft
    """
    chain, root, everything = spaces()
    best = [best_of(np.array(cell["values"][verifier]) * pace, everything) for cell in cells]
    gain = np.array([value for value, _ in best])
    from_root = [best_of(np.array(cell["values"][verifier]) * pace, root)[0] for cell in cells]
    chains = [best_of(np.array(cell["values"][PLAIN]) * pace, chain)[0] for cell in cells]
    action = Counter(found for _, found in best).most_common(1)[0][0]
    means = {"gain": gain - 1, "tree": gain / chains - 1, "delay": gain / from_root - 1, "pays": gain > 1}
    return {name: round(float(np.mean(values)), 6) for name, values in means.items()} | {"action": action}
