"""``veridraft audit``: is this function, seen from outside, a lossless verifier?"""

from __future__ import annotations

import argparse
import ast
import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from veridraft.simulate.adapters.table import ADAPTERS, Adapter, get_adapter
from veridraft.simulate.auditing.auditor import TRIALS, AuditInterrupted, audit
from veridraft.simulate.auditing.findings import pattern_text
from veridraft.simulate.auditing.verdict import Audit, Verdict
from veridraft.simulate.forms.calls import LIBRARIES
from veridraft.simulate.forms.cases import Case
from veridraft.simulate.forms.form import Form

from ...running.console import STOPPED, Parser, bad_input
from ...running.files import check_file, write_json
from ...running.loading import load
from ...writing.html import require_page_packages
from .page import write_audit_page

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


def whole(text: str) -> int:
    """The whole number that a text says, also one that is written as a float, such as ``1e6``."""
    try:
        number = int(text) if text.strip().lstrip("+-").isdigit() else float(text)
        if number != int(number):
            raise ValueError
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number, such as 1000 or 1e3") from None
    return int(number)


OPTIONS: dict[str, dict[str, Any]] = {
    "--form": {"choices": [form.value for form in Form], "help": "how it is called (default: chain, or the adapter's)"},
    "--batched": {"action": "store_true", "help": "it decides many trials in one call"},
    "--arrays": {"choices": LIBRARIES, "default": "numpy", "help": "what it is given (default: %(default)s)"},
    "--dtype": {"metavar": "NAME", "default": "float64", "help": "type of the rows (default: %(default)s)"},
    "--device": {"metavar": "NAME", "default": "cpu", "help": "with torch: of tensors and generator (default: cpu)"},
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
    "--pad-to": {"metavar": "N", "type": whole, "help": "pad rows with zeros up to N columns"},
    "--target": {
        "metavar": "MODULE:OBJECT",
        "help": "form generate: what has vocabulary_size and target_row(context), the next token's law there",
    },
    "--length": {"metavar": "N", "type": whole, "help": "form generate: judge strings of N tokens"},
    "--end": {"metavar": "TOKEN", "type": whole, "help": "form generate: the token that ends a text"},
    "--draft": {
        "metavar": "MODULE:OBJECT",
        "help": "form generate: what has draft_row(context), to name mechanisms by (default: the target, if it has it)",
    },
    "--drafts": {"metavar": "N", "type": whole, "help": "form generate: tokens that a round drafts, likewise"},
    "--second-target": {
        "metavar": "MODULE:OBJECT",
        "help": "form generate: other rows, such as the verifying pass's; says whether a lossy text has their law",
    },
    "--trials": {
        "metavar": "N",
        "type": whole,
        "help": f"all calls, at most (default: {TRIALS[False]:,}; batched {TRIALS[True]:,})",
    },
    "--seconds": {
        "metavar": "S",
        "type": float,
        "help": "stop after about S, with the sensitivity reached; undecided if a case was not tried, or with --trials",
    },
    "--batch": {"metavar": "N", "type": whole, "help": "trials in one call, at most (default: 16,384)"},
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
    "--seed": {"metavar": "N", "type": whole, "default": 0, "help": "of all randomness (default: %(default)s)"},
    "--json": {"metavar": "FILE", "help": "write the result there as JSON; - is the standard output, the text then "
               "goes to the standard error stream"},
    "--dump": {
        "metavar": "FILE.npz",
        "type": Path,
        "help": "write a trial that shows what was found, and print the lines that run it again",
    },
    "--out": {"metavar": "PAGE.html", "type": Path, "help": "write a page with a picture of where the laws differ"},
}  # fmt: skip


EVERY = 10.0
"""Seconds between two lines of progress where there is no terminal."""

