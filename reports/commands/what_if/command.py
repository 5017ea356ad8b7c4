"""``veridraft what-if``: which verifier and which tree to run, and how fast, on measured or published hardware."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

from veridraft.gpu.latency.file import LatencyFile
from veridraft.theory.search.acceptance import AcceptanceRates, MeanLengths
from veridraft.theory.search.halving import SEARCHED, TREES
from veridraft.theory.speed.rates import LatencyModel
from veridraft.theory.verifiers.table import VERIFIERS

from ...running.console import Parser, bad_input
from ...running.files import JSON_OPTION, check_file, say
from ...running.options import COUNT, check_verifiers, decimals, policies, words_of
from ...running.verifiers import HELP, VERIFIER_NAMES
from .acceptance import MOST_TOKENS, Known, acceptance_of
from .acceptance import OPTIONS as ACCEPTANCE_OPTIONS
from .exports import FORMATS, exported, reply_json, vllm_settings
from .questions import AS_MEASURED, Question, RateQuestion, Reply, SearchQuestion
from .sources import Sampling, Source
from .text import reply_text
from .times import OPTIONS as TIME_OPTIONS
from .times import contexts_of, models_of

DESCRIPTION = (
    "What to run: predicted tokens per second, E[tau + 1] / E[T], of verifiers with the trees that they are lossless "
    "for. Time comes from published figures of GPUs (--gpu) or a latency file. Acceptance comes from your rows "
    "(--pair), your models (--models), your rates (--rates, --conditional-rates, --acceptance-length), or, if you "
    "give none, from a synthetic family that the first line names. --search looks at every verifier and shape up to a "
    "budget of nodes. Rates alone determine chains of the rule that they were measured with, and no trees. Example, "
    "8B with a 1B draft on an H100 at temperature 0.6, 16 requests at once: veridraft what-if --search --gpu H100 "
    "--target 8B --draft 1B --temperatures 0.6 --batch 16"
)

SHOWN = ("block", "specinfer", "spectr", "traversal", "lifted_k_seq")
SHAPES = "Chain(2); Chain(4); Iid(2, 3); Iid(4, 3); Delayed(2, 2, 2)"
BUDGET, TREES_OF_A_POLICY, TREES_OF_A_TRACE = 16, 400, 200

OPTIONS: dict[str, dict[str, Any]] = {
    "--search": {"action": "store_true", "help": "look at every verifier and shape up to --budget nodes"},
    "--budget": {"type": COUNT, "metavar": "N", "help": f"nodes below the root, with --search (default: {BUDGET})"},
    **TIME_OPTIONS,
    **ACCEPTANCE_OPTIONS,
    "--temperatures": {"type": words_of(decimals), "default": (1.0,), "metavar": "T,T", "help": "(default: 1)"},
    "--top-p": {"type": float, "default": 1.0, "help": "(default: 1)"},
    "--verifiers": {"type": VERIFIER_NAMES, "metavar": "NAMES", "help": f"of {', '.join(VERIFIERS)}, {HELP} "
                    f"(default: those whose steps the latency files hold, else {','.join(SHOWN)}; of a search "
                    f"{','.join(SEARCHED)})"},
    "--policies": {"type": words_of(policies), "metavar": "POLICIES",
                   "help": f"with semicolons between them (default: '{SHAPES}'; of a search all shapes)"},
    "--price": {"type": float, "metavar": "DOLLARS", "help": "of one GPU an hour: adds the price of a million tokens"},
    "--trees": {"type": COUNT, "help": "of each policy, the same for all verifiers (default: "
                f"{TREES_OF_A_POLICY}; of a search's answers {TREES}, {TREES_OF_A_TRACE} of a trace)"},
    "--exact": {"action": "store_true", "help": "expectations over all trees; passes as planned, none merged"},
    "--seed": {"type": COUNT, "default": 0, "help": "of the trees (default: 0)"},
    "--top": {"type": COUNT, "help": "rows to print (default: 10 of a search, else 20)"},
    "--format": {"choices": FORMATS, "default": "text", "help": "printed: text; csv or json, for programs; vllm: "
                 "synthetic_acceptance_rates of the best chain (default: text)"},
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
        models, left_out = models_of(options, files)
        known = acceptance_of(options)
        reply = _asked(options, models, files, known).reply()
        reply.left_out[:0] = left_out
        if not reply.answers:
            more = f"; and {len(reply.left_out) - 3} more" if len(reply.left_out) > 3 else ""
            raise ValueError(f"nothing can be predicted: {'; '.join(reply.left_out[:3])}{more}")
        if options.format == "vllm":
            vllm_settings(reply.answers)
    _say(options, reply, models, contexts_of(options, files), known)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raise ``ValueError`` for a number out of range, or options that do not go together."""
    numbers = [("gpus", 1), ("batch", 1), ("vocabulary", 1), ("trees", 2), ("seed", 0), ("top", 1), ("budget", 1),
               ("drafted", 1)]  # fmt: skip
    values = [(name, getattr(options, name), least) for name, least in numbers if getattr(options, name) is not None]
    values += [("contexts", context, 1) for context in options.contexts or ()]
    for name, value, least in values:
        if value < least:
            raise ValueError(f"{name} must be at least {least}, but is {value}")
    if options.vocabulary > MOST_TOKENS:
        raise ValueError(f"vocabulary must be at most {MOST_TOKENS} for a family, but is {options.vocabulary}")
    if options.price is not None and not 0 < options.price < inf:
        raise ValueError(f"price must be positive and finite, but is {options.price}")
    if options.budget is not None and not options.search:
        raise ValueError("budget belongs to --search")
    if options.search and options.exact:
        raise ValueError("exact and search do not go together: a search draws trees")
    if options.format != "text" and options.json == "-":
        raise ValueError(f"format {options.format} and --json - both ask for the standard output")


