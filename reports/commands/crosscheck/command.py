"""``veridraft crosscheck``: an engine's accepted lengths (``--from``), or own runs (``--suite``, ``--policy``)."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from veridraft.gpu.engines import trace_writer
from veridraft.gpu.engines.agreement.agreement import (
    DESIGN_EFFECT,
    LEVEL,
    WITHIN,
    LengthAgreement,
    LengthOutcome,
    compare_lengths,
    compare_same_steps,
)
from veridraft.gpu.engines.agreement.predictions import (
    LengthPrediction,
    given_rates,
    predict_from_recording,
    predict_from_trace,
    rates_of,
)
from veridraft.gpu.engines.lengths import TRACES, format_of, read_run
from veridraft.gpu.engines.runs import EngineRun, Format
from veridraft.gpu.engines.traces import Trace, is_trace, load_trace
from veridraft.theory.pairs.recorded import RecordedPair
from veridraft.theory.policies.arguments import get_policy
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Chain
from veridraft.theory.rows.near_names import did_you_mean
from veridraft.theory.verifiers.table import VERIFIERS

from ...running.console import BAD_INPUT, FAILED, Parser, bad_input
from ...running.files import JSON_OPTION, check_file, say
from ...running.options import default_of
from .agreement_text import agreement_json, agreement_text
from .own import OWN, run_own

STATUS = {LengthOutcome.AGREES: 0, LengthOutcome.DISAGREES: FAILED, LengthOutcome.UNDECIDED: BAD_INPUT}

DESCRIPTION = (
    "With --from: hold the accepted lengths that an engine reported against a prediction, every position, the mean and "
    "the whole distribution, at one level that is split over these comparisons. With --suite: decode with every "
    "verifier and its policies, each tree and step predicted before it is made; finished cells are kept, so that a "
    "stopped suite goes on with the same command. With --policy alone: every verifier with that policy, one text at a "
    "time. Status 0: agrees; 1: disagrees; 2: bad input, or undecided because "
    "the run is too short."
)
FROM = (
    "what the engine reported: per-request objects of vLLM, SGLang or TensorRT-LLM (JSON, JSONL or a stream, however "
    "wrapped), Prometheus text with spec_decode_num_* counters (vLLM, llama.cpp), log lines of these two with rates by "
    "position, a result of vLLM's benchmark, accepted lengths as JSONL, or a trace (.npz, .safetensors)"
)
PREDICTION = (
    "a trace or a recording of rows (.npz, .safetensors), or the rates at which position 1, 2, ... is accepted, "
    "with commas or in a file; left out with a trace: its own rows, step by step"
)

ENGINE: dict[str, dict[str, Any]] = {
    "--from": {"dest": "source", "metavar": "FILE", "type": Path, "help": FROM},
    "--prediction": {"metavar": "FILE|RATES", "help": PREDICTION},
    "--verifier": {
        "default": "naive",
        "metavar": "NAME",
        "help": "whose law is applied to recorded rows (default: %(default)s, the ratio test of vLLM, and of llama.cpp "
        "with --spec-draft-sampling probabilistic; nss samples from the target and compares, as llama.cpp does by "
        "default)",
    },
    "--policy": {
        "metavar": "POLICY",
        "help": "how the recorded trees were drafted: Chain(L), Iid(K, L), ... (default: a chain as long as the "
        "run's), or, without --from, how own trees are",
    },
    "--conditional": {
        "action": "store_true",
        "help": "given rates are those of a position whose predecessors were accepted, not of all steps",
    },
    "--normalise": {
        "action": "store_true",
        "help": "divide recorded rows by their sums, as rows of less precision than float64 need",
    },
    "--format": {
        "choices": [form.value for form in Format if form is not Format.TRACE],
        "help": "of the --from file (default: found out)",
    },
    "--before": {"metavar": "FILE", "type": Path, "help": "the counters as they stood before the run: subtracted"},
    "--model": {"metavar": "NAME", "help": "whose counters are read, where Prometheus text has several models"},
    "--level": {"type": float, "default": LEVEL, "help": "of all comparisons together (default: %(default)s)"},
    "--within": {
        "type": float,
        "default": WITHIN,
        "help": "undecided while a position's rate is known no better than this (default: %(default)s)",
    },
    "--design-effect": {
        "type": float,
        "default": DESIGN_EFFECT,
        "metavar": "D",
        "help": "where neither requests nor the order of steps is known, N steps count as N / D independent ones: "
        "1 + (steps in a request - 1) x (share of the variance between requests) (default: %(default)s)",
    },
    "--json": JSON_OPTION,
    "--print-writer": {"action": "store_true", "help": "print the trace writer, to paste into an engine, and stop"},
}


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft crosscheck`` with the words behind it."""
    return run_crosscheck(parser().parse_args(words))


