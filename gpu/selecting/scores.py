"""What choices are worth on held-out texts: tokens per second of each way to choose, with intervals over texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridraft.theory.rows.distributions import Row
from veridraft.theory.speed.jackknife import jackknife_half

from .choices import apply_static, best_by_other_trees, best_each, boosted, entropy_rule, static
from .data.examples import Examples, Numbers
from .network import Inputs
from .plan import HELD_OUT, LEARN, SelectorPlan
from .selector import Selector, read_card
from .training import with_choice

CHAIN, ROOT, STATIC, ENTROPY, BOOSTED, SELECTOR, OTHERS, ORACLE = (
    "chain", "root", "static", "entropy", "boosted", "selector", "oracle by other trees", "oracle",
)  # fmt: skip
"""The best one path; the best tree that branches at the root; the best of all actions; a rule of the draft's entropy;
boosted trees; the network; the best action of each root by other trees than count, and by the trees that count."""


@dataclass(frozen=True, eq=False)
class Score:
    """Tokens and seconds (R,) of the steps of one way to choose, and what it chose."""

    tokens: Row
    seconds: Row
    actions: Numbers

    def rate(self, kept: Any = slice(None)) -> float:
        """Tokens per second: a ratio of means over roots, all or those of a mask (R,)."""
        return float(self.tokens[kept].sum() / self.seconds[kept].sum())


@dataclass(eq=False)
class Scores:
    """All ways to choose for one verifier, learnt on some texts and scored on others."""

    folder: Path
    verifier: str
    plan: SelectorPlan
    learn: Examples
    held_out: Examples
    number: int = field(init=False)

    def __post_init__(self) -> None:
        self.number = self.plan.roots.verifiers.index(self.verifier)
        self.learnt, self.asked = self.learn.of(self.number), self.held_out.of(self.number)
        self.free = self.asked.seconds
        self.paid = with_choice(self.asked, self.plan.machine.choice)

    def all(self) -> dict[str, Score]:
        """Every way that the installed packages allow."""
        triples = self.plan.roots.grid.triples
        masks = {CHAIN: [trunk == 0 and paths == 1 for paths, trunk, _ in triples],
                 ROOT: [trunk == 0 for _, trunk, _ in triples], STATIC: [True] * len(triples)}  # fmt: skip
        found = {name: self._static(np.array(mask)) for name, mask in masks.items()}
        entropy = entropy_rule(self.learn, self.learnt, self.held_out)
        found[ENTROPY] = self._score(entropy, with_choice(self.asked, 0.0))
        with suppress(ModuleNotFoundError):
            found[BOOSTED] = self._score(boosted(self.learn, self.learnt, self.held_out), self.paid)
        selector = Selector.load(self.folder, self.verifier)
        found[SELECTOR] = self._score(np.array(selector.pick(Inputs.of(self.held_out))), self.paid)
        found[OTHERS] = self._by_other_trees()
        found[ORACLE] = self._score(best_each(self.asked.tokens, self.free), self.free)
        return found

    def _static(self, mask: NDArray[np.bool_]) -> Score:
        return self._score(apply_static(static(self.learnt, mask), self.asked.samplings), self.free)

    def _score(self, actions: Numbers, seconds: Row) -> Score:
        places = np.arange(len(actions))
        return Score(self.asked.tokens[places, actions], seconds[places, actions], actions)

    def _by_other_trees(self) -> Score:
        """Each tree's value of the action that is best by the others, and its seconds, in the mean."""
        actions = best_by_other_trees(self.asked)
        roots, trees = np.indices(actions.shape)
        tokens = self.asked.by_tree[roots, trees, actions].mean(axis=1)
        return Score(tokens, self.free[roots, actions].mean(axis=1), actions[:, 0])


@dataclass(frozen=True)
class Compared:
    """A quantity and half of its 95 % interval: a jackknife over texts, Student's."""

    value: float
    half: float


def jackknife(texts: Numbers, of: Callable[[NDArray[np.bool_]], float]) -> Compared:
    """A quantity of roots, a mask (R,) of which are counted, with its interval for independent texts."""
    names = np.unique(texts)
    left_out = np.array([of(texts != name) for name in names])
    return Compared(of(np.ones(len(texts), dtype=bool)), jackknife_half(left_out))


def gain(one: Score, other: Score, texts: Numbers) -> Compared:
    """By which share one way is faster than another."""

    def of(kept: NDArray[np.bool_]) -> float:
        return one.rate(kept) / other.rate(kept) - 1

    return jackknife(texts, of)


