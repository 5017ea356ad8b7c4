"""The actions that a selector chooses from, and what a step of each takes on a machine.  No torch is needed."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridraft.theory.policies.paths import Delayed
from veridraft.theory.rows.distributions import Row, check_count
from veridraft.theory.speed.hardware import get_device
from veridraft.theory.speed.latency import Line, PassTable, PassTime, Seconds
from veridraft.theory.speed.networks import Network, get_network
from veridraft.theory.speed.rates import LatencyModel, roofline_model
from veridraft.theory.speed.schedules import Schedule
from veridraft.theory.verifiers.table import get_verifier

HEAD = "head"
"""The shape of a draft that is one layer on its target."""


@dataclass(frozen=True)
class Grid:
    """Actions (K, L1, L2): K is 1 to ``paths``, L1 and L2 are 0 to ``levels`` (2602.16994 has 4 and 8: 324 actions).

    They are numbered with L2 running fastest.  Those that are one policy, such as all of one path and length, keep
    numbers of their own.
    """

    paths: int = 4
    levels: int = 8

    def __post_init__(self) -> None:
        check_count("paths", self.paths, 1)
        check_count("levels", self.levels, 1)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(K, L + 1, L + 1)."""
        return self.paths, self.levels + 1, self.levels + 1

    @cached_property
    def triples(self) -> tuple[tuple[int, int, int], ...]:
        """(A,) the actions as (K, L1, L2)."""
        return tuple((paths + 1, trunk, branch) for paths, trunk, branch in np.ndindex(self.shape))

    @cached_property
    def policies(self) -> tuple[Delayed, ...]:
        """(A,) the actions as policies: one path, or a trunk alone, is a chain."""
        return tuple(Delayed(*triple).plainest for triple in self.triples)

    def allowed(self, verifier: str) -> NDArray[np.bool_]:
        """(A,) the actions that a verifier is lossless for."""
        entry = get_verifier(verifier)
        return np.array([entry.supports(policy) for policy in self.policies])

    def seconds(self, model: LatencyModel, lengths: Sequence[int], verifier: str = "*") -> Row:
        """(R, A) the seconds of a step of every action, behind texts of so many tokens, the root's included."""
        schedules = [Schedule.of_policy(policy) for policy in self.policies]
        found = {(schedule, length): float(model.step(schedule, length, verifier).total)
                 for length in set(lengths) for schedule in set(schedules)}  # fmt: skip
        return np.array([[found[schedule, length] for schedule in schedules] for length in lengths])


class Times(ABC):
    """Where time comes from: ``choice`` seconds that choosing adds to a step, and a latency model."""

    choice: float

    @property
    @abstractmethod
    def model(self) -> LatencyModel:
        """Its latency model."""

    @property
    @abstractmethod
    def said(self) -> str:
        """Whose times these are, as a page says it."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What it is made of, as JSON gives it back."""

    def __post_init__(self) -> None:
        if not 0 <= self.choice < np.inf:
            raise ValueError(f"choice must be a number of seconds of at least 0, but is {self.choice}")
        assert self.model  # raises for names that are not known

    def passes(self, lengths: Sequence[int]) -> Row:
        """(R, 2) seconds of a target's and of a draft's pass over one token, the last of so many."""
        model = self.model
        return np.array([[float(one.seconds(length - 1, 1)) for one in (model.target, model.draft)]
                         for length in lengths])  # fmt: skip


@dataclass(frozen=True)
class Machine(Times):
    """A named GPU, and the shapes of two networks on it.

    gpu : of :data:`.DEVICES`;  target, draft : of :data:`.NETWORKS`, the draft also ``head``;
    choice : an assumption, as the floor of verification is one
    """

    gpu: str = "H100"
    target: str = "8B"
    draft: str = HEAD
    choice: float = 2e-4

    @cached_property
    def model(self) -> LatencyModel:
        """Its latency model; ``ValueError`` for unknown names, or weights that do not fit."""
        target = get_network(self.target)
        return roofline_model(target, self._draft(target), get_device(self.gpu))

    def _draft(self, target: Network) -> Network:
        return target.head() if self.draft == HEAD else get_network(self.draft)

    @property
    def said(self) -> str:
        """Networks and GPU."""
        return f"{self.target} with {self.draft} on an {self.gpu} by roofline"

    def settings(self) -> dict[str, Any]:
        """Its fields."""
        return asdict(self)


@dataclass(frozen=True)
class MeasuredMachine(Times):
    """The machine that a latency file was measured on; the file's numbers are kept, and it may go.

    file : the latency model of the file, tables of passes;  choice : seconds, as measured there
    """

    file: LatencyModel
    choice: float

    @cached_property
    def model(self) -> LatencyModel:
        """That of the file, also behind contexts that were not measured: as behind the nearest that was."""
        target, draft = self.file.target, self.file.draft
        assert isinstance(target, PassTable) and isinstance(draft, PassTable)
        return replace(self.file, target=Nearest(target), draft=Nearest(draft))

    @property
    def said(self) -> str:
        """Machine and networks."""
        return f"{self.file.name}, measured"

    def settings(self) -> dict[str, Any]:
        """The numbers of the file."""
        held: dict[str, Any] = json.loads(json.dumps({"measured": asdict(self.file), "choice": self.choice}))
        return held

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> MeasuredMachine:
        """The machine of such settings."""
        held = dict(settings["measured"])
        for name in ("target", "draft"):
            own = held[name]
            table = tuple(map(tuple, own["table"]))
            held[name] = PassTable(tuple(own["contexts"]), tuple(own["sizes"]), table, own["name"])
        held["verification"] = {name: Line(**line) for name, line in held["verification"].items()}
        return cls(LatencyModel(**held | {"overhead": Line(**held["overhead"])}), settings["choice"])


@dataclass(frozen=True)
class Nearest(PassTime):
    """A measured pass, behind fewer or more tokens than were measured as behind the nearest number that was."""

    table: PassTable

    def seconds(self, context: int, new: int) -> Seconds:
        """Those of the table; ``ValueError`` for a number of new tokens that was not measured."""
        contexts = self.table.contexts
        return self.table.seconds(min(max(context, contexts[0]), contexts[-1]), new)


def machine_of(settings: Mapping[str, Any]) -> Times:
    """The machine of its settings."""
    return MeasuredMachine.of(settings) if "measured" in settings else Machine(**settings)
