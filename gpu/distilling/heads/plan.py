"""What determines a trained head, given its target: settings, checked when they are made; no torch is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ...models.heads.card import read_card
from ..plan import LossWeights, cosine_rate, numbers_of

if TYPE_CHECKING:
    import numpy as np

    from ...models.pairs import ModelPair

DEEPEST = 6
"""Acceptance is measured at depths 1 to this."""


@dataclass(frozen=True)
class HeadPlan:
    """How a head is made and taught.

    layers : decoder layers, warm-started from the target's last;  tokens : M, the most frequent ones by the target's
        own rows;  depth : levels of its own predictions that it learns from, each weighing ``fade`` times the one above
    noise : standard deviation of what is added to the target's states, over their own root mean square
    shards : of features, with ``features`` for how they are drawn;  batch : texts of a step
    weights : of the divergences and of the judge, restricted to the head's tokens
    start_from : the folder of a head to go on from, whose tokens and layers are kept
    Raises ``ValueError`` for numbers out of range.
    """

    layers: int = 1
    tokens: int = 8192
    depth: int = 3
    fade: float = 0.8
    noise: float = 0.05
    shards: int = 8
    rows: int = 112
    length: int = 256
    temperatures: tuple[float, ...] = (1.0, 1.0, 1.0, 0.6)
    weights: LossWeights = field(default_factory=lambda: LossWeights(0.5, 0.5, 0.0))
    steps: int = 1000
    batch: int = 4
    learning_rate: float = 1e-3
    evaluate_every: int = 100
    seed: int = 0
    start_from: Path | None = None

    def __post_init__(self) -> None:
        for name in ("layers", "tokens", "depth", "shards", "rows", "steps", "batch", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if self.length < 2:
            raise ValueError(f"length must be at least 2, but is {self.length}")
        if not 0 < self.fade <= 1:
            raise ValueError(f"fade must lie in (0, 1], but is {self.fade}")
        if not 0 <= self.noise < 1:
            raise ValueError(f"noise must lie in [0, 1), but is {self.noise}")
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"learning_rate must lie in (0, 1), but is {self.learning_rate}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, but is {self.seed}")
        if self.batch > self.texts:
            raise ValueError(f"batch is {self.batch}, but there are only {self.texts} texts")

    def check(self, facts: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` for a target of which these facts, of its configuration, say that it does not fit."""
        limits = {"layers": "num_hidden_layers", "tokens": "vocab_size", "length": "max_position_embeddings"}
        said = {"layers": "layers", "tokens": "tokens", "length": "positions"}
        for name, fact in limits.items():
            limit, value = facts.get(fact), getattr(self, name)
            if isinstance(limit, int) and value > limit:
                raise ValueError(f"{name} is {value}, but the target has {limit} {said[name]}")
        if self.start_from is not None:
            card = read_card(self.start_from)
            for name in ("layers", "tokens"):
                if card[name] != getattr(self, name):
                    raise ValueError(f"{name} is {getattr(self, name)}, but start_from holds a head with {card[name]}")

    @property
    def texts(self) -> int:
        """How many texts there are to learn from."""
        return self.shards * self.rows

    def settings(self, target: ModelPair) -> dict[str, Any]:
        """What a run in a folder must agree in before it is continued, as JSON gives it back."""
        values = asdict(self) | {"temperatures": list(self.temperatures)}
        values["start_from"] = None if self.start_from is None else str(self.start_from)
        return target.traits | {"draft": "head"} | values

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return cosine_rate(self.learning_rate, step, self.steps)

    def numbers(self, step: int) -> NDArray[np.int64]:
        """Which texts make up the batch of a step: every one once in each pass over the texts."""
        return numbers_of(step, self.batch, self.texts, self.seed)
