"""Cases: the instances on which an audit tries a verifier, each chosen for what it exposes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from veridraft.theory.bounds.tree import tree_optimum
from veridraft.theory.pairs.base import MarkovPair, Pair
from veridraft.theory.pairs.families import dirichlet_pair, zipf_pair
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Chain, Delayed, Iid
from veridraft.theory.rows.distributions import Row, check_count
from veridraft.theory.rows.trees import Context

from .form import Form

MOST_FOR_OPTIMUM = 2_000
"""Where more drafted strings than this can be accepted whole, the optimum is not computed."""


@dataclass(frozen=True, eq=False)
class Case:
    """One instance: rows, the law of the drafts, and the requests that stand side by side in a batch.

    Fields
    ------
    name : short, one of its kind in an audit
    pair : where the rows come from; in the form ``generate`` only its target is read
    policy : how drafts are drawn; its depth L makes judged strings L + 1 tokens long, in every form
    exposes : why the case is there, in a few words
    contexts : the root context of each request; in a batch, trial t belongs to request t mod R
    lengths : how many tokens are drafted for each request, at most L; ``None``: L for all.  Shorter drafts are
        handed over in the batched chain form alone, with -1 and rows of zeros behind their end
    end : the token that ends a text: behind it the target emits nothing else.  ``None``: texts do not end
    columns : rows are handed over with zeros behind the vocabulary, up to so many columns
    """

    name: str
    pair: Pair
    policy: Policy
    exposes: str
    contexts: tuple[Context, ...] = ((),)
    lengths: tuple[int, ...] | None = None
    end: int | None = None
    columns: int = 0

    def __post_init__(self) -> None:
        if not self.contexts:
            raise ValueError(f"case {self.name!r} has no contexts; a single request at the root is ((),)")
        if self.lengths is not None:
            self._check_lengths(self.lengths)
        if self.end is not None and check_count("end", self.end, 0) >= self.pair.vocabulary_size:
            raise ValueError(f"end must lie in [0, {self.pair.vocabulary_size}), but is {self.end}")

    def __str__(self) -> str:
        """What the case is and exposes, and its rows at the first request's root, in three lines."""
        root, pair = self.contexts[0], self.pair.as_float()
        requests = f", {self.requests} requests" if self.requests > 1 else ""
        lengths = f", drafts of {', '.join(map(str, self.lengths))} tokens" if self.lengths else ""
        return "\n".join(
            [
                f"{self.name}: {self.exposes} ({self.policy.name}, V = {pair.vocabulary_size}{requests}{lengths})",
                f"  target at {root}: {_numbers(pair.target_row(root))}",
                f"  draft at {root}: {_numbers(pair.draft_row(root))}",
            ]
        )

    def _check_lengths(self, lengths: tuple[int, ...]) -> None:
        if len(lengths) != len(self.contexts):
            raise ValueError(f"case {self.name!r} has {len(lengths)} lengths for {len(self.contexts)} contexts")
        if not isinstance(self.policy, Chain):
            raise TypeError(f"case {self.name!r} has lengths, which need a Chain, but its policy is {self.policy!r}")
        for request, length in enumerate(lengths):
            if check_count(f"lengths row {request}", length, 0) > self.policy.depth:
                raise ValueError(f"lengths row {request} is {length}, but policy {self.policy.name} has depth "
                                 f"{self.policy.depth}")  # fmt: skip

    @property
    def requests(self) -> int:
        """R, how many requests stand side by side."""
        return len(self.contexts)

    @cached_property
    def optima(self) -> tuple[float | None, ...]:
        """For each request the greatest E[tau] of a lossless verifier that sees the drafts; None where not known."""
        return tuple(map(self._optimum, range(self.requests)))

    def _optimum(self, request: int) -> float | None:
        """That of one request, where independent paths are drawn, and not too many."""
        if not isinstance(self.policy, Delayed):
            return None
        policy = self.policy if self.lengths is None else Chain(self.lengths[request])
        if self.pair.vocabulary_size**policy.depth > MOST_FOR_OPTIMUM:
            return None
        if not policy.depth:
            return 0.0
        return float(tree_optimum(policy, self.pair.as_float(), self.contexts[request]).upper) - 1.0


