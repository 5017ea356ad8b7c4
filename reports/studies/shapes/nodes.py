"""Single nodes: how often a list's token is accepted, by how the list is made, and what a draft probability says."""

from __future__ import annotations

from typing import Any

import numpy as np

from veridraft.theory.efficiency.joint_laws import joint_laws
from veridraft.theory.efficiency.levels import accepted_of_distinct, accepted_of_top
from veridraft.theory.pairs.layered import Layer
from veridraft.theory.policies.top_plus_one import top_tokens
from veridraft.theory.solvers.sequential import k_seq, rrs

WIDTHS = (1, 2, 3, 4)
MOST_DISTINCT = 3
"""The widest list of draws without replacement: the work grows as V to the width."""

EDGES = (0.0, 0.01, 0.03, 0.1, 0.3, 0.6, 1.0)
"""Of the bins of draft probabilities."""


def node_values(layer: Layer) -> dict[str, Any]:
    """The mean over the layer's contexts of acceptance by kind of list and width, and what one draw tells.

    acceptance : by list and verifier, at each width; ``None`` where it is not computed
    correlation : of a drawn token's probability under the draft with its probability of being accepted
    bins : for each bin of draft probabilities the mass that is drawn there, and what of it is accepted
    """
    return {"acceptance": acceptance_of(layer)} | drawn_tokens(layer)


def acceptance_of(layer: Layer) -> dict[str, list[float | None]]:
    """By the list's kind and its verifier the probability that some token of the list is accepted, at each width."""
    rows = list(zip(layer.target, layer.draft, strict=True))
    found: dict[str, list[float | None]] = {
        "by rule, NSS": [_mean([p[top_tokens(q, width)].sum() for p, q in rows]) for width in WIDTHS],
        "top and one draw, Greedy": [_mean([accepted_of_top(p, q, width).sum() for p, q in rows]) for width in WIDTHS],
        "without replacement, RRSw": [
            _mean([accepted_of_distinct(p, q, width).sum() for p, q in rows]) if width <= MOST_DISTINCT else None
            for width in WIDTHS
        ],
    }
    for name, solver in (("independent draws, SpecInfer", rrs), ("independent draws, SpecTr", k_seq)):
        laws = joint_laws(solver, layer.target, layer.draft, WIDTHS[-1])
        found[name] = [_mean(1 - law[0].sum(axis=1)) for law in laws]
    return found


def drawn_tokens(layer: Layer) -> dict[str, Any]:
    """One draw from the draft at a context of the layer, all contexts alike."""
    drawn = (layer.draft / layer.classes).ravel()
    ratio = np.divide(layer.target, layer.draft, out=np.zeros_like(layer.target), where=layer.draft > 0)
    accepted, likely = np.minimum(ratio, 1).ravel(), layer.draft.ravel()
    means = [float(drawn @ one) for one in (accepted, likely)]
    covariance = float(drawn @ ((accepted - means[0]) * (likely - means[1])))
    spread = float(drawn @ (accepted - means[0]) ** 2) ** 0.5 * float(drawn @ (likely - means[1]) ** 2) ** 0.5
    place = np.clip(np.searchsorted(EDGES, likely) - 1, 0, len(EDGES) - 2)
    masses = [np.bincount(place, weights=one, minlength=len(EDGES) - 1).tolist() for one in (drawn, drawn * accepted)]
    bins = [list(one) for one in zip(*masses, strict=True)]
    return {"correlation": covariance / spread if spread else 0.0, "bins": bins}


def _mean(values: Any) -> float:
    return float(np.mean(values))
