"""Triton's interpreter, in the state that engines' kernels need, and without what makes it slow.

It is switched on by ``TRITON_INTERPRET=1`` before triton is imported.
"""

from __future__ import annotations

import dataclasses
from importlib import import_module
from typing import Any

import numpy as np

VARIABLES = {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
"""Of the process.  With no device visible, vLLM and SGLang take triton for usable although no driver is active."""


def ready() -> None:
    """Give the interpreter ``log1p``, leave out its assertions of overflow, and let it patch each module once.

    It patches ``triton.language`` anew at every launch and every inner call, which takes more than half of the time.
    """
    interpreter: Any = import_module("triton.runtime.interpreter")
    builder = interpreter.interpreter_builder
    builder.options = dataclasses.replace(builder.options, sanitize_overflow=False)
    patch, seen = interpreter._patch_lang, set()

    def patch_once(function: Any) -> _Kept:
        where = id(getattr(function, "__globals__", function))
        if where not in seen:
            seen.add(where)
            patch(function)
        return _Kept()

    interpreter._patch_lang = patch_once
    library: Any = import_module("triton.language.extra.libdevice")
    library.log1p = _log1p


class _Kept:
    """A patch that stays."""

    def restore(self) -> None:
        """Nothing."""


def _log1p(value: Any) -> Any:
    """log(1 + value) of a tensor of the interpreter; the device library has no body there."""
    interpreter, core = (import_module(f"triton.{name}") for name in ("runtime.interpreter", "language.core"))
    with np.errstate(divide="ignore", invalid="ignore"):
        data = np.log1p(value.handle.data)
    return core.tensor(interpreter.TensorHandle(data, value.handle.dtype), value.type)
