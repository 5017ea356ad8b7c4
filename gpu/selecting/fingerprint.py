"""Which pair a selector was made for: names are not enough, since a head or a fine-tuned draft keeps its name."""

from __future__ import annotations

import hashlib
from typing import Any

from ..models.pairs import ModelPair

LOOKED_AT = 64
"""Numbers of each weight that are looked at, at even distances."""


def fingerprint_of(pair: ModelPair) -> dict[str, Any]:
    """Names, vocabulary, and a digest of the shapes and of numbers of every weight of both networks."""
    own = {"target": pair.target_name, "draft": pair.draft_name, "vocabulary_size": pair.vocabulary_size}
    return own | {"weights": [_digest(network) for network in (pair.target, pair.draft)]}


def _digest(network: Any) -> str:
    found = hashlib.sha256()
    for name, weight in network.named_parameters():
        flat = weight.detach().flatten()
        found.update(f"{name} {tuple(weight.shape)}".encode())
        found.update(flat[:: max(1, len(flat) // LOOKED_AT)].float().cpu().numpy().tobytes())
    return found.hexdigest()[:16]
