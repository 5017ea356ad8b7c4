"""The options that name a pair of models, and the pair that they name."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from veridraft.gpu.models.names import DTYPES, check_names
from veridraft.theory.speed.networks import NETWORKS

from .progress import Talk

if TYPE_CHECKING:
    from veridraft.gpu.models.pairs import ModelPair

MODEL_OPTIONS: dict[str, dict[str, Any]] = {
    "--target": {"metavar": "MODEL", "help": "a folder, a GGUF file, a name, or for timing only random:SHAPE, of "
                 f"{', '.join(NETWORKS)} (default: SmolLM2-135M-Instruct)"},
    "--draft": {
        "metavar": "MODEL",
        "help": "the same, skip:17,18 for the target without those layers, the folder of a head, or head (the "
        "default target's own, and its default)",
    },
    "--device": {"default": "cpu", "help": "cpu or cuda (default: %(default)s)"},
    "--dtype": {"default": "float32", "help": f"{', '.join(DTYPES)} (default: %(default)s)"},
    "--pack": {"action": "store_true", "help": "packed linear layers, for float32 on a CPU"},
}  # fmt: skip

LOADING = "Loading the models (the default ones are fetched once)"


def missing_packages() -> str:
    """What is not installed of all that real models need, and how to install it; empty if nothing is missing."""
    missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
    return f"{' and '.join(missing)} not installed: pip install 'veridraft[gpu]'" if missing else ""


def check_models(options: argparse.Namespace, timing: bool = True) -> None:
    """Raise ``ValueError`` for models that cannot be, or a missing package, before either is looked for."""
    check_names(options.target, options.draft, options.dtype, timing)
    if missing := missing_packages():
        raise ValueError(missing)


def load_models(options: argparse.Namespace) -> ModelPair:
    """The pair that the options name, packed if it was asked for."""
    from veridraft.gpu.decoding.passes.packing import packed_pair
    from veridraft.gpu.models.pairs import check_device
    from veridraft.gpu.models.random_models import load_timing_pair

    check_device(options.device)
    Talk.say(LOADING)
    pair = load_timing_pair(options.target, options.draft, options.device, options.dtype)
    return packed_pair(pair) if getattr(options, "pack", False) else pair
