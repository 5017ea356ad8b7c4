"""``veridraft speed``: throughput predicted and measured in one run, and by which term the two part."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

from veridraft.gpu.latency.file import CLOCKS
from veridraft.theory.policies.base import Policy, parse_policy
from veridraft.theory.speed.rates import Term
from veridraft.theory.verifiers.table import get_verifier

from ...running.console import STOPPED, bad_input, broken_off, say_stopped
from ...running.options import CLOCK_NAMES
from ...writing.tables import Table, signed

DESCRIPTION = (
    "Decode with every verifier and predict each step before it is made: its tokens from the law on other trees at "
    "its root, its time from passes, verification and overhead that are measured in between. Print both, the interval "
    "of their ratio, and the term that parts them. Rounds are kept as they finish: a stopped run goes on where it was."
)
DEFAULT_ROWS = "block:Chain(3); traversal:Iid(4, 3); lifted_k_seq:Iid(4, 3)"
DIGITS = "{:.3g}"

OPTIONS: dict[str, dict[str, Any]] = {
    "--target": {"metavar": "MODEL", "help": "a folder, a GGUF file, or a name (default: SmolLM2-135M-Instruct)"},
    "--draft": {"metavar": "MODEL", "help": "the same, or skip:17,18 for the target without those layers"},
    "--device": {"default": "cpu", "help": "cpu or cuda (default: %(default)s)"},
    "--dtype": {"default": "float32", "help": "float32, bfloat16 or float16 (default: %(default)s)"},
    "--rows": {"default": DEFAULT_ROWS, "metavar": "ROWS", "help": "VERIFIER:POLICY with semicolons between them "
               "(default: '%(default)s')"},
    "--temperature": {"type": float, "default": 1.0, "help": "at least 0 (default: %(default)s)"},
    "--rounds": {"type": int, "default": 20, "help": "the units of all intervals (default: %(default)s)"},
    "--steps": {"type": int, "default": 2, "help": "measured steps a round and verifier (default: %(default)s)"},
    "--seed": {"type": int, "default": 0, "help": "of drafts and coins (default: %(default)s)"},
    "--out": {"type": Path, "default": Path("speed.json"), "help": "the file (default: %(default)s)"},
    "--show": {"action": "store_true", "help": "print the tables of the file and run nothing"},
}  # fmt: skip


def add_to(commands: Any) -> None:
    """Add the command to the parsers of ``commands``."""
    sub = commands.add_parser("speed", description=DESCRIPTION)
    for flag, options in OPTIONS.items():
        sub.add_argument(flag, **options)
    sub.set_defaults(run=run_speed)


def rows_of(text: str) -> tuple[tuple[str, Policy], ...]:
    """Verifiers and policies in a list such as ``block:Chain(3); traversal:Iid(4, 3)``.

    Raises ``ValueError`` for a part that is not of that form, an unknown verifier, or one that does not fit.
    """
    rows = []
    for part in filter(str.strip, text.split(";")):
        name, colon, policy = part.partition(":")
        if not colon:
            raise ValueError(f"rows: {part.strip()!r} is not of the form VERIFIER:POLICY")
        get_verifier(name.strip()).require(parse_policy(policy))
        rows.append((name.strip(), parse_policy(policy)))
    return tuple(rows)


def run_speed(options: argparse.Namespace) -> int:
    """The exit status of ``veridraft speed``."""
    from veridraft.gpu.latency.speed_check import SpeedFile, check_speed

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with bad_input("speed"):
            if options.show:
                print(speed_text(SpeedFile.load(options.out)))
                return 0
            pair, plan = _loaded(options)
            rounds = check_speed(pair, plan, options.out, shlex.join(["veridraft", *sys.argv[1:]]))
        with broken_off("speed"):
            for done, file in rounds:  # noqa: B007
                print(f"speed: {done}/{plan.rounds} rounds", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        say_stopped()
        return STOPPED
    print(speed_text(file), end="\n\n")
    print(options.out)
    return 0


def _loaded(options: argparse.Namespace) -> tuple[Any, Any]:
    from veridraft.gpu.latency.speed_check import SpeedPlan
    from veridraft.gpu.latency.speed_rows import LEAST_ROUNDS
    from veridraft.gpu.models.pairs import load_pair

    rows = rows_of(options.rows)
    if options.rounds < LEAST_ROUNDS:
        raise ValueError(f"rounds must be at least {LEAST_ROUNDS} for an interval, but is {options.rounds}")
    plan = SpeedPlan(rows, options.rounds, options.steps, options.seed, options.temperature)
    return load_pair(options.target, options.draft, options.device, options.dtype), plan


def speed_text(file: Any) -> str:
    """The tables of a run, by each clock: throughput, steps by term, and what parts prediction and measurement."""
    settings = file.settings
    machine = settings["machine"]
    head = (f"{machine['name']} ({settings['device']}, {settings['dtype']}, {machine['threads']} threads, torch "
            f"{machine['torch']}): target {settings['target']}, draft {settings['draft']}, temperature "
            f"{settings['temperature']:g}\nMade by: {file.command}")  # fmt: skip
    parts = [head]
    for clock in CLOCKS if settings["device"] == "cpu" else CLOCKS[:1]:
        rows = [file.row(verifier, policy, clock) for verifier, policy in settings["rows"]]
        parts += [_throughput_table(rows, clock).text(), _time_table(rows).text(), _parts_table(rows).text()]
        parts.append("\n".join(_verdict(row) for row in rows))
    return "\n\n".join(parts)


def _throughput_table(rows: list[Any], clock: str) -> Table:
    columns = ("verifier", "policy", "rounds", "steps", "tokens/s", "predicted", "ratio", "95 % interval",
               "step's time", "95 % interval", "")
    cells = []
    for row in rows:
        ratio, time = row.ratio, row.time_ratio
        cells.append((row.verifier, row.policy, str(len(row.rounds)), str(row.steps), DIGITS.format(row.measured),
                      DIGITS.format(row.predicted), f"{ratio.value:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}",
                      f"{time.value:.3f}", f"{time.low:.3f} to {time.high:.3f}",
                      "agrees" if row.agrees else "disagrees"))  # fmt: skip
    caption = f"Throughput, {CLOCK_NAMES[clock]}: measured, predicted, their ratio; the ratio of a step's time alone"
    return Table(caption, columns, tuple(cells), names=2)


def _time_table(rows: list[Any]) -> Table:
    columns = ("verifier", "policy", "tokens a step", *(term.value for term in Term), "step")
    cells = []
    for row in rows:
        measured, predicted = row.step(), row.step("predicted_seconds")
        pairs = [(row.tokens(), row.tokens("predicted_tokens"), "{:.2f}")]
        pairs += [(1e3 * measured.terms[term], 1e3 * predicted.terms[term], DIGITS) for term in Term]
        pairs.append((1e3 * measured.total, 1e3 * predicted.total, DIGITS))
        shown = (f"{form.format(one)} / {form.format(other)}" for one, other, form in pairs)
        cells.append((row.verifier, row.policy, *shown))
    return Table("The step, ms: measured / predicted", columns, tuple(cells), names=2)


def _parts_table(rows: list[Any]) -> Table:
    names = tuple(rows[0].parts)
    cells = []
    for row in rows:
        cells.append((row.verifier, row.policy, *map(_share, row.parts.values())))
    caption = "What makes measured throughput greater (+) or smaller, % of the prediction (95 % for all five together)"
    return Table(caption, ("verifier", "policy", *names), tuple(cells), names=2)


def _share(part: Any) -> str:
    return f"{_percent(part.value)} ({_percent(part.low)}, {_percent(part.high)})"


def _percent(value: float) -> str:
    return signed(100 * value)[:-2]


def _verdict(row: Any) -> str:
    if row.parting is None:
        return f"{row.verifier}, {row.policy}: no term of 1 % or more parts them beyond chance."
    part = row.parts[row.parting]
    return f"{row.verifier}, {row.policy}: they part by {row.parting}, {_share(part)} % of the prediction."
