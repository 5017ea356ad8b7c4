"""What a defect does to accepted lengths: real decoding with it in place, exported in every shape and read back.

A defect is first tried on the trees of a pilot run, coin after coin, and the theory's exact law on the same trees says
by how much it changes the law of accepted lengths.  From that follow the steps after which the comparison given the
trees must find it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, inf, log, sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import scipy

from veridraft.gpu.engines.agreement.agreement import RATE_ROUNDING, compare_lengths
from veridraft.gpu.engines.agreement.predictions import LengthPrediction, predict_from_trace
from veridraft.gpu.engines.recorder import RunRecorder
from veridraft.gpu.engines.traces import Trace
from veridraft.gpu.models.backend import torch, transformers
from veridraft.gpu.models.layer_skip import without_layers
from veridraft.gpu.models.pairs import ModelPair
from veridraft.simulate.batches.rows import Floats, Ints
from veridraft.simulate.defects.kinds import Defect
from veridraft.theory.rows.near_names import did_you_mean
from veridraft.theory.rows.trees import DraftTree

from .defective_engines import IN_PLACE, NOT_IN_PLACE, Engine, decoded, place_of
from .readings import Reading, readings
from .text import RIGHT_ROWS

LEVEL, MISS = 1 - 1e-6, 1e-4
"""The level of each comparison, and the probability that one misses a defect at the steps planned for it."""

PILOT, COINS = 1024, 200
"""Steps of a pilot run, and how often a defect decides each of its trees."""

COIN_STEPS = 128
"""Trees on which a defect that seems to leave lengths alone is held against the right procedure, coin by coin."""

LEAST_STEPS, MOST_STEPS, RIGHT_STEPS = 1000, 6000, 2000
"""Steps of a run: as planned, within these; of a right procedure, and of a defect that lengths cannot show."""


@cache
def small_pair() -> ModelPair:
    """A Llama of 3 layers, 16 tokens and random weights, as peaked as a text model; its draft leaves a layer out."""
    config = transformers.LlamaConfig(
        vocab_size=16, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.3, bos_token_id=None,
        eos_token_id=None, attn_implementation="sdpa",
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config).eval()
    return ModelPair(model, without_layers(model, (1,)), None, "small", "skip:1")


@dataclass(frozen=True, eq=False)
class Effect:
    """What a defect does to the probabilities (L,) of reaching each position, on the same trees.

    right : exact, the mean over trees; broken : seen in many decisions; spread : (L,) their standard error
    impossible : how often a step does what has probability 0 given its tree, on average
    """

    right: Floats
    broken: Floats
    spread: Floats
    impossible: float

    @property
    def total_variation(self) -> float:
        """Between the two laws of accepted lengths, in [0, 1]; what chance gives is in it."""
        laws = [-np.diff(np.concatenate([[1.0], rates, [0.0]])) for rates in (self.right, self.broken)]
        return float(np.abs(laws[0] - laws[1]).sum() / 2)

    @property
    def is_seen(self) -> bool:
        """True if a position differs by more than 4 standard errors, or something impossible was done."""
        return bool((np.abs(self.broken - self.right) > 4 * self.spread + RATE_ROUNDING).any()) or self.impossible > 0

    def steps(self) -> float:
        """After how many steps the comparison given the trees finds it, but for the probability ``MISS``.

        Either the difference, less 3 standard errors, exceeds the interval's half-width (Bernstein's at ``LEVEL``) and
        what chance may take off, or something impossible is done; infinite if there is nothing of either.
        """
        sizes = np.abs(self.broken - self.right) - 3 * self.spread
        needed = [_needed(*one, len(sizes)) for one in zip(sizes, self.right, self.broken, strict=True)]
        certain = log(1 / MISS) / self.impossible if self.impossible else inf
        return max(float(LEAST_STEPS), min(*needed, certain))


def _needed(size: float, right: float, broken: float, depth: int) -> float:
    """The steps N for which ``size`` is the half-width plus the normal quantile of ``MISS``: a root in 1 / sqrt(N)."""
    if size <= 0:
        return inf
    logarithm = log(2 * (depth + 2) / (1 - LEVEL))
    slope = sqrt(2 * right * (1 - right) * logarithm) + float(scipy.stats.norm.isf(MISS)) * sqrt(broken * (1 - broken))
    root = (sqrt(slope**2 + 4 * size * logarithm / 3) - slope) / (2 * logarithm / 3)
    return 1 / root**2


def effect_of(engine: Engine, trees: Sequence[DraftTree], right: Floats, seed: int) -> Effect:
    """The effect on S trees, each decided ``COINS`` times; right: (S, L) the theory's probabilities on these trees."""
    rng, reached, positions = np.random.default_rng(seed), np.zeros(right.shape), np.arange(right.shape[1])
    for places, arrays in engine.groups(trees):
        for start in range(0, len(places), 64):
            some = tuple(np.concatenate([array[start : start + 64]] * COINS) for array in arrays)
            taus = engine.call(some, rng).accepted.reshape(COINS, -1, 1)
            reached[places[start : start + 64]] = (taus > positions).mean(axis=0)
    broken, trials = reached.mean(axis=0), len(trees) * COINS
    impossible = np.where(right < RATE_ROUNDING, reached, np.where(right > 1 - RATE_ROUNDING, 1 - reached, 0.0))
    spread = np.sqrt(np.maximum(broken * (1 - broken), 1 / trials) / trials)
    return Effect(right.mean(axis=0), broken, spread, float(impossible.max(axis=1).mean()))


