"""What replaying a few calls shows of a callable: state, other sources of randomness, none at all."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np

from ..batches.rows import Ints
from ..forms.calls import Caller
from ..forms.drawing import Drawing
from ..forms.form import Form, Inputs
from ..forms.trials import decided
from .budget import Budget
from .findings import Observation, Trait

LEAST, REPLAYED = 4, 48
"""Trials that are replayed lie between these, as the budget allows."""

RUNS = 8
"""How often trials are replayed if a second seed gives other answers, and about twice that if not."""

REPLAYS = 8
"""Seeds under which equal answers to all replayed trials mean that nothing is drawn."""


def seen_by_replay(caller: Caller, drawing: Drawing, rng: np.random.Generator, budget: Budget) -> list[Observation]:
    """What is seen when the same inputs are given again, with the same seed and with others; nothing once it is late.

    Global generators (``random``, NumPy's, torch's if it is loaded) are seeded on the way and put back as they were.
    """
    trials = _affordable(caller, drawing, budget)
    if trials < LEAST:
        return []
    inputs = drawing.draw(trials, rng)[0] if caller.form is not Form.GENERATE else []
    with _global_generators_kept():
        first, other_global = (_replay(caller, drawing, inputs, trials, 1, seed) for seed in (1, 2))
        again = _replay(caller, drawing, inputs, trials, 1, 1)
        if budget.late():
            return []
        if not np.array_equal(first, again):
            return [Observation(Trait.NOT_A_FUNCTION, f"{_differing(first, again)} of {trials} replayed trials")]
        if not caller.batched and (moved := _moved(caller, drawing, inputs, trials)):
            detail = f"{moved} of {trials} trials, replayed from the last to the first"
            return [Observation(Trait.NOT_A_FUNCTION, detail)]
        seeds = _alike(caller, drawing, inputs, first, budget)
        alone = _second_half(caller, drawing, inputs) if caller.batched and len(inputs) == 1 else None
    if seeds:
        return [Observation(Trait.DETERMINISTIC, f"{trials} trials under {seeds + 1} seeds")]
    if not np.array_equal(first, other_global):
        return [Observation(Trait.GLOBAL_RANDOMNESS, f"{_differing(first, other_global)} of {trials} replayed trials")]
    if alone is not None and (changed := _differing(first[-len(alone) :], alone)):
        detail = f"{changed} of {len(alone)} trials, replayed with equal seeds and without those before them"
        return [Observation(Trait.SHARED_STREAM, detail)]
    return []


def _affordable(caller: Caller, drawing: Drawing, budget: Budget) -> int:
    """How many trials can be replayed under all seeds: whole rounds, an even number of them."""
    most = min(REPLAYED, caller.pace.most, budget.left // RUNS, caller.pace.fitting(budget.seconds_left / RUNS))
    return most // (2 * drawing.requests) * 2 * drawing.requests


def _alike(caller: Caller, drawing: Drawing, inputs: list[Inputs], first: Ints, budget: Budget) -> int:
    """Under how many other seeds all answers are alike; 0 if they are not."""
    for seed in range(2, 2 + REPLAYS):
        if seed > 2 and budget.left < len(first):
            return seed - 2
        if not np.array_equal(first, _replay(caller, drawing, inputs, len(first), seed, seed)):
            return 0
    return REPLAYS


def _second_half(caller: Caller, drawing: Drawing, inputs: list[Inputs]) -> Ints:
    """The emitted tokens of the second half of a batch called alone, with the seed that the whole batch had."""
    one = inputs[0]
    half = len(one.trials) // 2
    cut = Inputs(tuple(array[half:] for array in one.arrays), one.trunk, np.arange(half))
    return _replay(caller, drawing, [cut], half, 1, 1)


def _moved(caller: Caller, drawing: Drawing, inputs: list[Inputs], trials: int) -> int:
    """How many of the trials, each with a seed of its own, are answered otherwise when they come in reversed order."""
    singles = [_single(one, place) for one in inputs for place in range(len(one.trials))] or [[]] * trials
    there = [_replay(caller, drawing, one, 1, number, number) for number, one in enumerate(singles)]
    back = [_replay(caller, drawing, one, 1, number, number) for number, one in reversed(list(enumerate(singles)))]
    return _differing(np.concatenate(there), np.concatenate(back[::-1]))


def _single(inputs: Inputs, place: int) -> list[Inputs]:
    """The inputs of one trial alone."""
    arrays = tuple(array[place : place + 1] for array in inputs.arrays)
    return [Inputs(arrays, inputs.trunk, np.zeros(1, dtype=np.int64))]


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
        _seed_torch(sys.modules["torch"], seed)


def _seed_torch(torch: Any, seed: int) -> None:
    """Seed the generators of the CPU and of devices in use.

    ``torch.manual_seed`` would note the seed, with the whole stack, for every device that may come into use: a
    thousand times the work, again and again.
    """
    torch.default_generator.manual_seed(seed)
    for device in (torch.cuda, torch.xpu):
        if device.is_initialized():
            device.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


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
