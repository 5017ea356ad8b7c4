"""What a run of ``veridraft report`` was asked for, checked before any work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from veridraft.theory.policies.base import parse_policy
from veridraft.theory.verifiers.fitting import fitting_policy

from ...running.options import COMMON, check_verifiers


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


