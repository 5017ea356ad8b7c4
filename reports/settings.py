"""What a run of ``veridraft report`` was asked for, checked before any work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veridraft.theory.policies import Chain, Policy, parse_policy
from veridraft.theory.verifiers import VERIFIERS, get_verifier

COMMON = (
    "naive",
    "nss",
    "naive_tree",
    "spectr",
    "specinfer",
    "block",
    "traversal",
    "lifted_k_seq",
    "lifted_rrs",
)
"""The verifiers that a report shows unless asked: they run in exact form, in simulation and on real models."""


@dataclass(frozen=True)
class Settings:
    """The arguments of one report.

    ``target`` and ``draft`` name a model (``None``: the embedded default); ``verifiers`` are names of
    ``VERIFIERS``; ``policy`` is the text of the real run's tree policy; ``steps`` counts target passes per
    verifier; ``synthetic`` leaves the real pair out.  Raises ``ValueError`` that names the argument and its value.
    """

    target: str | None = None
    draft: str | None = None
    verifiers: tuple[str, ...] = COMMON
    policy: str = "Iid(4, 3)"
    temperature: float = 1.0
    top_p: float = 1.0
    steps: int = 40
    seed: int = 0
    synthetic: bool = False

    def __post_init__(self) -> None:
        check_verifiers(self.verifiers)
        policy = parse_policy(self.policy)
        for name in self.verifiers:
            fitting_policy(name, policy)
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be finite and at least 0, but is {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top-p must lie in (0, 1], but is {self.top_p}")
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, but is {self.steps}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, but is {self.seed}")

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Settings:
        """The settings from their fields as JSON values."""
        return cls(**{**values, "verifiers": tuple(values["verifiers"])})


def fitting_policy(verifier: str, policy: Policy) -> Policy:
    """The policy itself where the verifier supports it, else the chain of the same depth.

    Raises ``ValueError`` if the verifier supports neither.
    """
    entry = get_verifier(verifier)
    if entry.supports(policy):
        return policy
    chain = Chain(policy.depth)
    entry.require(chain)
    return chain


def check_verifiers(names: Iterable[str]) -> None:
    """Raise ``ValueError`` unless the names are known, distinct, and at least one."""
    names = tuple(names)
    if not names:
        raise ValueError(f"verifiers is empty; known are {', '.join(VERIFIERS)}")
    for name in names:
        get_verifier(name)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"verifiers names {repeated[0]!r} more than once")


def check_folder(folder: Path) -> Path:
    """The folder, made if it is missing; ``ValueError`` if something else stands there or it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"out {str(folder)!r} cannot be made a folder: {error.strerror}") from None
    return folder
