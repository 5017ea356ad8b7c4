"""The options that name a pair of models, and the pair that they name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from veridraft.theory.speed.hardware import NETWORKS

if TYPE_CHECKING:
    from veridraft.gpu.models.pairs import ModelPair

MODEL_OPTIONS: dict[str, dict[str, Any]] = {
    "--target": {"metavar": "MODEL", "help": "a folder, a GGUF file, a name, or for timing only random:SHAPE, of "
                 f"{', '.join(NETWORKS)} (default: SmolLM2-135M-Instruct)"},
    "--draft": {"metavar": "MODEL", "help": "the same, or skip:17,18 for the target without those layers"},
    "--device": {"default": "cpu", "help": "cpu or cuda (default: %(default)s)"},
    "--dtype": {"default": "float32", "help": "float32, bfloat16 or float16 (default: %(default)s)"},
    "--pack": {"action": "store_true", "help": "packed linear layers, for float32 on a CPU"},
}  # fmt: skip


def load_models(options: argparse.Namespace) -> ModelPair:
    """The pair that the options name, packed if it was asked for."""
    from veridraft.gpu.decoding.passes.packing import packed_pair
    from veridraft.gpu.models.random_models import load_timing_pair

    pair = load_timing_pair(options.target, options.draft, options.device, options.dtype)
    return packed_pair(pair) if getattr(options, "pack", False) else pair
