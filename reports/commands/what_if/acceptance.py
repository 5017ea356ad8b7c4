"""Where acceptance comes from: rows of a family, a recording or a trace; rates by position; a mean length."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from veridraft.gpu.engines.lengths import read_run
from veridraft.gpu.engines.runs import EngineRun
from veridraft.theory.search.acceptance import AcceptanceRates, MeanLengths

from ...running.console import names
from ...running.options import COUNT, decimals, words_of
from .models import EMBEDDED, check_model_words, model_source
from .sources import KNOWN, MARKOV, Source, source_of

VOCABULARY = 256
"""Tokens of a family unless another number is asked for."""

MOST_TOKENS = 4096
"""Of a family: its rows are drawn at every context that trees come to."""

OPTIONS: dict[str, dict[str, Any]] = {
    "--pair": {"metavar": "PAIR", "help": f"rows: a trace of an engine, a recording of rows, or a synthetic family "
               f"({', '.join(KNOWN)}) (default: {MARKOV.name}, if no rates are given)"},
    "--normalise": {"action": "store_true", "help": "divide the rows of a recording by their sums, as rows of less "
                    "precision than float64 need"},
    "--vocabulary": {"type": COUNT, "default": VOCABULARY, "metavar": "V", "help": "of a family (default: 256)"},
    "--models": {"nargs": "+", "metavar": "MODEL", "help": f"a target and a draft, as of `veridraft latency`, or "
                 f"{EMBEDDED}: trees are drafted afresh, for --policies that are named"},
    "--device": {"default": "cpu", "help": "of --models: cpu or cuda (default: cpu)"},
    "--rates": {"type": names, "metavar": "R,R", "help": "unconditional acceptance by position (the first i tokens are "
                "all accepted), as vLLM's synthetic_acceptance_rates; or a file of an engine's accepted lengths"},
    "--conditional-rates": {"type": words_of(decimals), "metavar": "R,R", "help": "the same, each given that those "
                            "before it are accepted, as AIConfigurator's nextn_accept_rates"},
    "--acceptance-length": {"type": words_of(decimals), "metavar": "E,E", "help": "mean tokens of a step, the bonus "
                            "token included: one number with --drafted, or those of 1, 2, ... drafted tokens"},
    "--drafted": {"type": COUNT, "metavar": "K", "help": "tokens that were drafted for --acceptance-length"},
}  # fmt: skip

GIVEN = ("pair", "models", "rates", "conditional_rates", "acceptance_length")


Known = Source | AcceptanceRates | MeanLengths
"""What is known of acceptance."""


def acceptance_of(options: argparse.Namespace) -> Known:
    """What the options say is accepted; ``ValueError`` for two that contradict, or what cannot be."""
    given = [name for name in GIVEN if getattr(options, name) is not None]
    if len(given) > 1:
        raise ValueError(f"{_flag(given[0])} and {_flag(given[1])} both say what is accepted: give one")
    if options.drafted is not None and options.acceptance_length is None:
        raise ValueError("--drafted belongs to --acceptance-length")
    if options.rates is not None:
        return rates_of(options.rates)
    if options.conditional_rates is not None:
        return AcceptanceRates.of_conditional(options.conditional_rates)
    if options.acceptance_length is not None:
        return _lengths_of(options.acceptance_length, options.drafted)
    if options.models is not None:
        check_model_words(options.models)
        if not options.policies:
            raise ValueError("--policies is missing: --models draft every tree anew, so say which")
        return model_source(options.models, options.device)
    return source_of(options.pair or MARKOV.name, options.vocabulary, options.normalise)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _lengths_of(lengths: tuple[float, ...], drafted: int | None) -> MeanLengths:
    """Several lengths are those of 1, 2, ... drafted tokens."""
    if len(lengths) == 1:
        if drafted is None:
            raise ValueError("--drafted K is missing: an acceptance length is one of K drafted tokens")
        return MeanLengths({drafted: lengths[0]})
    if drafted is not None:
        raise ValueError("--drafted belongs to one acceptance length; several are those of 1, 2, ... drafted tokens")
    return MeanLengths(dict(enumerate(lengths, start=1)))


def rates_of(words: tuple[str, ...]) -> AcceptanceRates:
    """The rates in words, or of the run in a file."""
    try:
        return AcceptanceRates(decimals(",".join(words)))
    except ValueError:
        if len(words) != 1 or words[0].replace(".", "").isdigit():
            raise
    if not Path(words[0]).is_file():
        raise ValueError(f"rates {words[0]!r} is neither numbers nor a file")
    return rates_of_run(read_run(words[0]))


def rates_of_run(run: EngineRun) -> AcceptanceRates:
    """The share of steps that accepted each position, of steps that drafted as many tokens as any.

    Raises ``ValueError`` where steps drafted unequally and it is not known which.
    """
    whole = run.fully_drafted()
    if whole is None or not whole.steps:
        raise ValueError("rates: the run's steps drafted unequal numbers of tokens, and it does not say which did")
    reached = whole.histogram[::-1].cumsum()[::-1][1:]
    return AcceptanceRates(tuple((reached / whole.steps).tolist()))
