"""A roofline of a machine that no data sheet describes, from measured passes."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import Any

import scipy

from .hardware import Device
from .latency import PassTable, Roofline
from .networks import Network

Passes = Sequence[tuple[int, int, float]]
"""(context, new tokens, seconds) of passes."""

MOST_STEPS = 4000
"""Of a search for three figures."""

OVERHEADS = (0.05, 0.5, 0.95)
"""Shares of the fastest pass at which searches for the overhead begin: the misfit has more than one valley."""


def passes_of(table: PassTable) -> Passes:
    """The measured points of a table."""
    return [(context, size, float(table.table[row][column]))
            for row, context in enumerate(table.contexts) for column, size in enumerate(table.sizes)]  # fmt: skip


def fitted_roofline(network: Network, passes: Passes, **options: Any) -> Roofline:
    """The roofline whose bandwidth, peak and overhead of a layer are those that come nearest to the passes.

    Nearest in the sum of squared logarithms of predicted over measured; ``options`` are those of :class:`.Roofline`, of
    which both shares are 1 here.  With it passes of other sizes, contexts, batches and networks can be asked for; how
    far it is off says :func:`worst_error`.  Float64.  Raises ``ValueError`` for fewer than three passes.
    """
    if len(passes) < 3:
        raise ValueError(f"passes must be at least three, to find three figures, but are {len(passes)}")

    def made(logs: Sequence[float]) -> Roofline:
        bandwidth, peak, overhead = map(exp, logs)
        device = Device("fitted", bandwidth, peak, memory=2**60)
        return Roofline(network, device, bandwidth_share=1, peak_share=1, layer_overhead=overhead, **options)

    def misfit(logs: Sequence[float]) -> float:
        return sum(log(made(logs).seconds(context, new) / seconds) ** 2 for context, new, seconds in passes)

    fastest = min(seconds for _, _, seconds in passes)
    figures = log(4 * network.parameters / fastest), log(20 * network.product_weights / fastest)
    steps = {"maxiter": MOST_STEPS, "maxfev": MOST_STEPS}
    found = [
        scipy.optimize.minimize(
            misfit, [*figures, log(share * fastest / network.layers)], method="Nelder-Mead", options=steps
        )
        for share in OVERHEADS
    ]
    return made(min(found, key=lambda one: one.fun).x)


def worst_error(roofline: Roofline, passes: Passes) -> float:
    """The largest relative error of the roofline over the passes."""
    return max(abs(roofline.seconds(context, new) / seconds - 1) for context, new, seconds in passes)
