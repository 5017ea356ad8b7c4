"""The files of a head: ``head.npz``, its weights in half precision, and ``card.json``, which says what it is.

The card holds the SHA-256 of the weights.  What is the target's own (embeddings, final norm, output rows) is not in the
folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import torch
from ..embedded import sha256_of
from .card import CARD, WEIGHTS, read_card
from .network import Head

TOKENS = "tokens"


def save_head(head: Head, folder: Path, card: Mapping[str, Any]) -> None:
    """Write a head into a folder, which is made; the card's entries stand beside what :func:`load_head` needs."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {TOKENS: head.tokens.cpu().numpy().astype(np.int32)}
    for name, weight in head.own.state_dict().items():
        arrays[name] = weight.detach().half().cpu().numpy()
    with (folder / WEIGHTS).open("wb") as file:
        np.savez_compressed(file, **arrays)
    facts = {"layers": len(head.layers), "tokens": len(head.tokens), "sha256": sha256_of(folder / WEIGHTS)}
    text = json.dumps(facts | dict(card), indent=1, allow_nan=False)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")


def load_head(target: Any, folder: Path) -> Head:
    """The head in a folder, on its target: of the target's device and type of weights.

    Raises ``ValueError`` for a folder without a head, weights of another checksum, or a target of other shapes.
    """
    card = read_card(folder)
    place = folder / WEIGHTS
    if not place.exists() or sha256_of(place) != card["sha256"]:
        raise ValueError(f"{str(place)!r} is missing, or does not have the SHA-256 that its card says")
    with np.load(place) as held:
        arrays = {name: held[name] for name in held.files}
    head = Head(target, int(card["layers"]), arrays.pop(TOKENS).tolist())
    try:
        head.own.load_state_dict({name: torch.from_numpy(one) for name, one in arrays.items()})
    except RuntimeError as error:
        raise ValueError(f"the head in {str(folder)!r} is not for this target: {error}") from error
    return head
