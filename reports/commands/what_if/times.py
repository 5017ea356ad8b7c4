"""Where time comes from: latency files, or named GPUs with the shapes of two networks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from veridraft.gpu.latency.file import LatencyFile
from veridraft.theory.speed.configs import network_of_config
from veridraft.theory.speed.hardware import DEVICES, FORMATS, get_device, get_format
from veridraft.theory.speed.networks import NETWORKS, Network, get_network
from veridraft.theory.speed.rates import LatencyModel, roofline_model

from ...running.console import names
from ...running.options import COUNT, numbers, words_of

HEADS, NGRAMS = ("head", "eagle", "mtp"), ("ngram", "n-gram")
"""What a draft that is no network of its own is called: one layer on the target, or nothing at all."""

OPTIONS: dict[str, dict[str, Any]] = {
    "--gpu": {"type": names, "default": (), "metavar": "GPU,GPU", "help": f"of {', '.join(DEVICES)}: rooflines from "
              "published figures"},
    "--gpus": {"type": COUNT, "default": 1, "help": "with --gpu: how many share every layer (default: 1)"},
    "--target": {"default": "8B", "metavar": "SHAPE", "help": f"with --gpu: {', '.join(NETWORKS)}, or a model's "
                 "config.json or its folder (default: 8B)"},
    "--draft": {"default": "1B", "metavar": "SHAPE", "help": "with --gpu: the same, or head (EAGLE, MTP: one layer on "
                "the target), or ngram (costs nothing) (default: 1B)"},
    "--number-format": {"default": "bf16", "metavar": "FORMAT", "help": f"of the weights, with --gpu: "
                        f"{', '.join(FORMATS)} (default: bf16)"},
    "--cache-format": {"default": "bf16", "metavar": "FORMAT", "help": "of keys and values (default: bf16)"},
    "--batch": {"type": COUNT, "default": 1, "metavar": "B", "help": "requests at once, with --gpu (default: 1)"},
    "--contexts": {"type": words_of(numbers), "metavar": "L,L", "help": "tokens before a step; times are averaged over "
                   "them (default: the middle of what the latency files measured, else 512)"},
    "--latency": {"type": names, "default": (), "metavar": "FILE,FILE", "help": "files of `veridraft latency`: time as "
                  "it was measured, of one request"},
    "--clock": {"choices": ("wall", "cpu"), "default": "wall", "help": "of the latency files (default: %(default)s)"},
}  # fmt: skip


def models_of(options: argparse.Namespace, files: Sequence[LatencyFile]) -> tuple[list[LatencyModel], list[str]]:
    """The latency models that were asked for, and why others are left out; ``ValueError`` if none is left."""
    models, left_out = [file.model(clock=options.clock) for file in files], list[str]()
    if files and options.batch > 1:
        raise ValueError("batch must be left out with --latency: the files hold passes of one request")
    target = network_of("target", options.target)
    draft = draft_of(options.draft, target)
    cache_bytes = get_format(options.cache_format).weight_bytes
    for name in options.gpu:
        device = get_device(name).times(options.gpus)
        try:
            models.append(roofline_model(target, draft, device, number_format=options.number_format,
                                         batch=options.batch, tokens=max(contexts_of(options, files)),
                                         cache_bytes=cache_bytes))  # fmt: skip
        except ValueError as error:
            left_out.append(str(error))
    if not options.latency and not options.gpu:
        raise ValueError("--latency FILE or --gpu NAME is missing: times must come from somewhere")
    if not models:
        raise ValueError("; ".join(left_out))
    return models, left_out


def network_of(role: str, text: str) -> Network:
    """The shape of that name, or of that configuration; errors begin with the role."""
    if text.lower() in {name.lower() for name in NETWORKS}:
        return get_network(text)
    if Path(text).exists():
        return network_of_config(text)
    if Path(text).suffix == ".json" or "/" in text:
        raise ValueError(f"{role} {text!r} does not exist")
    try:
        return get_network(text)
    except ValueError as error:
        raise ValueError(f"{role}: {error}; or give a config.json") from None


def draft_of(text: str, target: Network) -> Network | None:
    """The draft's shape; ``None`` for n-grams."""
    if text.lower() in NGRAMS:
        return None
    return target.head() if text.lower() in HEADS else network_of("draft", text)


def contexts_of(options: argparse.Namespace, files: Sequence[LatencyFile]) -> tuple[int, ...]:
    """Those that were asked for; else the middle of what every file measured; 512 without a file."""
    if options.contexts:
        return tuple(options.contexts)
    if not files:
        return (512,)
    measured = [file.settings["contexts"] for file in files]
    return ((max(map(min, measured)) + min(map(max, measured))) // 2,)
