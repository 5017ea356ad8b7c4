"""``veridraft what-if``: predicted tokens per second of verifiers and policies on measured or published hardware."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from math import inf
from typing import Any

from veridraft.gpu.latency.file import LatencyFile
from veridraft.theory.speed.hardware import DEVICES, get_device
from veridraft.theory.speed.networks import NETWORKS, get_network
from veridraft.theory.speed.rates import LatencyModel, Term, roofline_model
from veridraft.theory.verifiers.table import VERIFIERS

from ...running.console import Parser, bad_input, names
from ...running.families import FAMILIES, VOCABULARY_SIZE
from ...running.files import JSON_OPTION, check_file, say
from ...running.options import COUNT, check_verifiers, decimals, numbers, policies, words_of
from ...running.verifiers import HELP, VERIFIER_NAMES
from ...writing.tables import Table
from .what_if import Question, Sampling, WhatIf, source_of

DESCRIPTION = (
    "Predict tokens per second, E[tau + 1] / E[T], of every verifier with every policy that it is lossless for: "
    "tokens from the law on trees of the pair, time from a latency file or from a roofline of published figures. "
    "Best first, with the term that takes most of a step. Acceptance comes from the pair that is given and from "
    "nowhere else: a synthetic family says nothing about a network of that size."
)

SHORT = dict(zip(Term, ("draft", "target", "verify", "rest"), strict=True))
"""Terms as heads of columns, which show their share of a step."""

SHOWN = ("block", "specinfer", "spectr", "traversal", "lifted_k_seq")
MOST_TOKENS = 4096
"""Of a family: its rows are drawn at every context that trees come to."""

SHAPES = "Chain(2); Chain(4); Iid(2, 3); Iid(4, 3); Delayed(2, 2, 2)"


OPTIONS: dict[str, dict[str, Any]] = {
    "--latency": {"type": names, "default": (), "metavar": "FILE,FILE", "help": "files of `veridraft latency`"},
    "--clock": {"choices": ("wall", "cpu"), "default": "wall", "help": "of the latency files (default: %(default)s)"},
    "--gpu": {"type": names, "default": (), "metavar": "GPU,GPU", "help": f"presets: {', '.join(DEVICES)}"},
    "--target-shape": {"default": "8B", "metavar": "SHAPE", "help": f"with --gpu: {', '.join(NETWORKS)} (default: 8B)"},
    "--draft-shape": {"default": "1B", "metavar": "SHAPE", "help": "with --gpu (default: %(default)s)"},
    "--gpus": {"type": COUNT, "default": 1, "help": "with --gpu: how many share the work perfectly (default: 1)"},
    "--bytes-per-weight": {"type": float, "default": 2.0, "metavar": "B", "help": "with --gpu (default: 2, bfloat16)"},
    "--pair": {"default": "near", "help": f"a synthetic family ({', '.join(family.name for family in FAMILIES)}), a "
               "recording of rows, or a trace (default: %(default)s)"},
    "--normalise": {"action": "store_true", "help": "divide the rows of a recording by their sums, as rows of less "
                    "precision than float64 need"},
    "--vocabulary": {"type": COUNT, "default": VOCABULARY_SIZE, "metavar": "V", "help": "of a family (default: 4)"},
    "--verifiers": {"type": VERIFIER_NAMES, "metavar": "NAMES", "help": f"of {', '.join(VERIFIERS)}, {HELP} "
                    f"(default: those whose steps the latency files hold, else {','.join(SHOWN)})"},
    "--policies": {"type": words_of(policies), "default": policies(SHAPES), "metavar": "POLICIES",
                   "help": f"with semicolons between them (default: '{SHAPES}')"},
    "--temperatures": {"type": words_of(decimals), "default": (1.0,), "metavar": "T,T", "help": "(default: 1)"},
    "--top-p": {"type": float, "default": 1.0, "help": "(default: 1)"},
    "--contexts": {"type": words_of(numbers), "metavar": "L,L", "help": "tokens before a step; times are averaged over "
                   "them (default: the middle of what the latency files measured, else 512)"},
    "--trees": {"type": COUNT, "default": 400, "help": "of each policy, the same for all verifiers (default: 400)"},
    "--exact": {"action": "store_true", "help": "expectations over all trees; passes as planned, none merged"},
    "--seed": {"type": COUNT, "default": 0, "help": "of the trees (default: 0)"},
    "--top": {"type": COUNT, "default": 20, "help": "rows to print (default: %(default)s)"},
    "--json": JSON_OPTION,
}  # fmt: skip


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft what-if`` with the words behind it."""
    return run_what_if(parser().parse_args(words))


def parser() -> Parser:
    """The parser of the words behind the command's name."""
    made = Parser(prog="veridraft what-if", description=DESCRIPTION)
    for flag, options in OPTIONS.items():
        made.add_argument(flag, **options)
    return made