def _asked(
    options: argparse.Namespace, models: list[LatencyModel], files: list[LatencyFile],
    known: Known,
) -> Question | SearchQuestion | RateQuestion:  # fmt: skip
    """The question that the options ask."""
    samplings = tuple(Sampling(temperature, options.top_p) for temperature in options.temperatures)
    lengths = contexts_of(options, files)
    if not isinstance(known, Source):
        return _about_rates(options, models, files, known, samplings)
    verifiers = options.verifiers or tuple(dict.fromkeys(name for file in files for name in file.verifiers))
    verifiers = verifiers or (SEARCHED if options.search else SHOWN)
    if options.verifiers is not None:
        check_verifiers(options.verifiers)
    trees = trees_of(options, known)
    if options.search:
        return SearchQuestion(tuple(models), known, samplings, verifiers, lengths, options.budget or BUDGET, trees,
                              options.seed, options.policies)  # fmt: skip
    return Question(tuple(models), known, samplings, verifiers, options.policies or policies(SHAPES), lengths, trees,
                    options.seed, options.exact)  # fmt: skip


def trees_of(options: argparse.Namespace, known: Source) -> int:
    """How many trees each answer is computed from: of a trace as many as there are, up to the most of any."""
    if options.trees is not None:
        return int(options.trees)
    drawn, most = (TREES, TREES_OF_A_TRACE) if options.search else (TREES_OF_A_POLICY, TREES_OF_A_POLICY)
    return drawn if known.trees_at_most is None else max(2, min(known.trees_at_most, most))


def _about_rates(
    options: argparse.Namespace, models: list[LatencyModel], files: list[LatencyFile],
    known: AcceptanceRates | MeanLengths, samplings: tuple[Sampling, ...],
) -> RateQuestion:  # fmt: skip
    """The question that rates answer; ``ValueError`` for what needs rows."""
    if options.policies or options.exact or len(options.verifiers or ()) > 1:
        raise ValueError("rates hold for chains of the rule that they were measured with: other verifiers, --policies "
                         "and --exact need rows (--pair)")  # fmt: skip
    if len(samplings) > 1 or options.top_p != 1:
        raise ValueError("rates hold at the sampling that they were measured at: give one temperature, which names it")
    if options.verifiers is not None:
        check_verifiers(options.verifiers)
    held = dict.fromkeys(name for file in files for name in file.verifiers)
    if held and options.verifiers is None:
        raise ValueError(f"--verifiers NAME is missing: whose verification counts for time, of {', '.join(held)}?")
    rule = options.verifiers[0] if options.verifiers else AS_MEASURED
    sampling = samplings[0] if samplings[0].temperature != 1 else None
    return RateQuestion(tuple(models), known, contexts_of(options, files), sampling, rule)


def _say(
    options: argparse.Namespace, reply: Reply, models: list[LatencyModel], lengths: tuple[int, ...],
    known: Known,
) -> None:  # fmt: skip
    """Print the reply, and write what is asked for."""
    told, how = _told(known), _how(options, known)
    price = None if options.price is None else options.price * options.gpus
    top = options.top or (10 if options.search else 20)
    text = reply_text(reply, models, lengths, told, how, top, price)
    if options.format == "text":
        say(text, reply_json(reply, told, price), options.json)
        return
    print(text, file=sys.stderr)
    print(exported(options.format, reply, told, price))
    if options.json is not None:
        say("", reply_json(reply, told, price), str(Path(options.json)))


def _told(known: Known) -> str:
    """Where acceptance comes from, as the headline says it."""
    if isinstance(known, Source):
        return known.told
    if isinstance(known, MeanLengths):
        said = ", ".join(f"{tokens:g} at {drafted}" for drafted, tokens in known.by_drafted.items())
        return f"mean tokens {said} drafted, which are no distributions"
    return f"unconditional rates {', '.join(f'{rate:.4g}' for rate in known.unconditional)}"


def _how(options: argparse.Namespace, known: Known) -> str:
    """How the table was computed, and what it cannot say."""
    if isinstance(known, MeanLengths):
        return "other lengths need rates, other verifiers and trees need rows"
    if isinstance(known, AcceptanceRates):
        return f"other verifiers, trees, and more than {known.depth} tokens need rows"
    if options.exact:
        return "exact, passes as planned"
    return f"{trees_of(options, known)} trees a policy, +- 95 %"
