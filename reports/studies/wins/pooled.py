"""Delayed trees over all settings of a run: the geometric mean of the ratios at each, which is known far better."""

from __future__ import annotations

from dataclasses import dataclass

from ..suites.rows import Shape
from .leads import Lead, baseline_of, each, mean_of, paired
from .rows import RootSetting, Wins, Yardstick


@dataclass(frozen=True)
class Pooled:
    """A verifier's delayed tree over all settings: over its independent tree, and over one chain for all."""

    verifier: str
    delayed: str
    independent: str
    chain: str
    over_independent: Lead
    over_chain: Lead


def pooled(run: Wins, quantity: Yardstick) -> tuple[Pooled, ...]:
    """One for each verifier with a delayed and an independent tree, where there are chains; () otherwise.

    The first policy of a shape in the order of the run stands for it, and the baseline's chain for all chains, so that
    nothing is chosen by the figures.  The level is split over all comparisons; settings count as independent.
    """
    found = _shapes(run)
    names = [verifier for verifier, shapes in found.items() if {Shape.DELAYED, Shape.INDEPENDENT} <= shapes.keys()]
    chains = {verifier: shapes[Shape.CHAIN] for verifier, shapes in found.items() if Shape.CHAIN in shapes}
    if not names or not chains or not run.settings:
        return ()
    chain = baseline_of(list(chains)), chains[baseline_of(list(chains))]
    return tuple(_pooled(run, quantity, name, found[name], chain, each(2 * len(names))) for name in names)


def _pooled(
    run: Wins, quantity: Yardstick, verifier: str, shapes: dict[Shape, str], chain: tuple[str, str], level: float
) -> Pooled:
    delayed, independent = shapes[Shape.DELAYED], shapes[Shape.INDEPENDENT]
    others = ((verifier, independent), chain)
    leads = [mean_of([paired(at.row(verifier, delayed), at.row(*other), quantity) for at in run.settings]).lead(level)
             for other in others]  # fmt: skip
    return Pooled(verifier, delayed, independent, ", ".join(chain), *leads)


def _shapes(run: Wins) -> dict[str, dict[Shape, str]]:
    """By verifier, the first policy of each shape."""
    found: dict[str, dict[Shape, str]] = {}
    at: RootSetting
    for at in run.settings[:1]:
        for row in at.rows:
            found.setdefault(row.verifier, {}).setdefault(row.shape, row.policy)
    return found
