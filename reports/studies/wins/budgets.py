"""Trees at equal node budgets, over all settings of a run: which kind of tree, under which verifier, is the fastest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb, exp, log
from statistics import mean

from veridraft.gpu.decoding.drafting.n_gram import any_policy

from ..suites.rows import Shape, shape_of
from .leads import Lead, LogRatio, each, mean_of, paired
from .rows import Wins, Yardstick

Named = tuple[str, str]
"""A verifier and a policy."""


@dataclass(frozen=True)
class BudgetLine:
    """A kind of tree within a budget of nodes, by its fastest verifier and policy.

    budget : the power of two that the policy's largest tree needs
    efficiency : E[tau + 1], the geometric mean of all settings
    over_plain, over_best : in tokens per second, over plain decoding and over the budget's fastest; ``None`` for itself
    """

    budget: int
    kind: str
    verifier: str
    policy: str
    efficiency: float
    over_plain: Lead | None
    over_best: Lead | None


def by_budget(run: Wins) -> tuple[BudgetLine, ...]:
    """The budgets that hold more than one kind of tree, each with its kinds, the fastest first; () without a setting.

    Kinds are named as policies are: ``Iid``, ``Delayed``, ``TopK`` (EAGLE-2's).  Each is stood for by what came out
    fastest, so that the level is split over all pairs of a budget and all comparisons with plain decoding.
    """
    groups: dict[int, list[Named]] = {}
    for verifier, policy in run.file.settings["pairs"] if run.settings else ():
        if budget := budget_of(policy):
            groups.setdefault(budget, []).append((verifier, policy))
    kept = {budget: found for budget, found in sorted(groups.items()) if len({kind_of(one) for _, one in found}) > 1}
    level = each(sum(comb(len(found), 2) + len(found) for found in kept.values()))
    return tuple(line for budget, found in kept.items() for line in _lines(run, budget, found, level))


def budget_of(policy: str) -> int:
    """The smallest power of two that is no less than the nodes below the root of the policy's largest tree.

    0 for plain decoding, and where the size is not known: prompt lookup, thresholds, policies that no name builds.
    """
    try:
        made = any_policy(policy)
    except ValueError:
        return 0
    below = getattr(made, "budget", None) or (made.most_nodes or 1) - 1
    return 1 << (below - 1).bit_length() if below else 0


def kind_of(policy: str) -> str:
    """The policy's name without its numbers."""
    return policy.partition("(")[0]


def _lines(run: Wins, budget: int, found: Sequence[Named], level: float) -> Iterator[BudgetLine]:
    ranked = sorted(found, key=lambda one: -_rate(run, one, Yardstick.SPEED))
    first = {kind_of(one[1]): one for one in reversed(ranked)}
    best, plain = ranked[0], _plain(run)
    for one in (one for one in ranked if first[kind_of(one[1])] == one):
        behind = None if one == best else ahead(run, one, best, Yardstick.SPEED).lead(level)
        over_plain = ahead(run, one, plain, Yardstick.SPEED).lead(level) if plain else None
        efficiency = _rate(run, one, Yardstick.EFFICIENCY)
        yield BudgetLine(budget, kind_of(one[1]), *one, efficiency, over_plain, behind)


def ahead(run: Wins, one: Named, other: Named, quantity: Yardstick) -> LogRatio:
    """How far the first is ahead at the same roots, over all settings."""
    return mean_of([paired(at.row(*one), at.row(*other), quantity) for at in run.settings])


def _plain(run: Wins) -> Named | None:
    """Plain decoding, where it was run."""
    pairs = ((verifier, policy) for verifier, policy in run.file.settings["pairs"])
    return next((one for one in pairs if shape_of(one[1]) is Shape.PLAIN), None)


def _rate(run: Wins, one: Named, quantity: Yardstick) -> float:
    """The geometric mean of its rates."""
    return exp(mean(log(at.row(*one).rate(quantity)) for at in run.settings))
