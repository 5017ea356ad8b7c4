"""What a run of ``veridraft report`` was asked for, checked before any work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from veridraft.theory.policies.arguments import get_policy
from veridraft.theory.verifiers.fitting import fitting_policy
from veridraft.theory.verifiers.table import VERIFIERS

from ...running.console import names
from ...running.options import COMMON, COUNT, check_verifiers, command_of


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
        policy = get_policy(self.policy)
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

    @property
    def command(self) -> str:
        """The shell command that makes the report again; options at their default are left out."""
        return command_of(["report"], ASKED, self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Settings:
        """The settings from their fields as JSON values."""
        return cls(**{**values, "verifiers": tuple(values["verifiers"])})


DEFAULT = Settings()
MODEL = "a folder, a GGUF file, or a name that transformers knows"

ASKED: dict[str, dict[str, Any]] = {
    "--target": {"metavar": "MODEL", "help": f"{MODEL} (default: SmolLM2-135M-Instruct, fetched once)"},
    "--draft": {
        "metavar": "MODEL",
        "help": "the same, skip:17,18 for the target without those layers, the folder of a head on it, or head (the "
        "default target's own, and its default)",
    },
    "--verifiers": {
        "metavar": "NAMES",
        "type": names,
        "default": DEFAULT.verifiers,
        "help": f"names with commas between them, of {', '.join(VERIFIERS)} (default: {','.join(DEFAULT.verifiers)})",
    },
    "--policy": {
        "default": DEFAULT.policy,
        "help": "tree policy on the real pair, such as Chain(L), Iid(K, L) or Delayed(K, L1, L2); a verifier that is "
        "not for it runs with one of the same depth that is (default: %(default)s)",
    },
    "--temperature": {"type": float, "default": DEFAULT.temperature, "help": "at least 0 (default: %(default)s)"},
    "--top-p": {"type": float, "default": DEFAULT.top_p, "help": "above 0, at most 1 (default: %(default)s)"},
    "--steps": {
        "type": COUNT,
        "default": DEFAULT.steps,
        "help": "target passes per verifier on the real pair (default: %(default)s)",
    },
    "--seed": {
        "type": COUNT,
        "default": DEFAULT.seed,
        "help": "of synthetic pairs, drafts and coins (default: %(default)s)",
    },
    "--synthetic": {"action": "store_true", "help": "leave the real pair out"},
}
