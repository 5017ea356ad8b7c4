"""Names of networks as a person types them, checked before anything is fetched or loaded; no torch is needed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from veridraft.theory.rows.near_names import did_you_mean
from veridraft.theory.speed.networks import NETWORKS, get_network

from . import embedded
from .heads.card import SHIPPED, head_place, is_head_name, read_card

SKIP, RANDOM = "skip:", "random:"

DTYPES = ("float32", "bfloat16", "float16")

EMBEDDED = {"num_hidden_layers": 30, "vocab_size": 49152}
"""What the embedded network's configuration says."""


def check_names(target: str | None, draft: str | None, dtype: str = "float32", timing: bool = False) -> None:
    """Raise ``ValueError`` for a pair that cannot be, as far as names and what lies on this machine tell.

    ``None`` is the embedded target, and with it the embedded draft; ``timing`` allows ``random:SHAPE``.
    """
    check_dtype(dtype)
    if is_random(target) or is_random(draft):
        _check_random(target, draft, timing)
    if draft is None and target is not None:
        raise ValueError("draft is missing: give a folder, a name, a GGUF file, or skip:LAYERS of the target")
    draft = draft or embedded.DRAFT
    check_place("target", target)
    if is_head_name(draft):
        _check_head(target, draft)
        return
    held = facts_of(target)
    if draft.startswith(SKIP):
        check_skip(parse_skip(draft), held.get("num_hidden_layers"))
        return
    check_place("draft", draft)
    sizes = [found["vocab_size"] for found in (held, facts_of(draft)) if isinstance(found.get("vocab_size"), int)]
    if len(sizes) == 2:
        check_sizes(*sizes)


def _check_head(target: str | None, draft: str) -> None:
    if draft == SHIPPED and target is not None:
        raise ValueError(f"draft {draft!r} is the embedded target's: give the folder of a head that {target!r} taught")
    read_card(head_place(draft))


def check_dtype(name: str) -> None:
    """Raise ``ValueError`` for another type of weights than the three."""
    if name not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, but is {name!r}{did_you_mean(name, DTYPES)}")


def check_sizes(target: int, draft: int) -> None:
    """Raise ``ValueError`` unless both vocabularies have one size."""
    if target != draft:
        raise ValueError(f"target and draft must share a vocabulary, but have {target} and {draft} tokens")


def is_random(name: str | None) -> bool:
    """True for a name such as ``random:8B``."""
    return name is not None and name.startswith(RANDOM)


def _check_random(target: str | None, draft: str | None, timing: bool) -> None:
    if not timing:
        raise ValueError(f"target {target!r} and draft {draft!r}: random weights are for timing, and tell nothing here")
    if not is_random(target) or draft is None or not (is_random(draft) or draft.startswith(SKIP)):
        raise ValueError(
            f"target {target!r} and draft {draft!r}: give {RANDOM}SHAPE for both, or skip:LAYERS for the draft; "
            f"shapes are {', '.join(NETWORKS)}"
        )


def parse_skip(text: str) -> tuple[int, ...]:
    """The layers that a text such as ``skip:17,18,16,14`` names.

    Raises ``ValueError`` for anything else.
    """
    numbers = text.removeprefix(SKIP).split(",")
    if not text.startswith(SKIP) or not all(number.strip().isdigit() for number in numbers):
        raise ValueError(f"draft {text!r} is not of the form skip:17,18 (layers to leave out)")
    return tuple(int(number) for number in numbers)


def check_skip(layers: Sequence[int], count: int | None) -> None:
    """Raise ``ValueError`` for layers out of range, repeated, or all of ``count``, if that is known."""
    for layer in layers:
        if count is not None and not 0 <= layer < count:
            raise ValueError(f"draft leaves out layer {layer}; the target's layers are 0 to {count - 1}")
    if len(set(layers)) != len(layers) or (count is not None and len(layers) >= count):
        every = "" if count is None else f", and not all {count}"
        raise ValueError(f"draft leaves out layers {tuple(layers)}: they must be distinct{every}")


def check_place(role: str, name: str | None) -> None:
    """Raise ``ValueError`` that begins with the role for a name that is no network's, as far as that can be seen."""
    if name is None or is_random(name):
        return
    path = Path(name)
    if path.is_dir():
        if not (path / "config.json").exists():
            raise ValueError(f"{role} {name!r} is a folder without a model: it has no config.json")
    elif path.is_file():
        if path.suffix != ".gguf":
            raise ValueError(f"{role} {name!r} is a file, but not a GGUF file")
    elif path.is_absolute() or name.startswith(".") or path.suffix == ".gguf":
        raise ValueError(f"{role} {name!r} does not exist")
    elif not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise ValueError(f"{role} {name!r} is neither a folder, nor a GGUF file, nor a name that a model can have")


def facts_of(name: str | None) -> dict[str, Any]:
    """What is known of a network's configuration without loading it: nothing, for a name or a GGUF file."""
    if name is None:
        return EMBEDDED
    if is_random(name):
        shape = get_network(name.removeprefix(RANDOM))
        return {"num_hidden_layers": shape.layers, "vocab_size": shape.vocabulary_size}
    file = Path(name, "config.json")
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (OSError, ValueError):  # what is wrong with it says whoever loads it
        return {}
    return found if isinstance(found, dict) else {}