def _numbers(row: Row, most: int = 12) -> str:
    """The first entries of a row, in words."""
    return " ".join(f"{float(entry):.4g}" for entry in row[:most]) + (" ..." if len(row) > most else "")


SHARED_TOP = [[0.5, 0.3, 0.15, 0.05]] * 4, [[0.4, 0.1, 0.2, 0.3]] * 4
"""The rows of a target and of a draft in a case made for one policy."""

MOST_BY_POLICY = 20_000
"""Of the cases made for one policy, those with more completed strings than this are left out."""

ROWS: dict[str, tuple[Sequence[float], Sequence[float], str]] = {
    "zeros": ((0.0, 0.5, 0.3, 0.2), (0.4, 0.0, 0.35, 0.25), "tokens that one model cannot emit"),
    "disjoint": ((0.6, 0.4, 0.0, 0.0), (0.0, 0.0, 0.7, 0.3), "nothing can be accepted"),
    "ties": ((0.3, 0.3, 0.2, 0.2), (0.2, 0.2, 0.3, 0.3), "equal entries, in both rows"),
    "equal": ((0.4, 0.3, 0.2, 0.1), (0.4, 0.3, 0.2, 0.1), "target and draft agree: everything is accepted"),
    "near-equal": ((0.5, 0.301, 0.199, 0.0), (0.5, 0.3, 0.2, 0.0), "a residual of mass 1/1000"),
    "peaked": ((0.96, 0.02, 0.01, 0.01), (0.85, 0.05, 0.05, 0.05), "one token has nearly all the mass"),
    "flat target": ((0.25, 0.25, 0.25, 0.25), (0.91, 0.03, 0.03, 0.03), "a sure draft, an unsure target"),
    "one-hot target": ((0.0, 1.0, 0.0, 0.0), (0.3, 0.4, 0.2, 0.1), "temperature 0 of the target"),
    "one-hot draft": ((0.4, 0.3, 0.2, 0.1), (0.0, 0.0, 1.0, 0.0), "a deterministic draft"),
    "padded": ((0.3, 0.5, 0.2, 0.0, 0.0, 0.0), (0.5, 0.2, 0.3, 0.0, 0.0, 0.0), "padding behind the vocabulary"),
}
"""Name to a target's row, a draft's row, and what they expose."""


@cache
def default_cases(form: Form, batched: bool = False) -> tuple[Case, ...]:
    """The cases of an audit that is given none: depth 1 to 4, and in the forms with several drafts K 1 to 4.

    A batched chain, set of paths or tree is also tried with several requests side by side.
    """
    cases = _chains() if form in (Form.CHAIN, Form.GENERATE) else _several_drafts()
    if batched and form is not Form.GENERATE:
        policy = Chain(2) if form is Form.CHAIN else Iid(2, 2)
        cases.append(_requests(policy))
    return tuple(cases)


LARGE = 151_936
"""The columns of a large vocabulary, in which what is added to every entry adds up."""


def more_cases(form: Form, batched: bool = False) -> tuple[Case, ...]:
    """Cases that not every verifier of the form is made for: a large vocabulary, and batched chains of unequal lengths.

    Behind a short draft stand tokens -1 and rows of zeros; one request's draft is empty.
    """
    policy = Chain(1) if form in (Form.CHAIN, Form.GENERATE) else Iid(2, 1)
    target, draft, _ = ROWS["zeros"]
    pair = MarkovPair([target] * len(target), [draft] * len(draft))
    large = Case("large vocabulary", pair, policy, "four tokens with mass among 151,936", columns=LARGE)
    if form is not Form.CHAIN or not batched:
        return (large,)
    lengths = Case("unequal lengths", dirichlet_pair(4, seed=32, concentration=0.5), Chain(3),
                   "drafts of 2, 0, 3 and 1 tokens in one batch", ((), (0,), (1,), (2, 3)), (2, 0, 3, 1))  # fmt: skip
    return lengths, large