@dataclass(frozen=True, eq=False)
class Recorded:
    """A run: its recorder, its trees, and the lengths that the right verifier would show on these."""

    recorder: RunRecorder
    trees: list[DraftTree]
    prediction: LengthPrediction

    @property
    def laws(self) -> Floats:
        """(S, L) the right verifier's probabilities in the order of the trees; the prediction goes by request."""
        assert self.recorder.trace is not None and self.prediction.laws is not None
        laws = np.empty_like(self.prediction.laws)
        laws[np.argsort(self.recorder.trace.found["requests"], kind="stable")] = self.prediction.laws
        return laws


def recorded(defect: Defect, engine: Engine, steps: int, seed: int) -> Recorded:
    """A run of so many steps."""
    verifier, policy = place_of(defect)
    recorder, trees = decoded(small_pair(), verifier, engine, steps, seed)
    assert recorder.trace is not None
    return Recorded(recorder, trees, predict_from_trace(Trace(recorder.trace.arrays()), verifier, policy))


def _engine(defect: Defect, verifier: Any, seed: int) -> Engine:
    return Engine(defect.form, verifier, place_of(defect)[1], seed)


def piece_of(name: str, beside: str, folder: Path) -> dict[str, Any]:
    """What a defect does to lengths, and what is found of it; ``beside`` names one with the same right procedure."""
    defect = IN_PLACE[name]
    pilot = recorded(defect, _engine(defect, defect.broken, 1), PILOT, 2)
    effect = effect_of(_engine(defect, defect.broken, 0), pilot.trees, pilot.laws, 3)
    planned = effect.steps()
    steps = ceil(planned) if planned <= MOST_STEPS else RIGHT_STEPS
    run = recorded(defect, _engine(defect, defect.broken, 4), steps, 5)
    found = readings(run.recorder, run.prediction, pilot.prediction, folder, LEVEL)
    found[RIGHT_ROWS] = Reading.of(compare_lengths(run.recorder.run(), right_run(beside).prediction, LEVEL))
    verifier, policy = place_of(defect)
    return {
        "number": defect.number, "name": defect.name, "form": defect.form.value, "verifier": verifier,
        "policy": policy.name, "right": effect.right.tolist(), "broken": effect.broken.tolist(),
        "total_variation": effect.total_variation, "seen": effect.is_seen,
        "impossible": effect.impossible,
        "planned": planned if planned <= MOST_STEPS else None, "steps": steps,
        "found": {name: reading.to_json() for name, reading in found.items()},
    }  # fmt: skip


def right_piece(name: str, folder: Path) -> dict[str, Any]:
    """What is read of the right procedure beside a defect."""
    defect = IN_PLACE[name]
    run = recorded(defect, _engine(defect, defect.correct, 4), RIGHT_STEPS, 5)
    found = readings(run.recorder, run.prediction, right_run(name).prediction, folder, LEVEL)
    return {"steps": RIGHT_STEPS, "found": {name: reading.to_json() for name, reading in found.items()}}


def same_coins(name: str) -> bool:
    """True if the defect and the right procedure accept the same lengths on the same trees, coin by coin."""
    defect = IN_PLACE[name]
    trees = recorded(defect, _engine(defect, defect.broken, 1), COIN_STEPS, 2).trees
    taus = [_decided(_engine(defect, which, 0), trees) for which in (defect.broken, defect.correct)]
    return bool((taus[0] == taus[1]).all())


def _decided(engine: Engine, trees: Sequence[DraftTree]) -> Ints:
    """The accepted lengths of every tree, decided ``COINS`` times, with coins that depend on the trees alone."""
    found = [
        engine.call(tuple(np.repeat(array, COINS, axis=0) for array in arrays), np.random.default_rng(place)).accepted
        for place, (_, arrays) in enumerate(engine.groups(trees))
    ]
    return np.concatenate(found)


@cache
def right_run(name: str) -> Recorded:
    """A run of the right procedure beside a defect, for its rows."""
    defect = IN_PLACE[name]
    return recorded(defect, _engine(defect, defect.correct, 1), PILOT, 2)


def representative(defect: Defect) -> str:
    """The first defect with the same right procedure, form and place."""
    return next(
        name for name, one in IN_PLACE.items()
        if (one.correct, one.form, place_of(one)) == (defect.correct, defect.form, place_of(defect))
    )  # fmt: skip


@dataclass(frozen=True)
class LengthsPlan:
    """The defects of the study, each with the right procedures beside them; ``ValueError`` for an unknown one."""

    defects: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.defects:
            raise ValueError(f"defects is empty; known are {', '.join(IN_PLACE)}")
        unknown = [name for name in self.defects if name not in IN_PLACE]
        if unknown:
            raise ValueError(f"defects {unknown[0]!r} is none of {', '.join(IN_PLACE)}"
                             f"{did_you_mean(unknown[0], IN_PLACE)}")

    def settings(self) -> dict[str, Any]:
        """What determines the numbers."""
        beside = {name: representative(IN_PLACE[name]) for name in self.defects}
        cells = [cell for name in self.defects for cell in (("right", beside[name]), ("defect", name))]
        numbers: dict[str, Any] = {"level": LEVEL, "miss": MISS, "pilot": PILOT, "coins": COINS}
        numbers |= {"most_steps": MOST_STEPS, "left_out": NOT_IN_PLACE, "beside": beside}
        return numbers | {"cells": [list(cell) for cell in dict.fromkeys(cells)]}

    def measure(self, which: str, name: str) -> dict[str, Any]:
        """What a defect does and what is found of it, or what is read of the right procedure beside it."""
        with TemporaryDirectory() as folder:
            if which == "right":
                return right_piece(name, Path(folder))
            row = piece_of(name, representative(IN_PLACE[name]), Path(folder))
        return row | {"same_coins": not row["seen"] and same_coins(name)}
