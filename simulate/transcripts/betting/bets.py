"""Bets on tokens: each multiplies a fortune, token by token, that a lossless decoder cannot raise on average.

At a token with the target's law p (over the columns of a :class:`~.texts.Text`) a bet on the law r multiplies by
``r(x) / p(x)``, whose mean under p is 1.  The product along any text is a nonnegative martingale whatever the prompts,
the order and the moment of stopping; it exceeds 1/a with probability at most a (Ville's inequality).  Three families:

tilts   r proportional to ``p ** (1 + tilt)``: another temperature, and whatever makes likely tokens likelier or rarer
laws    r as in :mod:`.laws`: settings that were not asked for, and mechanisms known from engines
ranks   where x stands when tokens are put in order, made uniform in [0, 1) by a coin of our own: a histogram learns
        where too many land.  Two orders: by p, and by p / q where the draft's row q is known
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from veridraft.theory.rows.distributions import apply_temperature

from ...batches.rows import Floats, Ints
from .laws import BONUS, DRAFTED, SETTINGS, law_of_bonus, law_of_mechanism
from .texts import FLOOR, Text

TILTS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""By how much the power of p is raised or lowered: a temperature of 1 / (1 + tilt)."""

PRUDENCE = 0.01
"""The share of p in every law that is bet on, so that no single token ruins a bet."""

BINS = 20
"""Cells of the histogram of ranks."""


@dataclass(frozen=True, eq=False)
class Bets:
    """The bets of the first two families on a text; by place in the step too if ``by_place``."""

    text: Text
    by_place: bool

    @cached_property
    def laws(self) -> dict[str, Floats]:
        """Each law that is bet on: its name, and its rows (n, A)."""
        return dict(alternatives(self.text, self.by_place))

    @cached_property
    def logs(self) -> dict[str, Floats]:
        """For each bet its name and the logarithms (n,) of its factors."""
        return {name: _log_ratio(self.text, laws) for name, laws in self.laws.items()}


def alternatives(text: Text, by_place: bool) -> Iterator[tuple[str, Floats]]:
    """Each law that is bet on: its name, and its rows (n, A)."""
    for tilt in (*TILTS, *(-tilt for tilt in TILTS)):
        yield tilt_name(tilt), tilted(text.target, tilt)
    for name, laws in SETTINGS.items():
        yield name, laws(text)
    for name, laws in DRAFTED.items():
        yield name, law_of_mechanism(text, laws, by_place)
    for name, laws in BONUS.items():
        placed = by_place and text.bonus is not None
        yield name, law_of_bonus(text, laws) if placed else text.target


def tilt_name(tilt: float) -> str:
    """What a tilt amounts to."""
    return f"temperature is {1 / (1 + tilt):.3g} times the one asked for"


def tilted(rows: Floats, tilt: float) -> Floats:
    """Rows (n, A) proportional to ``rows ** (1 + tilt)``."""
    return np.asarray(apply_temperature(rows, 1.0 / (1.0 + tilt)))


def prudent(laws: Floats, target: Floats) -> Floats:
    """The laws with :data:`PRUDENCE` of the target's."""
    return (1 - PRUDENCE) * laws + PRUDENCE * target


def _log_ratio(text: Text, laws: Floats) -> Floats:
    target = text.of_emitted(text.target)
    return np.log(prudent(text.of_emitted(laws), target) / target) + np.log1p(-FLOOR)


def ranks(text: Text, rng: np.random.Generator) -> Iterator[tuple[str, Ints, np.ndarray]]:
    """For each order and kind of place: its name, the bins (n,) of the tokens' ranks, and which tokens count (n,)."""
    everywhere = np.ones(len(text), dtype=bool)
    coins = rng.random(len(text))
    by_target = _bins(text, text.target, coins)
    by_quotient = _bins(text, text.target / np.maximum(text.draft, FLOOR / text.target.shape[1]), coins)
    yield "by the target's row", by_target, everywhere
    yield "by the quotient of the rows", by_quotient, text.drafted
    if text.first is not None:
        yield "by the target's row, first tokens of steps", by_target, text.first
        yield "by the quotient of the rows, first tokens of steps", by_quotient, text.first & text.drafted
    if text.bonus is not None:
        yield "by the target's row, bonus tokens", by_target, text.bonus
        yield "by the quotient of the rows, bonus tokens", by_quotient, text.bonus & text.drafted


def _bins(text: Text, order: Floats, coins: Floats) -> Ints:
    """(n,) the bin of each token: the mass of what stands before it, and a coin's share of its own and its equals'."""
    own = text.of_emitted(order)[:, None]
    ahead = np.where(order > own, text.target, 0.0).sum(axis=1)
    level = np.where(order == own, text.target, 0.0).sum(axis=1)
    return np.minimum((BINS * (ahead + coins * level)).astype(np.int64), BINS - 1)
