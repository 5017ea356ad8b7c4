"""``veridraft crosscheck`` without ``--from``: every verifier on one policy's trees, one text at a time."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veridraft.gpu.decoding.drafting.n_gram import any_policy
from veridraft.gpu.files.cell_file import check_folder
from veridraft.gpu.files.kinds import CrosscheckFile

from ...running.console import FAILED, STOPPED, bad_input, broken_off, say_stopped
from ...running.models import LOADING, MODEL_OPTIONS, check_models
from ...running.options import COUNT, check_verifiers, command_of
from ...running.progress import Talk
from ...running.verifiers import HELP, VERIFIER_NAMES

if TYPE_CHECKING:
    from veridraft.gpu.crosschecks.crosschecker import Crosscheck
    from veridraft.gpu.models.pairs import ModelPair

OWN: dict[str, dict[str, Any]] = {
    **MODEL_OPTIONS,
    "--device-map": {"metavar": "MAP", "help": "auto: place the target's layers over this machine's devices"},
    "--offload": {"metavar": "FOLDER", "help": "with --device-map, for what no device holds"},
    "--tensor-parallel": {"action": "store_true", "help": "under torchrun: split the target's heads over the ranks"},
    "--verifiers": {"type": VERIFIER_NAMES, "metavar": "NAMES",
                    "help": f"these alone, {HELP} (default: all that the vocabulary allows)"},
    "--temperature": {"type": float, "default": 1.0, "help": "at least 0 (default: %(default)s)"},
    "--top-p": {"type": float, "default": 1.0, "help": "above 0, at most 1 (default: %(default)s)"},
    "--steps": {"type": COUNT, "default": 300, "help": "target passes of each verifier (default: %(default)s)"},
    "--seed": {"type": COUNT, "default": 0, "help": "of drafts and coins (default: %(default)s)"},
    "--out": {"type": Path, "default": Path("crosscheck"), "metavar": "FOLDER", "help": "made if missing: "
              f"{CrosscheckFile.name} (default: %(default)s)"},
}  # fmt: skip

GIVEN: dict[str, dict[str, Any]] = {"--verifiers": OWN["--verifiers"], "--policy": {}} | OWN
"""All that a run of one's own is given, in the order in which it is kept."""


def run_own(options: argparse.Namespace) -> int:
    """The exit status of a run of one's own: 0 all rows agree, 1 some do not, 2 bad input.

    Under ``torchrun`` only rank 0 prints, and the status of the others is 0.
    """
    try:
        with bad_input("crosscheck"), broken_off("crosscheck"):
            _check(options)
            from veridraft.gpu.models.split.ranks import on_all_ranks

            run = on_all_ranks(_pair(options), lambda pair: _checked(pair, options))
    except KeyboardInterrupt:
        say_stopped(options.out)
        return STOPPED
    if os.environ.get("RANK", "0") != "0":
        return 0
    for row in run.rows:
        scores = " ".join(f"{name} {_shown(row[name])}" for name in ("z", "z_draft", "z_text"))
        print(f"{row['verifier']:13} measured {row['measured']:.3f} predicted {row['predicted']:.3f} {scores}")
    return 0 if run.verdict.value == "agrees" else FAILED


def _check(options: argparse.Namespace) -> None:
    """Raise for what can be seen to be wrong before a network is loaded."""
    check_models(options, timing=False)
    any_policy(options.policy)
    if options.verifiers is not None:
        check_verifiers(options.verifiers)
    from veridraft.gpu.crosschecks.crosschecker import crosscheck_plan

    numbers = options.temperature, options.top_p, options.steps, options.seed
    crosscheck_plan(options.verifiers, options.policy, *numbers)
    if options.pack and (options.tensor_parallel or options.device_map):
        raise ValueError("--pack is for a pair on one device: leave --device-map and --tensor-parallel out")
    if options.tensor_parallel and options.device_map:
        raise ValueError("give --tensor-parallel or --device-map, not both")
    if options.offload and not options.device_map:
        raise ValueError("--offload goes with --device-map")
    check_folder(options.out)


def _pair(options: argparse.Namespace) -> ModelPair:
    """The pair, on one device or several."""
    from veridraft.gpu import load_pair, load_split_pair, packed_pair
    from veridraft.gpu.models.pairs import check_device

    check_device(options.device)
    Talk.say(LOADING)
    if not (options.tensor_parallel or options.device_map):
        pair = load_pair(options.target, options.draft, options.device, options.dtype)
        return packed_pair(pair) if options.pack else pair
    split = {"tensor_parallel": options.tensor_parallel, "device_map": options.device_map}
    return load_split_pair(options.target, options.draft, options.dtype, offload_folder=options.offload, **split)


def _checked(pair: ModelPair, options: argparse.Namespace) -> Crosscheck:
    from veridraft.gpu import crosscheck

    return crosscheck(
        pair,
        options.verifiers,
        options.policy,
        temperature=options.temperature,
        top_p=options.top_p,
        steps=options.steps,
        seed=options.seed,
        out=options.out,
        command=command_of(["crosscheck"], GIVEN, options),
    )


def _shown(score: float | None) -> str:
    return "not applicable" if score is None else f"{score:+.2f}"
