"""What a selector learns from and how: roots, labels, training.  No torch is needed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from veridraft.theory.rows.distributions import check_count
from veridraft.theory.verifiers.table import get_verifier

from .grid import Grid, Machine, Times, machine_of

if TYPE_CHECKING:
    from ..trees.sampling import Sampling

LEARN, HELD_OUT = "learn", "held-out"

VERIFIERS = (
    "naive", "block", "nss", "naive_tree", "specinfer", "spectr", "optimal", "traversal", "lifted_k_seq",
    "lifted_optimal",
)  # fmt: skip
"""Single paths, one-step rules from the root, and rules that decide subtrees first.

Khisti's rule stands apart: its lists are ranked over the whole vocabulary, a linear programme each.
"""

RANKING = "khisti", "lifted_khisti"
"""Verifiers whose values need the rows of every token."""

SAMPLINGS = ((0.6, 1.0), (1.0, 1.0), (1.0, 0.9))
"""Temperature and top-p of the texts, and of both rows along them."""


@dataclass(frozen=True)
class RootPlan:
    """Roots and their labels.

    texts, held_out : how many texts of each kind, the samplings (temperature, top-p) in turn
    roots, spacing : of a text at most, and tokens from one to the next;  together : texts written at once
    trees : nested trees drawn at each root, at least 2: a label is the mean over them
    Raises ``ValueError`` for numbers out of range, an unknown verifier, or one that no action suits.
    """

    texts: int = 96
    held_out: int = 32
    roots: int = 8
    spacing: int = 16
    trees: int = 2
    temperatures: tuple[tuple[float, float], ...] = SAMPLINGS
    grid: Grid = field(default_factory=Grid)
    verifiers: tuple[str, ...] = VERIFIERS
    seed: int = 0
    together: int = 16

    kinds = (LEARN, HELD_OUT)

    def __post_init__(self) -> None:
        for name, least in (("texts", 2), ("held_out", 2), ("roots", 1), ("spacing", 1), ("trees", 2), ("seed", 0),
                            ("together", 1)):  # fmt: skip
            check_count(name, getattr(self, name), least)
        for temperature, top_p in self.temperatures:
            if not (temperature > 0 and 0 < top_p <= 1):
                raise ValueError(f"samplings must have temperatures above 0 and top-p in (0, 1], but have "
                                 f"{temperature}:{top_p}")  # fmt: skip
        if not self.temperatures:
            raise ValueError("samplings are none: give at least one")
        if not self.verifiers or len(set(self.verifiers)) < len(self.verifiers):
            given = ", ".join(self.verifiers) or "none"
            raise ValueError(f"verifiers must be at least one, each once, but are {given}")
        for name in self.verifiers:
            get_verifier(name)
            if self.grid.allowed(name).sum() < 2:
                raise ValueError(f"verifier {name!r} is lossless for no delayed tree, so that nothing can be chosen")

    @property
    def samplings(self) -> tuple[Sampling, ...]:
        """The samplings."""
        from ..trees.sampling import Sampling

        return tuple(Sampling(temperature, top_p=top_p) for temperature, top_p in self.temperatures)

    @property
    def counts(self) -> dict[str, int]:
        """How many texts of each kind."""
        return {LEARN: self.texts, HELD_OUT: self.held_out}

    def settings(self) -> dict[str, Any]:
        """All fields, as JSON gives them back."""
        lists = {"temperatures": [list(one) for one in self.temperatures], "verifiers": list(self.verifiers)}
        return asdict(self) | lists

    @classmethod
    def of(cls, settings: dict[str, Any]) -> RootPlan:
        """The plan of such settings."""
        own = {name: settings[name] for name in cls.__dataclass_fields__}
        pairs = tuple((one[0], one[1]) for one in own["temperatures"])
        return cls(**own | {"temperatures": pairs, "verifiers": tuple(own["verifiers"]), "grid": Grid(**own["grid"])})


@dataclass(frozen=True)
class TrainingPlan:
    """How networks are taught: AdamW, batches drawn from the seed and the step, the state kept that did best.

    regret, worst : the loss is the mean of -log(TPS / TPS of the baseline) plus ``regret`` times the mean square of the
        worst share ``worst`` of what falls below the baseline (2602.16994, eqs. 4 and 5, which name neither number)
    checked : one text to learn from in so many is kept to choose the state by, looked at every ``every`` steps
    """

    steps: int = 400
    batch: int = 64
    learning_rate: float = 1e-3
    dropout: float = 0.1
    regret: float = 1.0
    worst: float = 0.1
    checked: int = 5
    every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("checked", 2), ("every", 1), ("seed", 0)):
            check_count(name, getattr(self, name), least)
        for name, low, high in (("learning_rate", 0, 1), ("dropout", -1e-9, 1), ("regret", -1e-9, 1e9),
                                ("worst", 0, 1 + 1e-9)):  # fmt: skip
            if not low < getattr(self, name) < high:
                raise ValueError(f"{name.replace('_', '-')} is {getattr(self, name)}, which is out of its range")

    def settings(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


@dataclass(frozen=True)
class SelectorPlan:
    """Roots, a machine, and training.

    Raises ``ValueError`` for fewer texts than one of which is kept, and for a machine that was not measured with as
    large trees, or whose verification was not.
    """

    roots: RootPlan = field(default_factory=RootPlan)
    machine: Times = field(default_factory=Machine)
    training: TrainingPlan = field(default_factory=TrainingPlan)

    def __post_init__(self) -> None:
        if self.roots.texts < self.training.checked:
            raise ValueError(f"texts must be at least {self.training.checked}, of which one chooses the state that is "
                             f"kept, but are {self.roots.texts}")  # fmt: skip
        model = self.machine.model
        for verifier in {model.line(name): name for name in self.roots.verifiers}.values():
            self.roots.grid.seconds(model, [1], verifier)

    def settings(self) -> dict[str, Any]:
        """Those of all parts."""
        machine, training = self.machine.settings(), self.training.settings()
        return {"roots": self.roots.settings(), "machine": machine, "training": training}

    @classmethod
    def of(cls, settings: dict[str, Any]) -> SelectorPlan:
        """The plan of such settings."""
        training = TrainingPlan(**settings["training"])
        return cls(RootPlan.of(settings["roots"]), machine_of(settings["machine"]), training)
