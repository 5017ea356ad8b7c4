"""Where heads lie and what their cards say; no torch is needed.

A head is a folder of two files: ``head.npz``, its weights, and ``card.json``, what it is and how it came to be.  One is
shipped, for the embedded target.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...files.whole import read_facts
from .. import embedded

WEIGHTS, CARD = "head.npz", "card.json"

SHIPPED = "head"
"""The name of the embedded target's own head."""


def is_head_name(draft: str) -> bool:
    """True for the shipped head's name, and for a folder with a card."""
    return draft == SHIPPED or (Path(draft) / CARD).is_file()


def head_place(draft: str) -> Path:
    """The folder of a head that a name stands for."""
    return Path(__file__).parent / embedded.NAME if draft == SHIPPED else Path(draft)


def read_card(folder: Path) -> dict[str, Any]:
    """The card; raises ``ValueError`` for a folder without a head, or a card that is none."""
    return read_facts(folder / CARD, "head", ("layers", "tokens", "sha256"))