def share(one: Score, low: Score, high: Score, texts: Numbers) -> Compared | None:
    """Which share of the room between two ways a third one takes; ``None`` where there is none in some count."""

    def of(kept: NDArray[np.bool_]) -> float:
        room = high.rate(kept) - low.rate(kept)
        return (one.rate(kept) - low.rate(kept)) / room if room > 0 else float("nan")

    found = jackknife(texts, of)
    return found if np.isfinite([found.value, found.half]).all() else None


class Evaluation:
    """Selectors in a folder, one record for each verifier."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.card = read_card(self.folder)
        self.plan = SelectorPlan.of(self.card["plan"])
        data = self.folder / self.card["data"]
        self.learn, self.held_out = (Examples.read(data, self.plan.roots, self.plan.machine, kind)
                                     for kind in (LEARN, HELD_OUT))  # fmt: skip

    def settings(self) -> dict[str, Any]:
        """What determines the records."""
        return {"pair": self.card["pair"], "plan": self.card["plan"],
                "cells": [[name] for name in self.plan.roots.verifiers]}  # fmt: skip

    def measure(self, verifier: str) -> dict[str, Any]:
        """Rates, gains over the best static action, shares of the oracles' room, and the actions of the selector.

        ``worth`` is how many seconds a choice may take until nothing is left of the selector's gain.  Ratios of two
        verifiers follow from ``by_text``, for each way the sums [tokens, seconds] of each held-out text, and from the
        number of its sampling.
        """
        scores = Scores(self.folder, verifier, self.plan, self.learn, self.held_out).all()
        texts, base, selected = self.held_out.texts, scores[STATIC], scores[SELECTOR]
        ways = {name: {"tokens_per_second": score.rate(), "tokens": float(score.tokens.mean()),
                       "seconds": float(score.seconds.mean()), **_named("gain", gain(score, base, texts))}
                for name, score in scores.items()}  # fmt: skip
        shares = {name: _named("share", share(selected, base, scores[name], texts)) for name in (OTHERS, ORACLE)}
        worth = float(selected.tokens.mean()) / base.rate() - float(selected.seconds.mean()) + self.plan.machine.choice
        return {"roots": len(texts), "texts": len(np.unique(texts)), "ways": ways, "shares": shares, "worth": worth,
                "static": list(self._often(base)), "chosen": list(self._often(selected)),
                "by_text": {name: self._by_text(score.tokens, score.seconds) for name, score in scores.items()},
                "samplings": self.held_out.samplings[np.unique(texts, return_index=True)[1]].tolist(),
                "actions": {name: self._by_sampling(scores[name]) for name in (CHAIN, ROOT, STATIC)},
                "lengths": self._lengths(verifier)}  # fmt: skip

    def _by_text(self, *columns: Row) -> list[list[float]]:
        """(texts, columns) sums over the roots of each held-out text."""
        sums = np.stack([np.bincount(self.held_out.texts, column) for column in columns], axis=1)
        return [[float(f"{value:.9g}") for value in row] for row in sums.tolist()]

    def _by_sampling(self, score: Score) -> dict[str, str]:
        """The policy of one action for all roots, by the number of the sampling."""
        policies, pairs = self.plan.roots.grid.policies, zip(self.held_out.samplings, score.actions, strict=True)
        return {str(sampling): policies[action].name for sampling, action in pairs}

    def _lengths(self, verifier: str) -> dict[str, list[list[float]]]:
        """By K, one and the most, (texts, L + 1) sums of E[tau + 1] of K paths from the root of 0 to L tokens."""
        grid, labels = self.plan.roots.grid, self.held_out.of(self.plan.roots.verifiers.index(verifier))
        found = {}
        for paths in (1, grid.paths):
            columns = [labels.tokens[:, grid.triples.index((paths, 0, level))] for level in range(grid.levels + 1)]
            if np.isfinite(columns).all():
                found[str(paths)] = self._by_text(*columns)
        return found

    def _often(self, score: Score) -> Iterator[list[Any]]:
        """The three policies chosen most often, each with its share of the roots."""
        policies = self.plan.roots.grid.policies
        counted = Counter(policies[action].name for action in score.actions)
        for name, count in counted.most_common(3):
            yield [name, count / len(score.actions)]


def _named(name: str, found: Compared | None) -> dict[str, float | None]:
    return {name: found.value if found else None, f"{name}_half": found.half if found else None}
