"""Roots read from their shards: what is known, what every action gives, and what it takes.  No torch is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veridraft.theory.rows.distributions import Row

from ..grid import Times
from ..plan import RootPlan
from ..schema import BLOCKS, LENGTH, SAMPLING

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Examples:
    """R roots of some texts.

    states : each (R, W);  scalars : (R, S);  tokens : (R, trees, verifiers, A) values of E[tau + 1] given a tree
    seconds : (R, verifiers, A) of a step;  draft_pass : (R,) of the draft's pass at the root
    texts, samplings : (R,) numbers
    """

    states: Mapping[str, Row]
    scalars: Row
    tokens: Row
    seconds: Row
    draft_pass: Row
    texts: Numbers
    samplings: Numbers

    @classmethod
    def read(cls, folder: Path, plan: RootPlan, machine: Times, kind: str) -> Examples:
        """The roots of a kind; raises ``FileNotFoundError`` for a shard that is not there."""
        parts = []
        for name in shard_names(plan, kind):
            with np.load(shard_place(folder, name)) as held:
                parts.append({field: held[field] for field in held.files})
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        lengths = whole["scalars"][:, LENGTH].astype(int).tolist()
        passes = machine.passes(lengths)
        return cls(
            {name: whole[name] for name in BLOCKS},
            np.concatenate([whole["scalars"], np.log(passes)], axis=1),
            whole["values"].reshape(*whole["values"].shape[:3], -1).astype(float),
            seconds_of(plan, machine, lengths),
            passes[:, 1],
            np.repeat(np.arange(len(parts)), [len(part["scalars"]) for part in parts]),
            _numbers(whole["scalars"][:, SAMPLING], plan),
        )

    def __len__(self) -> int:
        return len(self.texts)

    def some(self, chosen: NDArray[np.bool_] | Numbers) -> Examples:
        """Some of the roots."""
        arrays = (self.scalars, self.tokens, self.seconds, self.draft_pass, self.texts, self.samplings)
        return Examples({name: rows[chosen] for name, rows in self.states.items()}, *(one[chosen] for one in arrays))

    def of(self, number: int) -> Labels:
        """What one verifier gives."""
        return Labels(self.tokens[:, :, number], self.seconds[:, number], self.draft_pass, self.samplings)


def seconds_of(plan: RootPlan, machine: Times, lengths: Sequence[int]) -> Row:
    """(R, verifiers, A) the seconds of a step; verifiers that take equal time are asked once."""
    model = machine.model
    lines = [model.line(name) for name in plan.verifiers]
    found = {line: plan.grid.seconds(model, lengths, name) for name, line in zip(plan.verifiers, lines, strict=True)}
    return np.stack([found[line] for line in lines], axis=1)


def _numbers(pairs: Row, plan: RootPlan) -> Numbers:
    """(R,) which of the plan's samplings each root has, from temperature and top-p (R, 2)."""
    known = np.array(plan.temperatures)
    return np.abs(pairs[:, None] - known).sum(axis=2).argmin(axis=1)


@dataclass(frozen=True, eq=False)
class Labels:
    """What one verifier gives at R roots: tokens (R, trees, A), ``NaN`` for actions that it is not lossless for."""

    by_tree: Row
    seconds: Row
    draft_pass: Row
    samplings: Numbers

    @cached_property
    def tokens(self) -> Row:
        """(R, A) the mean over trees."""
        return self.by_tree.mean(axis=1)

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """(A,) the actions that have values."""
        return np.asarray(np.isfinite(self.by_tree).all(axis=(0, 1)))


def shard_names(plan: RootPlan, kind: str) -> list[str]:
    """The names of the shards of a kind, a text each."""
    return [f"{kind}-{number:04d}" for number in range(plan.counts[kind])]


def shard_place(folder: Path, name: str) -> Path:
    """The file of a shard."""
    return folder / f"{name}.npz"
