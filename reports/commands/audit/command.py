"""``veridraft audit``: is this function, seen from outside, a lossless verifier?"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from typing import Any

from veridraft.simulate.adapters.table import Adapter, get_adapter
from veridraft.simulate.adapters.torch_tools import on_device
from veridraft.simulate.auditing.auditor import AuditInterrupted, audit
from veridraft.simulate.auditing.findings import pattern_text
from veridraft.simulate.auditing.verdict import Audit, Verdict
from veridraft.simulate.forms.calls import check_torch_device
from veridraft.simulate.forms.cases import Case
from veridraft.simulate.forms.form import Form

from ...running.console import STOPPED, bad_input
from ...running.loading import load
from ...running.progress import ProgressLine
from .options import parser
from .publishing import check_files, publish

AS_SAID = (
    "arrays", "dtype", "device", "policy", "pad_to", "length", "end", "drafts", "more_cases", "trials", "seconds",
    "call_seconds", "batch", "faulty_rows", "level", "seed",
)  # fmt: skip
"""Arguments of ``audit`` that are options of the same names."""


def main(words: Sequence[str]) -> int:
    """The exit status of ``veridraft audit`` with the words behind it."""
    return run_audit(parser().parse_args(words))


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
        publish(options, replace(stop.partial, verifier=asked.name))
        return STOPPED
    except KeyboardInterrupt:
        print("\nStopped before the first trial.", file=sys.stderr)
        return STOPPED
    publish(options, result)
    return result.exit_status


def _asked(options: argparse.Namespace) -> Asked:
    """What was asked for; ``ValueError`` or ``TypeError`` for what is wrong about it."""
    check_files(options)
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
    if adapter:
        function, keywords["device"] = _sent(function, options.device), "cpu"
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


def _sent(function: Callable[..., Any], device: str) -> Callable[..., Any]:
    """The function of an engine, whose tensors the adapter makes on the CPU, called on a device."""
    if device == "cpu":
        return function
    check_torch_device(device)
    return on_device(function, device)


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"--option must be NAME=VALUE, but is {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, load(f"--option {name}", value)


def _audited(asked: Asked) -> Audit:
    """The audit, under the name that the person gave, with its progress."""
    with ProgressLine("trials", 0, leave=False) as progress:
        result = audit(asked.verifier, progress=progress.reach, told=_told, **asked.arguments)
        return replace(result, verifier=asked.name)


def _told(reached: Audit) -> None:
    """Say a lossy verdict at once: to explain it may take a while."""
    if reached.verdict is Verdict.LOSSY:
        found = reached.findings[0]
        string = f", string {pattern_text(found.pattern)}" if found.pattern else ""
        print(f"LOSSY after {reached.trials:,} trials: case {found.case}{string}, {found.sign.value}", file=sys.stderr)
