"""``python -m veridraft.gpu``: the cross-check from the command line."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .crosschecks.crosschecker import Crosscheck
    from .models.pairs import ModelPair


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a cross-check and print its rows; 0 if all agree, 1 if one does not, 2 if it could not be run."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        run = _run(_parser().parse_args(words), shlex.join(["python", "-m", "veridraft.gpu", *words]))
    except (ValueError, OSError, ImportError, FloatingPointError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if os.environ.get("RANK", "0") != "0":
        return 0
    for row in run.rows:
        scores = " ".join(f"{name} {_shown(row[name])}" for name in ("z", "z_draft", "z_text"))
        print(f"{row['verifier']:13} measured {row['measured']:.3f} predicted {row['predicted']:.3f} {scores}")
    return 0 if run.verdict.value == "agrees" else 1


def _run(options: argparse.Namespace, command: str) -> Crosscheck:
    from .models.split.ranks import on_all_ranks

    return on_all_ranks(_pair(options), lambda pair: _checked(pair, options, command))


def _pair(options: argparse.Namespace) -> ModelPair:
    """The pair, on one device or several."""
    from .decoding.passes.packing import packed_pair
    from .models.pairs import load_pair
    from .models.split.pairs import load_split_pair

    if options.pack and (options.tensor_parallel or options.device_map):
        raise ValueError("--pack is for a pair on one device: leave --device-map and --tensor-parallel out")
    if not (options.tensor_parallel or options.device_map):
        pair = load_pair(options.target, options.draft, options.device, options.dtype)
        return packed_pair(pair) if options.pack else pair
    split = {"tensor_parallel": options.tensor_parallel, "device_map": options.device_map}
    return load_split_pair(options.target, options.draft, options.dtype, offload_folder=options.offload, **split)


def _checked(pair: ModelPair, options: argparse.Namespace, command: str) -> Crosscheck:
    from .crosschecks.crosschecker import crosscheck

    return crosscheck(
        pair,
        options.verifiers.split(",") if options.verifiers else None,
        options.policy,
        temperature=options.temperature,
        top_p=options.top_p,
        steps=options.steps,
        seed=options.seed,
        out=options.out,
        command=command,
    )


def _shown(score: float | None) -> str:
    return "not applicable" if score is None else f"{score:+.2f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m veridraft.gpu", description=__doc__)
    parser.add_argument("--target", help="folder, GGUF file or name; default: the embedded model")
    parser.add_argument("--draft", help="the same, or skip:17,18 for the target without those layers")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--pack", action="store_true", help="on a CPU in float32: pack the linear layers' weights")
    parser.add_argument("--device-map", help="auto: place the target's layers over this machine's devices")
    parser.add_argument("--offload", metavar="DIR", help="with --device-map, for what no device holds")
    parser.add_argument("--tensor-parallel", action="store_true", help="under torchrun: split the target")
    parser.add_argument("--verifiers", help="names, separated by commas; default: all that run at this vocabulary")
    parser.add_argument("--policy", default="Iid(4, 3)")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=300, help="target passes per verifier")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="folder for crosscheck.json; a run there is continued")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