def run_what_if(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft what-if``."""
    with bad_input("what-if"):
        _check(options)
        check_file("json", options.json)
        files = [LatencyFile.load(path) for path in options.latency]
        models, left_out = _models(options, files)
        question = _question(options, models, files)
        answers, more = question.answers()
        left_out += more
        if not answers:
            more_reasons = f"; and {len(left_out) - 3} more" if len(left_out) > 3 else ""
            raise ValueError(f"nothing can be predicted: {'; '.join(left_out[:3])}{more_reasons}")
    held = {"answers": [_json(answer) for answer in answers], "left_out": left_out}
    say(what_if_text(question, answers, left_out, options.top), held, options.json)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raise ``ValueError`` for a number out of range."""
    numbers = [("gpus", 1), ("vocabulary", 1), ("trees", 2), ("seed", 0), ("top", 1)]
    values = [(name, getattr(options, name), least) for name, least in numbers]
    values += [("contexts", context, 1) for context in options.contexts or ()]
    for name, value, least in values:
        if value < least:
            raise ValueError(f"{name} must be at least {least}, but is {value}")
    if options.vocabulary > MOST_TOKENS:
        raise ValueError(f"vocabulary must be at most {MOST_TOKENS} for a family, but is {options.vocabulary}")
    if not 0 < options.bytes_per_weight < inf:
        raise ValueError(f"bytes-per-weight must be positive and finite, but is {options.bytes_per_weight}")


def _models(options: argparse.Namespace, files: list[LatencyFile]) -> tuple[list[LatencyModel], list[str]]:
    """The latency models that were asked for, and why others are left out."""
    models, left_out = [file.model(clock=options.clock) for file in files], list[str]()
    shapes = get_network(options.target_shape), get_network(options.draft_shape)
    for name in options.gpu:
        device = get_device(name).times(options.gpus)
        try:
            models.append(roofline_model(*shapes, device, weight_bytes=options.bytes_per_weight))
        except ValueError as error:
            left_out.append(str(error))
    if not options.latency and not options.gpu:
        raise ValueError("--latency FILE or --gpu NAME is missing: times must come from somewhere")
    if not models:
        raise ValueError("; ".join(left_out))
    return models, left_out


def _question(options: argparse.Namespace, models: list[LatencyModel], files: list[LatencyFile]) -> Question:
    held = tuple(dict.fromkeys(name for file in files for name in file.verifiers)) or SHOWN
    verifiers = held if options.verifiers is None else options.verifiers
    check_verifiers(verifiers)
    samplings = tuple(Sampling(temperature, options.top_p) for temperature in options.temperatures)
    source = source_of(options.pair, options.vocabulary, options.normalise)
    return Question(
        tuple(models), source, samplings, verifiers, options.policies,
        options.contexts or _middle(files), options.trees, options.seed, options.exact,
    )  # fmt: skip


def _middle(files: list[LatencyFile]) -> tuple[int, ...]:
    """The context in the middle of those that every file measured between; 512 without a file."""
    if not files:
        return (512,)
    measured = [file.settings["contexts"] for file in files]
    return ((max(map(min, measured)) + min(map(max, measured))) // 2,)


def what_if_text(question: Question, answers: list[WhatIf], left_out: list[str], top: int) -> str:
    """The table, best first, then where the times are from and what is left out."""
    how = "exact, passes as planned" if question.exact else f"{question.trees} trees a policy, +- 95 %"
    lengths = ", ".join(map(str, question.lengths))
    caption = f"Predicted throughput on pair {question.source.name!r}, context {lengths}: {how}"
    best = {(one.hardware, one.sampling): one for one in reversed(answers)}
    columns = ("hardware", "verifier", "policy", "T", "E[tau+1]", "step ms", *SHORT.values(), "tokens/s", "+-",
               "x plain", "dominated by")  # fmt: skip
    rows = [_cells(answer, question.exact) for answer in answers if best[answer.hardware, answer.sampling] is answer]
    lines = [Table("Best on each hardware and at each temperature", columns, tuple(rows), names=3).text(), ""]
    rows = [_cells(answer, question.exact) for answer in answers[:top]]
    lines = [*(lines if len(best) > 1 else []), Table(caption, columns, tuple(rows), names=3).text()]
    lines += [f"{len(answers) - top} more rows: --top {len(answers)} shows them"] if len(answers) > top else []
    lines += [f"{model.name}: {model.note}" for model in question.models if model.note]
    return "\n".join([*lines, *(f"Left out: {reason}" for reason in left_out)])


def _cells(answer: WhatIf, exact: bool) -> tuple[str, ...]:
    result, time = answer.result, answer.result.time
    low, high = (0.0, 0.0) if exact else result.confidence_interval()
    shares = (f"{100 * float(part / time.total):.0f} %" for part in time.terms.values())
    return (
        answer.hardware, answer.verifier, answer.policy, f"{answer.sampling.temperature:g}",
        f"{float(result.block_efficiency):.3f}", f"{1e3 * float(time.total):.2f}", *shares,
        f"{answer.tokens_per_second:.1f}", f"{(high - low) / 2:.1f}",
        f"{answer.tokens_per_second / answer.plain:.2f}", time.dominant.value,
    )  # fmt: skip


def _json(answer: WhatIf) -> dict[str, Any]:
    time = answer.result.time
    return {
        "hardware": answer.hardware, "verifier": answer.verifier, "policy": answer.policy,
        "temperature": answer.sampling.temperature, "top_p": answer.sampling.top_p,
        "block_efficiency": float(answer.result.block_efficiency), "seconds": float(time.total),
        "terms": {term.value: float(part) for term, part in time.terms.items()},
        "tokens_per_second": answer.tokens_per_second, "plain_tokens_per_second": answer.plain,
        "dominated_by": time.dominant.value,
    }  # fmt: skip
