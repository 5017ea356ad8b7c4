"""Ways to choose an action at each root: one for all, the best that could be, a rule of one number, boosted trees.

All choose for the ratio of means, tokens over seconds: of the actions at a root that with the most tokens less
``rate`` times the seconds, where the rate is the one that is reached so (Dinkelbach).  No torch is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridraft.theory.rows.distributions import Row

from .data.examples import Examples, Labels, Numbers
from .schema import ROOT_ENTROPY

BINS = 4
"""Parts of equally many roots to learn from, by entropy of the draft's row at the root, of the entropy rule."""

PORTFOLIO = 8
"""Actions whose gains boosted trees learn: those that do best together."""

ROUNDS = 50
"""The most rounds of Dinkelbach's method; a few are needed."""


def static(labels: Labels, mask: NDArray[np.bool_]) -> dict[int, int]:
    """By sampling the one action of a mask (A,) with the highest ratio of means; of equal ones the first."""
    found = {}
    for sampling in np.unique(labels.samplings).tolist():
        here = labels.samplings == sampling
        rates = np.where(mask & labels.allowed, labels.tokens[here].sum(axis=0) / labels.seconds[here].sum(axis=0), 0)
        found[sampling] = int(rates.argmax())
    return found


def apply_static(actions: dict[int, int], samplings: Numbers) -> Numbers:
    """(R,) the action of each root's sampling."""
    return np.array([actions[one] for one in samplings.tolist()])


def rate_of(tokens: Row, seconds: Row, chosen: Numbers) -> float:
    """The ratio of means of chosen actions (R,)."""
    places = np.arange(len(chosen))
    return float(tokens[places, chosen].sum() / seconds[places, chosen].sum())


def best_each(tokens: Row, seconds: Row) -> Numbers:
    """(R,) the actions that together have the highest ratio of means, from (R, A); ``NaN`` is never chosen."""
    known = np.where(np.isfinite(tokens), tokens, 0)
    chosen = np.zeros(len(tokens), dtype=np.int64)
    for _ in range(ROUNDS):
        rate = rate_of(known, seconds, chosen)
        better = np.where(np.isfinite(tokens), known - rate * seconds, -np.inf).argmax(axis=1)
        if rate_of(known, seconds, better) <= rate:
            return chosen
        chosen = better
    return chosen


def best_by_other_trees(labels: Labels) -> Numbers:
    """(R, trees) the best action at each root by all trees but one: what it gives on that one is not overrated."""
    trees = labels.by_tree.shape[1]
    others = [np.delete(labels.by_tree, tree, axis=1).mean(axis=1) for tree in range(trees)]
    return np.stack([best_each(tokens, labels.seconds) for tokens in others], axis=1)


def entropy_rule(learn: Examples, learnt: Labels, asked: Examples) -> Numbers:
    """(R,) the best action for all roots to learn from whose draft is about as sure at the root."""
    entropies = learn.scalars[:, ROOT_ENTROPY]
    edges = np.quantile(entropies, np.arange(1, BINS) / BINS)
    bins, asked_bins = (np.searchsorted(edges, one, side="right") for one in
                        (entropies, asked.scalars[:, ROOT_ENTROPY]))  # fmt: skip
    best = []
    for number in range(BINS):
        here = bins == number
        rates = learnt.tokens[here].sum(axis=0) / learnt.seconds[here].sum(axis=0)
        best.append(int(np.where(learnt.allowed, rates, 0).argmax()))
    return np.array(best)[asked_bins]


def portfolio(labels: Labels, size: int = PORTFOLIO) -> list[int]:
    """Actions that together do best where each root has its best one of them, added one at a time."""
    everywhere = np.where(labels.allowed, labels.tokens.sum(axis=0) / labels.seconds.sum(axis=0), 0)
    found = [int(everywhere.argmax())]
    gains = np.where(labels.allowed, labels.tokens - float(everywhere.max()) * labels.seconds, -np.inf)
    while len(found) < size:
        together = np.maximum(gains[:, found].max(axis=1)[:, None], gains).sum(axis=0)
        if together.max() <= gains[:, found].max(axis=1).sum():
            break
        found.append(int(together.argmax()))
    return found


def boosted(learn: Examples, learnt: Labels, asked: Examples, seed: int = 0) -> Numbers:
    """(R,) the action of a portfolio of which gradient-boosted trees, told all numbers, expect the most.

    Raises ``ModuleNotFoundError`` without scikit-learn.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    actions = portfolio(learnt)
    rate = rate_of(learnt.tokens, learnt.seconds, np.full(len(learn), actions[0]))
    gains = learnt.tokens[:, actions] - rate * learnt.seconds[:, actions]
    expected = [np.zeros(len(asked))]
    for number in range(1, len(actions)):
        trees: Any = HistGradientBoostingRegressor(max_iter=50, random_state=seed)
        trees.fit(learn.scalars, gains[:, number] - gains[:, 0])
        expected.append(trees.predict(asked.scalars))
    return np.array(actions)[np.stack(expected, axis=1).argmax(axis=1)]
