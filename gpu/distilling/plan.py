"""What determines a distilled draft, given its target: settings, checked when they are made; no torch is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from math import cos, inf, isfinite, pi
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..models.pairs import ModelPair

WARM_UP = 0.05
"""The share of the steps over which the learning rate rises; it falls as a cosine to a tenth afterwards."""


class Embeddings(Enum):
    """Where a student's embeddings, and the weights that make its logits, come from."""

    RANDOM = "random"
    """Drawn."""
    TARGET = "target"
    """The target's as the first values; a narrower student takes the principal directions of the target's."""
    SHARED = "shared"
    """The target's own, never changed; the student has the target's width."""


@dataclass(frozen=True)
class StudentShape:
    """What a student looks like.

    layers, width : of a Llama of its own; by default 4 layers of half the target's width
    from_layers : instead, the target's layers with these numbers, in this order, with its embeddings and final norm
    Raises ``ValueError`` for both at once, numbers below 1, or repeated layers.
    """

    layers: int | None = None
    width: int | None = None
    from_layers: tuple[int, ...] = ()
    embeddings: Embeddings = Embeddings.TARGET

    def __post_init__(self) -> None:
        own = {"layers": self.layers, "width": self.width}
        for name, value in own.items():
            if value is not None and self.from_layers:
                raise ValueError(f"{name} is {value}, but the student is made of target layers {self.from_layers}")
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, but is {value}")
        if list(self.from_layers) != sorted(set(self.from_layers)):
            raise ValueError(f"from_layers must be distinct and ascending, but are {self.from_layers}")
        if self.from_layers and self.embeddings is Embeddings.RANDOM:
            raise ValueError("embeddings must be target or shared for a student of the target's layers, not random")


def check_layers(layers: Sequence[int], count: int | None) -> None:
    """Raise ``ValueError`` for a layer that a target of ``count`` layers, if that is known, has not."""
    for layer in layers:
        if count is not None and not 0 <= layer < count:
            raise ValueError(f"from_layers names layer {layer}; the target's layers are 0 to {count - 1}")


def check_micro_batch(size: int | None) -> None:
    """Raise ``ValueError`` for less than one sequence at once."""
    if size is not None and size < 1:
        raise ValueError(f"micro_batch must be at least 1, but is {size}")


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts; at least one does.  Raises ``ValueError`` for others than finite weights >= 0.

    kl : sum p log(p / q) over the vocabulary, the target's rows in full; steady far from the target
    tv : sum |p - q| / 2, which is 1 minus the acceptance rate of one draft: what speculative decoding pays for
    adversarial : - log of what the judge gives the student's rows, see ``Judge`` in :mod:`.losses`
    """

    kl: float = 1.0
    tv: float = 1.0
    adversarial: float = 0.0

    def __post_init__(self) -> None:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        for name, value in values.items():
            if not (value >= 0 and isfinite(value)):
                raise ValueError(f"weight {name} must be finite and at least 0, but is {value}")
        if not any(values.values()):
            raise ValueError("weights kl, tv and adversarial are all 0: there is nothing to learn")


@dataclass(frozen=True)
class DistilPlan:
    """Everything that determines a draft, given the target; ``ValueError`` for numbers out of range.

    sequences, held_out : how many samples to learn from, and how many to measure on
    length, temperature : of every sample; ``shard`` of them are drawn together
    prompts : what they begin with; ``None`` leaves all words to the target
    steps, batch : batches of so many sequences; ``learning_rate`` is the highest
    evaluate_every : steps from one look at the held-out samples to the next; the untrained student gets one too
    """

    sequences: int = 4096
    held_out: int = 128
    length: int = 256
    temperature: float = 1.0
    shard: int = 512
    prompts: tuple[str, ...] | None = None
    student: StudentShape = field(default_factory=StudentShape)
    weights: LossWeights = field(default_factory=LossWeights)
    steps: int = 2000
    batch: int = 32
    learning_rate: float = 1e-3
    evaluate_every: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("sequences", "held_out", "shard", "steps", "batch", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if self.length < 2:
            raise ValueError(f"length must be at least 2, but is {self.length}")
        if not 0 < self.temperature < inf:
            raise ValueError(f"temperature must be above 0, but is {self.temperature}")
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"learning_rate must lie in (0, 1), but is {self.learning_rate}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, but is {self.seed}")
        if self.batch > self.sequences:
            raise ValueError(f"batch is {self.batch}, but there are only {self.sequences} sequences")

    def settings(self, target: ModelPair) -> dict[str, Any]:
        """What a run in a folder must agree in before it is continued, as JSON gives it back."""
        values = asdict(self)
        student = values.pop("student") | {"embeddings": self.student.embeddings.value}
        student["from_layers"] = list(self.student.from_layers)
        values["prompts"] = None if self.prompts is None else list(self.prompts)
        names = {"target": target.target_name, "vocabulary_size": target.vocabulary_size}
        return names | {"dtype": target.dtype, "device": target.device.type, "student": student} | values

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return cosine_rate(self.learning_rate, step, self.steps)

    def numbers(self, step: int) -> NDArray[np.int64]:
        """Which sequences make up the batch of a step: every one once in each pass over the samples."""
        return numbers_of(step, self.batch, self.sequences, self.seed)


def cosine_rate(highest: float, step: int, steps: int) -> float:
    """The learning rate of a step out of so many: it rises in the first ``WARM_UP`` of them, and falls to a tenth."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return highest * (step + 1) / warm
    share = (step - warm) / max(1, steps - warm)
    return highest * (0.1 + 0.45 * (1 + cos(pi * share)))


def numbers_of(step: int, batch: int, count: int, seed: int) -> NDArray[np.int64]:
    """Which of ``count`` numbers make up the batch of a step: every one at most once in each pass over them."""
    per_pass = count // batch
    order = np.random.default_rng([seed, step // per_pass]).permutation(count)
    first = step % per_pass * batch
    return order[first : first + batch]
