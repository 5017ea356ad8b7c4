"""The files of a head: ``head.npz``, its weights in eight bits a number, and ``card.json``, which says what it is.

Matrices are held as integers of 8 bits, each row with a scale of its own; vectors in float32.  The card holds the
SHA-256 of the weights.  What is the target's own (embeddings, final norm, output rows) is not in the folder.
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

TOKENS, SCALE = "tokens", ":scale"


def save_head(head: Head, folder: Path, card: Mapping[str, Any]) -> None:
    """Write a head into a folder, which is made; the card's entries stand beside what :func:`load_head` needs."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {TOKENS: head.tokens.cpu().numpy().astype(np.int32)}
    for name, weight in head.own.state_dict().items():
        arrays |= _in_bytes(name, weight.detach().float().cpu().numpy())
    with (folder / WEIGHTS).open("wb") as file:
        np.savez_compressed(file, **arrays)
    facts = {"layers": len(head.layers), "tokens": len(head.tokens), "sha256": sha256_of(folder / WEIGHTS)}
    text = json.dumps(facts | dict(card), indent=1, allow_nan=False)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")


def _in_bytes(name: str, weight: Any) -> dict[str, Any]:
    """A matrix as integers and the scales of its rows; a vector as it is."""
    if weight.ndim < 2:
        return {name: weight}
    scale = np.maximum(np.abs(weight).max(axis=1, keepdims=True) / 127, np.finfo(np.float32).tiny)
    return {name: np.rint(weight / scale).astype(np.int8), name + SCALE: scale.astype(np.float32)}


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
    weights = {name: array * arrays.get(name + SCALE, 1) for name, array in arrays.items() if not name.endswith(SCALE)}
    try:
        head.own.load_state_dict({name: torch.from_numpy(np.asarray(one)) for name, one in weights.items()})
    except RuntimeError as error:
        raise ValueError(f"the head in {str(folder)!r} is not for this target: {error}") from error
    return head
