"""Which cells a suite has: verifiers x policies x temperatures x top-p."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

from veridraft.theory.policies.base import DraftLaw, Policy
from veridraft.theory.policies.paths import Iid
from veridraft.theory.verifiers.table import VERIFIERS, get_verifier

from ..decoding.drafting.n_gram import any_policy
from ..files.kinds import SuiteKey
from ..trees.sampling import Sampling

Value = TypeVar("Value", str, float)

PLAIN = ("nss", "Chain(0)")
"""Plain decoding, as a verifier and a policy: one token a target pass."""


@dataclass(frozen=True)
class SuiteDefaults:
    """What a suite looks at where nothing else is asked for.

    one_each : a verifier gets the first policy that is meant for it, not all of them
    """

    policies: tuple[str, ...]
    temperatures: tuple[float, ...]
    top_ps: tuple[float, ...]
    one_each: bool


SUITES = {
    "small": SuiteDefaults(("Iid(3, 2)", "Chain(3)", "TopPlusOne(3, 2)", "HubPairs(2)"), (1.0,), (1.0,), one_each=True),
    "full": SuiteDefaults(
        (
            "Chain(3)",
            "Iid(3, 3)",
            "Delayed(3, 1, 2)",
            "Static(3x2)",
            "TopPlusOne(3, 2)",
            "HubPairs(2)",
            "TopK(3, 3, 9)",
            "NGram(3)",
        ),
        (0.2, 0.6, 1.0, 1.2),
        (1.0, 0.9),
        one_each=False,
    ),
}


@dataclass(frozen=True)
class SuiteCell:
    """One cell: a verifier, a policy that it is lossless for, and how rows are made of logits."""

    verifier: str
    policy: Policy
    sampling: Sampling

    @property
    def key(self) -> SuiteKey:
        """The cell as files name it."""
        return self.verifier, self.policy.name, self.sampling.temperature, self.sampling.top_p

    def __str__(self) -> str:
        """The cell as a person reads it."""
        return f"{self.verifier} {self.policy.name} T={self.sampling.temperature:g} top-p={self.sampling.top_p:g}"


def cells_of(
    suite: str,
    verifiers: Sequence[str] | None = None,
    policies: Sequence[str | Policy] | None = None,
    temperatures: Sequence[float] | None = None,
    top_ps: Sequence[float] | None = None,
) -> tuple[SuiteCell, ...]:
    """The cells of a suite, or of the part of it that is named; plain decoding is always among them.

    Given policies go with every verifier that is lossless for them.  Raises ``ValueError`` for an unknown suite,
    verifier or policy, a verifier that takes none of the policies, what stands twice, and settings out of range.
    """
    if suite not in SUITES:
        raise ValueError(f"suite must be one of {', '.join(SUITES)}, but is {suite!r}")
    chosen = SUITES[suite]
    pairs = [(PLAIN[0], any_policy(PLAIN[1])), *_pairs(chosen, verifiers, policies)]
    pairs = list({(name, policy.name): (name, policy) for name, policy in pairs}.values())
    samplings = [Sampling(temperature=temperature, top_p=top_p) for temperature, top_p in product(
        distinct("temperatures", chosen.temperatures if temperatures is None else temperatures),
        distinct("top-ps", chosen.top_ps if top_ps is None else top_ps))]  # fmt: skip
    return tuple(SuiteCell(name, policy, sampling) for sampling in samplings for name, policy in pairs)


def _pairs(
    suite: SuiteDefaults, verifiers: Sequence[str] | None, policies: Sequence[str | Policy] | None
) -> Iterator[tuple[str, Policy]]:
    """Verifiers with their policies."""
    known = [any_policy(text) for text in (suite.policies if policies is None else policies)]
    distinct("policies", [policy.name for policy in known])
    for name in distinct("verifiers", tuple(VERIFIERS) if verifiers is None else verifiers):
        fitting = [one for one in known if get_verifier(name).supports(one)]
        if policies is None:
            fitting = [one for one in fitting if _is_meant(name, one)]
        if not fitting and verifiers is not None:
            raise ValueError(f"verifier {name!r} takes none of the policies {', '.join(one.name for one in known)}")
        yield from ((name, one) for one in (fitting[:1] if suite.one_each and policies is None else fitting))


def _is_meant(name: str, policy: Policy) -> bool:
    """False for chains under verifiers of trees, which do on them what a verifier of chains does.

    ``nss``, lossless for every policy, is meant for chains, independent paths, and what is drafted by rule.
    """
    laws = policy.draft_laws
    if name == PLAIN[0]:
        return isinstance(policy, Iid) or bool(laws & {DraftLaw.SINGLE, DraftLaw.DETERMINISTIC})
    return DraftLaw.SINGLE not in laws or DraftLaw.SINGLE in get_verifier(name).draft_laws


def distinct(name: str, values: Sequence[Value]) -> Sequence[Value]:
    """The values; ``ValueError`` unless there is at least one, and none twice."""
    if not values or len(set(values)) != len(values):
        raise ValueError(f"{name} must be distinct, and at least one, but are {', '.join(map(str, values)) or 'none'}")
    return values