def policy_cases(policy: Policy, form: Form, batched: bool = False) -> tuple[Case, ...]:
    """The default cases' rows with one policy for all, without those whose strings are many or that it cannot draw on.

    Raises ``ValueError`` if the form drafts by itself, or if no rows fit.
    """
    if form is Form.GENERATE:
        raise ValueError("policy is for forms that are handed drafts, but form is generate")
    cases = [
        *(Case(name, dirichlet_pair(4, seed=seed, concentration=0.7), policy, "rows that differ at every context")
          for name, seed in (("random", 41), ("random too", 44))),
        *(_from_rows(name, policy) for name in ROWS),
        Case("shared top", MarkovPair(*SHARED_TOP), policy, "the draft's top token is one that it underrates"),
        Case("two tokens", dirichlet_pair(2, seed=42, concentration=0.5), policy, "a vocabulary of two"),
        Case("long tail", zipf_pair(24, seed=43), policy, "many tokens of small probability"),
        *([_requests(policy)] if batched else []),
    ]
    fitting = tuple(case for case in cases if _fits(case))
    if not fitting:
        raise ValueError(f"policy {policy.name} fits no case: strings of {policy.depth + 1} tokens are too many")
    return fitting


def _fits(case: Case) -> bool:
    """Whether the strings of a case are few enough to be told apart, and its policy can draw on its rows."""
    if case.pair.vocabulary_size ** (case.policy.depth + 1) > MOST_BY_POLICY:
        return False
    try:
        case.policy.sample(case.pair, np.random.default_rng(0), case.contexts[0])
    except ValueError:
        return False
    return True


def _chains() -> list[Case]:
    depths = dict.fromkeys(ROWS, 2) | {"one-hot target": 3, "near-equal": 1, "padded": 1}
    return [
        Case("random", dirichlet_pair(5, seed=11, concentration=0.5), Chain(2), "rows that differ at every context"),
        *(_from_rows(name, Chain(depth)) for name, depth in depths.items()),
        Case("deep", dirichlet_pair(3, seed=12, concentration=0.6), Chain(4), "four levels of drafts"),
        Case("long tail", zipf_pair(24, seed=13), Chain(1), "many tokens of small probability"),
        Case("masked", _masked(16, seed=14), Chain(1), "a grammar that forbids tokens, others at every context"),
    ]


def _several_drafts() -> list[Case]:
    policies = {
        "zeros": Iid(2, 2), "disjoint": Iid(3, 1), "ties": Iid(3, 2), "equal": Iid(2, 2), "near-equal": Iid(2, 1),
        "peaked": Iid(4, 1), "flat target": Iid(4, 2), "one-hot target": Iid(3, 2), "one-hot draft": Iid(2, 2),
        "padded": Iid(2, 1),
    }  # fmt: skip
    return [
        Case("random", dirichlet_pair(4, seed=21, concentration=0.5), Iid(2, 2), "rows that differ at every context"),
        *(_from_rows(name, policy) for name, policy in policies.items()),
        Case("one path", dirichlet_pair(4, seed=22, concentration=0.5), Iid(1, 3), "a single path"),
        Case("interleaved", dirichlet_pair(2, seed=23, concentration=0.4), Iid(3, 3), "paths that part and interleave"),
        Case("deep", dirichlet_pair(2, seed=24, concentration=0.6), Iid(4, 4), "four paths of four levels"),
        Case("long tail", zipf_pair(24, seed=25), Iid(3, 1), "many tokens of small probability"),
        Case("masked", _masked(8, seed=26), Iid(2, 1), "a grammar that forbids tokens, others at every context"),
    ]


def _masked(size: int, seed: int) -> MarkovPair:
    """Random rows whose target lacks some tokens, others behind every token; the draft knows half of that."""
    rng = np.random.default_rng(seed)
    target, draft = rng.dirichlet(np.ones(size), size=(2, size))
    forbidden = rng.random((size, size)) < 0.4
    forbidden[np.arange(size), np.arange(size)] = False
    told = forbidden & (rng.random((size, size)) < 0.5)
    rows = np.where(forbidden, 0.0, target), np.where(told, 0.0, draft)
    return MarkovPair(*(row / row.sum(axis=1, keepdims=True) for row in rows))


def _requests(policy: Policy) -> Case:
    pair = dirichlet_pair(4, seed=31, concentration=0.3)
    return Case("requests", pair, policy, "requests with rows of their own in a batch", ((), (0,), (1, 2)))


def _from_rows(name: str, policy: Policy) -> Case:
    """The case of two rows that hold at every context."""
    target, draft, exposes = ROWS[name]
    pair = MarkovPair([target] * len(target), [draft] * len(draft))
    return Case(name, pair, policy, exposes)
