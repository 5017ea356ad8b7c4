"""What replaying a few calls shows of a callable: state, other sources of randomness, none at all."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

import numpy as np

from ..batches.rows import Ints
from ..forms.calls import Caller
from ..forms.drawing import Drawing
from ..forms.form import Form, Inputs
from ..forms.trials import decided
from .verdict import Observation, Trait

REPLAYED = 48
"""Trials that are replayed."""

REPLAYS = 8
"""Seeds under which equal answers to all replayed trials mean that nothing is drawn."""


def seen_by_replay(
    caller: Caller, drawing: Drawing, rng: np.random.Generator, late: Callable[[], bool] = lambda: False
) -> list[Observation]:
    """What is seen when the same inputs are given again, with the same seed and with others; nothing once it is late.

    Global generators (``random``, NumPy's, torch's if it is loaded) are seeded on the way and put back as they were.
    """
    trials = drawing.whole_rounds(REPLAYED)
    inputs = drawing.draw(trials, rng)[0] if caller.form is not Form.GENERATE else []
    with _global_generators_kept():
        first, other_global = (_replay(caller, drawing, inputs, trials, 1, seed) for seed in (1, 2))
        again = _replay(caller, drawing, inputs, trials, 1, 1)
        if late():
            return []
        if not np.array_equal(first, again):
            return [Observation(Trait.NOT_A_FUNCTION, f"{_differing(first, again)} of {trials} replayed trials")]
        others = [_replay(caller, drawing, inputs, trials, seed, seed) for seed in range(2, 2 + REPLAYS)]
    if all(np.array_equal(first, other) for other in others):
        return [Observation(Trait.DETERMINISTIC, f"{trials} trials under {REPLAYS + 1} seeds")]
    if not np.array_equal(first, other_global):
        return [Observation(Trait.GLOBAL_RANDOMNESS, f"{_differing(first, other_global)} of {trials} replayed trials")]
    return []


def _replay(caller: Caller, drawing: Drawing, inputs: list[Inputs], trials: int, seed: int, global_seed: int) -> Ints:
    """The emitted tokens (T, L + 1) under a seed of the generator that is handed over and of the global ones."""
    _seed_globals(global_seed)
    rng = np.random.default_rng(seed)
    if caller.form is Form.GENERATE:
        return caller.generate(trials, rng, drawing.length)
    return decided(caller, inputs, rng, drawing.length)


def _differing(first: Ints, second: Ints) -> int:
    return int((first != second).any(axis=1).sum())


def _seed_globals(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


class _global_generators_kept:  # noqa: N801
    """Puts the global generators back as they were."""

    def __enter__(self) -> None:
        torch = sys.modules.get("torch")
        self._states = random.getstate(), np.random.get_state(), torch.get_rng_state() if torch else None

    def __exit__(self, *error: object) -> None:
        random.setstate(self._states[0])
        np.random.set_state(self._states[1])
        if self._states[2] is not None:
            sys.modules["torch"].set_rng_state(self._states[2])