def parser() -> Parser:
    """The parser of the words behind the command's name."""
    made = Parser(prog="veridraft crosscheck", description=DESCRIPTION)
    for title, group in (("an engine's run", ENGINE), ("a run of one's own, with --policy and without --from", OWN)):
        part = made.add_argument_group(title)
        for flag, options in group.items():
            part.add_argument(flag, **options)
    return made


def run_crosscheck(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft crosscheck``: 0 agrees, 1 disagrees, 2 undecided or bad input."""
    if options.print_writer:
        print(inspect.getsource(trace_writer), end="")
        return 0
    with bad_input("crosscheck"):
        _check_flags(options)
    return run_own(options) if options.source is None else run_engine_check(options)


def _check_flags(options: argparse.Namespace) -> None:
    """Raise ``ValueError`` for an option that belongs to the other of the two: an engine's run, or one's own."""
    own = options.source is None
    if own and options.policy is None:
        raise ValueError("--from is missing, and so is --policy: give an engine's file, or the trees of own runs")
    other, given = (ENGINE, "a run of one's own: give --from FILE") if own else (OWN, "--from")
    for flag, settings in other.items():
        value = getattr(options, settings.get("dest", flag[2:].replace("-", "_")))
        if flag != "--policy" and value != default_of(settings):
            raise ValueError(f"{flag} does not go with {given}")


def run_engine_check(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft crosscheck --from``."""
    with bad_input("crosscheck"):
        check_file("json", options.json)
        run, prediction, agreement = answer(options)
    say(agreement_text(run, prediction, agreement), agreement_json(run, prediction, agreement), options.json)
    return STATUS[agreement.outcome]


def answer(options: argparse.Namespace) -> tuple[EngineRun, LengthPrediction, LengthAgreement]:
    """Run, prediction and what they say of each other; ``ValueError`` for input that cannot be compared."""
    if options.format is None and format_of(options.source) is Format.TRACE:
        return _answer_trace(options, load_trace(options.source))
    if options.prediction is None:
        raise ValueError("--prediction is missing: a file of recorded rows, or rates")
    run = read_run(options.source, options.format and Format(options.format), options.before, options.model)
    prediction = _prediction(options, run.spec_tokens)
    return run, prediction, compare_lengths(run, prediction, options.level, options.within, options.design_effect)


def _answer_trace(options: argparse.Namespace, trace: Trace) -> tuple[EngineRun, LengthPrediction, LengthAgreement]:
    """The accepted lengths of a trace, held against its own rows or against another prediction."""
    for name in ("before", "model"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name} is for Prometheus text, but {options.source} is a trace")
    if options.prediction is None:
        prediction = predict_from_trace(trace, _verifier(options), _policy(options, trace.deepest))
        agreement = compare_same_steps(prediction, options.level, options.within)
        assert prediction.run is not None, "a trace holds accepted lengths"
        return prediction.run, prediction, agreement
    prediction = _prediction(options, trace.deepest)
    run = trace.run(list(range(trace.steps)), max(prediction.depth, trace.deepest))
    return run, prediction, compare_lengths(run, prediction, options.level, options.within, options.design_effect)


def _prediction(options: argparse.Namespace, depth: int) -> LengthPrediction:
    """The prediction that was asked for; ``depth`` is the length of the chain where no policy is named."""
    if not options.prediction.endswith(TRACES):
        return given_rates(rates_of(options.prediction), options.conditional)
    if options.conditional:
        raise ValueError("--conditional is for given rates, but --prediction is a file of rows")
    policy, verifier = _policy(options, depth), _verifier(options)
    if is_trace(options.prediction):
        return predict_from_trace(load_trace(options.prediction), verifier, policy)
    return predict_from_recording(RecordedPair.load(options.prediction, normalise=options.normalise), verifier, policy)


def _policy(options: argparse.Namespace, depth: int) -> Policy:
    return Chain(depth) if options.policy is None else get_policy(options.policy)


def _verifier(options: argparse.Namespace) -> str:
    if options.verifier not in VERIFIERS:
        meant = did_you_mean(options.verifier, VERIFIERS)
        raise ValueError(f"--verifier {options.verifier!r} is unknown; known are {', '.join(VERIFIERS)}{meant}")
    return str(options.verifier)
