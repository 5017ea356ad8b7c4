"""What an audit leaves behind: its text, and the files that were asked for, which are tried before any work."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from veridraft.simulate.auditing.verdict import Audit

from ...running.files import check_file, say
from ...running.options import command_of
from ...writing.html import require_page_packages
from .options import OPTIONS
from .page import write_audit_page


def check_files(options: argparse.Namespace) -> None:
    """Raise for files that cannot be written, before any work."""
    if options.out:
        require_page_packages()
    for name in ("out", "json", "dump"):
        check_file(f"--{name}", getattr(options, name))


def publish(options: argparse.Namespace, result: Audit) -> None:
    """Print the text, write what was asked for; the page's path is printed last."""
    command = command_of(["audit", options.function], OPTIONS, options)
    say(result.text(), result.to_json() | {"command": command}, options.json)
    stream = sys.stderr if options.json == "-" else sys.stdout
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
