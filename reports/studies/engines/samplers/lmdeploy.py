"""lmdeploy's default backend: PyTorch throughout."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from veridraft.simulate.adapters.engines import lmdeploy
from veridraft.simulate.forms.form import Form

from ...real_audits.audited import BATCHED, Built
from ..audited import EngineAuditee
from . import stand_ins


def prepare() -> None:
    """lmdeploy without its configuration files and images."""
    logging.disable(logging.WARNING)
    stand_ins.install(("mmengine", "pybase64"))


def default_backend(one_hot: bool) -> Callable[[], Built]:
    """``DefaultRejectionSamplingImpl.forward``."""

    def build() -> Built:
        module = import_module("lmdeploy.pytorch.backends.default.rejection_sampling")
        return lmdeploy(module.DefaultRejectionSamplingImpl().forward, one_hot), None

    return build


def auditees() -> tuple[EngineAuditee, ...]:
    """All of them."""
    common: dict[str, Any] = {
        "package": "lmdeploy", "what": "DefaultRejectionSamplingImpl.forward", "form": Form.CHAIN, "batched": True,
        "prepare": prepare, "trials": BATCHED,
    }  # fmt: skip
    return (
        EngineAuditee("lmdeploy default backend", settings="PyTorch, draft rows", build=default_backend(False),
                      **common),
        EngineAuditee("lmdeploy default backend, no draft rows", settings="PyTorch, no draft rows",
                      build=default_backend(True), **common),
    )  # fmt: skip
