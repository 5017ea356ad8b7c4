"""The words of ``veridraft audit``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from veridraft.simulate.adapters.table import ADAPTERS
from veridraft.simulate.auditing.auditor import TRIALS
from veridraft.simulate.forms.calls import LIBRARIES
from veridraft.simulate.forms.form import Form

from ...running.console import Parser
from ...running.options import COUNT

TEXT = """\
Call a function with drafts drawn by a known law and hold what it emits against the target's law, with a test that
is valid whenever it stops. A counterexample is printed as soon as there is enough evidence. The form says how the
function is called (V vocabulary, L drafted levels, K paths, N nodes; rng is a numpy.random.Generator, or a
torch.Generator with --arrays torch) and what it returns: the emitted tokens, the accepted ones and one more.

  chain     function(target (L+1, V), draft (L, V), tokens (L,), rng)
  paths     function(target (K, L+1, V), draft (K, L, V), tokens (K, L), rng)
  tree      function(target (N, V), draft (N, V), parents (N,), tokens (N,), rng); node 0 is the root
  generate  function(rng), which drafts by itself; needs --target and --length

With --batched every array has an axis of trials in front, and the answer is padded with -1 (generate: function(rng,
trials)). What the function prints goes to the standard error stream.
"""

STATUS = """\
exit status: 0 no defect found, 1 lossy, 2 undecided or an error, 130 stopped

example: veridraft audit engine.sampling:verify --form chain --trials 20000
"""


OPTIONS: dict[str, dict[str, Any]] = {
    "--form": {"choices": [form.value for form in Form], "help": "how it is called (default: chain, or the adapter's)"},
    "--batched": {"action": "store_true", "help": "it decides many trials in one call"},
    "--arrays": {"choices": LIBRARIES, "default": "numpy", "help": "what it is given (default: %(default)s)"},
    "--dtype": {"metavar": "NAME", "default": "float64", "help": "type of the rows (default: %(default)s)"},
    "--device": {
        "metavar": "NAME",
        "default": "cpu",
        "help": "with torch or an adapter: where tensors and generator are (default: %(default)s)",
    },
    "--adapter": {"metavar": "NAME", "help": f"it has an engine's shape: {', '.join(ADAPTERS)}"},
    "--option": {
        "metavar": "NAME=VALUE",
        "action": "append",
        "default": [],
        "help": "an option of the adapter, a Python literal or module:object; may be repeated",
    },
    "--policy": {
        "metavar": "POLICY",
        "help": "how drafts are drawn, on the rows of the default cases: such as 'Iid(3, 2)', 'Static(2x2)' (without "
        "replacement), 'TopPlusOne(2, 2)', 'HubPairs(2)'",
    },
    "--cases": {
        "metavar": "MODULE:OBJECT",
        "help": "the instances to try: a sequence of veridraft.simulate.Case, or a function that makes one",
    },
    "--more-cases": {
        "action": "store_true",
        "help": "batched chains of unequal lengths too, some empty, padded with -1; rows of 151,936 columns",
    },
    "--merged": {"action": "store_true", "help": "equal siblings of a tree are one node, not repeated ones"},
    "--pad-to": {"metavar": "N", "type": COUNT, "help": "pad rows with zeros up to N columns"},
    "--target": {
        "metavar": "MODULE:OBJECT",
        "help": "form generate: what has vocabulary_size and target_row(context), the next token's law there",
    },
    "--length": {"metavar": "N", "type": COUNT, "help": "form generate: judge strings of N tokens"},
    "--end": {"metavar": "TOKEN", "type": COUNT, "help": "form generate: the token that ends a text"},
    "--draft": {
        "metavar": "MODULE:OBJECT",
        "help": "form generate: what has draft_row(context), to name mechanisms by (default: the target, if it has it)",
    },
    "--drafts": {"metavar": "N", "type": COUNT, "help": "form generate: tokens that a round drafts, likewise"},
    "--second-target": {
        "metavar": "MODULE:OBJECT",
        "help": "form generate: other rows, such as the verifying pass's; says whether a lossy text has their law",
    },
    "--trials": {
        "metavar": "N",
        "type": COUNT,
        "help": f"all calls, at most (default: {TRIALS[False]:,}; batched {TRIALS[True]:,})",
    },
    "--seconds": {
        "metavar": "S",
        "type": float,
        "help": "stop after about S, with the sensitivity reached; undecided if a case was not tried, or with --trials",
    },
    "--batch": {"metavar": "N", "type": COUNT, "help": "trials in one call, at most (default: 16,384)"},
    "--call-seconds": {
        "metavar": "S",
        "type": float,
        "default": 10.0,
        "help": "time limit of one call (default: %(default)g)",
    },
    "--no-chosen-uniforms": {
        "action": "store_true",
        "help": "do not try the extreme uniforms, such as exactly 0, after trials that found nothing",
    },
    "--faulty-rows": {"action": "store_true", "help": "say what comes out for rows of nan, of zeros, of sum 2"},
    "--no-mechanism": {
        "action": "store_true",
        "help": "stop at the verdict: draw nothing further to locate and explain what was found",
    },
    "--traceback": {"action": "store_true", "help": "show the traceback of an exception of the function"},
    "--level": {
        "type": float,
        "default": 1e-6,
        "help": "probability of calling a lossless function lossy (default: %(default)g)",
    },
    "--seed": {"metavar": "N", "type": COUNT, "default": 0, "help": "of all randomness (default: %(default)s)"},
    "--json": {"metavar": "FILE", "help": "write the result there as JSON; - is the standard output, the text then "
               "goes to the standard error stream"},
    "--dump": {
        "metavar": "FILE.npz",
        "type": Path,
        "help": "write a trial that shows what was found, and print the lines that run it again",
    },
    "--out": {"metavar": "PAGE.html", "type": Path, "help": "write a page with a picture of where the laws differ"},
}  # fmt: skip


def parser() -> Parser:
    """The parser of the words behind the command's name."""
    made = Parser(prog="veridraft audit", description=TEXT, epilog=STATUS,
                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    made.add_argument("function", metavar="MODULE:FUNCTION", help="package.module:function or file.py:function")
    for flag, options in OPTIONS.items():
        made.add_argument(flag, **options)
    return made