AS_SAID = (
    "arrays", "dtype", "device", "policy", "pad_to", "length", "end", "drafts", "more_cases", "trials", "seconds",
    "call_seconds", "batch", "faulty_rows", "level", "seed",
)  # fmt: skip
"""Arguments of ``audit`` that are options of the same names."""


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft audit`` with the words behind it."""
    return run_audit(parser().parse_args(words))


def parser() -> Parser:
    """The parser of the words behind the command's name."""
    made = Parser(prog="veridraft audit", description=TEXT, epilog=STATUS,
                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    made.add_argument("function", metavar="MODULE:FUNCTION", help="package.module:function or file.py:function")
    for flag, options in OPTIONS.items():
        made.add_argument(flag, **options)
    return made


@dataclass(frozen=True)
class Asked:
    """A checked request: the callable, its name for a reader, the arguments of ``audit`` beside it."""

    verifier: Callable[..., Any]
    name: str
    arguments: dict[str, Any]


def run_audit(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft audit``."""
    try:
        with bad_input("audit"), redirect_stdout(sys.stderr):
            asked = _asked(options)
            result = _audited(asked)
    except AuditInterrupted as stop:
        print("\nStopped: this is what was seen until then.", file=sys.stderr)
        _publish(options, replace(stop.partial, verifier=asked.name))
        return STOPPED
    except KeyboardInterrupt:
        print("\nStopped before the first trial.", file=sys.stderr)
        return STOPPED
    _publish(options, result)
    return result.exit_status


def _asked(options: argparse.Namespace) -> Asked:
    """What was asked for; ``ValueError`` or ``TypeError`` for what is wrong about it."""
    _check_files(options)
    function = load("function", options.function)
    if not callable(function):
        raise TypeError(f"function {options.function!r} is not callable, but {type(function).__name__}")
    adapter = get_adapter(options.adapter) if options.adapter else None
    form, batched = _called(options, adapter)
    keywords = {name: getattr(options, name) for name in AS_SAID}
    objects = {name: getattr(options, name) for name in ("target", "draft", "second_target")}
    keywords |= {name: load(name, words) for name, words in objects.items() if words}
    keywords |= {"chosen_uniforms": not options.no_chosen_uniforms, "mechanism": not options.no_mechanism}
    keywords |= {"form": form, "batched": batched, "multiplicity": not options.merged, "cases": _cases(options.cases)}
    name = options.function + (f" through the adapter {adapter.name}" if adapter else "")
    return Asked(_adapted(function, adapter, options.option), name, keywords)


def _cases(words: str | None) -> Sequence[Case] | None:
    """The cases of that name; a function is called for them."""
    found = load("cases", words) if words else None
    try:
        cases = found() if callable(found) else found
    except Exception as error:
        raise ValueError(f"cases {words!r} raised {type(error).__name__}: {error}") from error
    if cases is not None and not (isinstance(cases, Sequence) and all(isinstance(one, Case) for one in cases)):
        raise TypeError(f"cases {words!r} must be a sequence of veridraft.simulate.Case, but is {cases!r}")
    return cases


def _called(options: argparse.Namespace, adapter: Adapter | None) -> tuple[str, bool]:
    """(form, batched), as asked or as the adapter has it."""
    if adapter is None:
        form, batched = options.form or Form.CHAIN.value, options.batched
    else:
        form, batched = adapter.form.value, adapter.batched
        if options.form not in (None, form):
            raise ValueError(f"adapter {adapter.name} has the form {form}, but --form is {options.form}")
        if options.batched and not batched:
            raise ValueError(f"adapter {adapter.name} is called with one trial at a time, but --batched is given")
        if options.arrays != "numpy":
            raise ValueError(f"adapter {adapter.name} makes its own tensors: leave --arrays out")
    if options.merged and form != Form.TREE.value:
        raise ValueError(f"--merged is for the form tree, but the form is {form}")
    return form, batched


def _adapted(function: Callable[..., Any], adapter: Adapter | None, given: list[str]) -> Callable[..., Any]:
    """The function as a verifier in a form of the audit."""
    if adapter is None:
        if given:
            raise ValueError("--option is for an adapter, but --adapter is not given")
        return function
    return adapter.wrap(function, **dict(_option(text) for text in given))


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"--option must be NAME=VALUE, but is {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, load(f"--option {name}", value)


def _check_files(options: argparse.Namespace) -> None:
    """Raise for files that cannot be written, before any work."""
    if options.out:
        require_page_packages()
    for name in ("out", "json", "dump"):
        place = getattr(options, name)
        check_file(f"--{name}", place)
        if place is not None and str(place) != "-":
            _check_by_writing(f"--{name}", Path(place))


def _check_by_writing(name: str, path: Path) -> None:
    """Raise ``ValueError`` unless the file can be opened to be written to; nothing is changed."""
    new = not path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise ValueError(f"{name} {str(path)!r} cannot be written: {error.strerror}") from None
    if new:
        path.unlink()


def _audited(asked: Asked) -> Audit:
    """The audit, under the name that the person gave, with its progress."""
    show = _Line(sys.stderr)
    try:
        result = audit(asked.verifier, progress=show, told=_told, **asked.arguments)
        return replace(result, verifier=asked.name)
    finally:
        show.clear()


def _told(reached: Audit) -> None:
    """Say a lossy verdict at once: to explain it may take a while."""
    if reached.verdict is Verdict.LOSSY:
        found = reached.findings[0]
        string = f", string {pattern_text(found.pattern)}" if found.pattern else ""
        print(f"LOSSY after {reached.trials:,} trials: case {found.case}{string}, {found.sign.value}", file=sys.stderr)


class _Line:
    """Progress: on a terminal a line drawn over itself, elsewhere a line each ten seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._start = stream, time.monotonic()
        self._terminal, self._next = stream.isatty(), self._start + EVERY

    def __call__(self, done: int, asked: int) -> None:
        now = time.monotonic()
        if self._terminal or now >= self._next:
            self._next = now + EVERY
            self._say(f"{done:,} of {asked:,} trials, {now - self._start:.0f} s")

    def clear(self) -> None:
        """Leave nothing behind on a terminal."""
        if self._terminal:
            self._say("")

    def _say(self, text: str) -> None:
        self._stream.write(f"\r\x1b[K{text}" if self._terminal else f"{text}\n")
        self._stream.flush()


def _publish(options: argparse.Namespace, result: Audit) -> None:
    """Print the text, write what was asked for; the page's path is printed last."""
    command = command_of(options)
    values = result.to_json() | {"command": command}
    stream = sys.stderr if options.json == "-" else sys.stdout
    print(result.text(), file=stream)
    if options.json == "-":
        print(json.dumps(values, indent=1, allow_nan=False))
    elif options.json:
        write_json(Path(options.json), values)
    if options.traceback and result.failure and result.failure.traceback:
        print(f"\n{result.failure.traceback}", file=sys.stderr)
    if options.dump:
        print(f"\n{_dumped(options, result)}", file=stream)
    if options.out:
        print(f"\n{write_audit_page(result, command, options.out)}", file=stream)


def _dumped(options: argparse.Namespace, result: Audit) -> str:
    """The lines that run a telling trial again, after it has been written; or that there is none."""
    if result.telling is None:
        return f"{options.dump} was not written: there is no trial that shows a departure"
    result.telling.save(options.dump)
    place, _, name = options.function.rpartition(":")
    top = name.split(".")[0]
    imports = f"from {Path(place).stem if place.endswith('.py') else place} import {top}"
    if options.adapter:
        words = "".join(f", {one}" for one in options.option)
        imports += "\nfrom veridraft.simulate import get_adapter"
        imports += f"\nverify = get_adapter({options.adapter!r}).wrap({name}{words})"
        name = "verify"
    held = f"{options.dump} holds a telling trial, and {result.telling.uniforms_text()}"
    return f"{held}; these lines run it again:\n\n" + result.telling.script(str(options.dump), imports, name)


def command_of(options: argparse.Namespace) -> str:
    """The shell command that runs the audit again; options at their default are left out."""
    words = ["veridraft", "audit", options.function]
    for flag, said in OPTIONS.items():
        value, default = getattr(options, flag[2:].replace("-", "_")), said.get("default")
        for one in value if isinstance(value, list) else [] if value in (default, False, None) else [value]:
            words += [flag] if one is True else [flag, f"{one:g}" if isinstance(one, float) else str(one)]
    return shlex.join(words)
