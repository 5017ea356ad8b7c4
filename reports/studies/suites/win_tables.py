"""The tables that say what wins: the fastest cell of each setting, the best of each shape, delayed trees."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

from ...running.options import CLOCK_NAMES
from ...writing.tables import ABSENT, Table
from .leads import Delay, Lead, Quantity, Standing, Win, delays, rate, tally, wins
from .rows import Shape, Suite, SuiteRow, setting_text
from .tables import PLACE, percent, place, said

SHAPES = (Shape.CHAIN, Shape.INDEPENDENT, Shape.DELAYED, Shape.OTHER, Shape.LOOKUP, Shape.PLAIN)
"""The order in which shapes stand in a table."""


def unit(suite: Suite, quantity: Quantity) -> str:
    """What an amount is, for a caption."""
    return quantity.value if quantity is Quantity.EFFICIENCY else f"{quantity.value}, {CLOCK_NAMES[suite.clock]}"


def _amount(row: SuiteRow, quantity: Quantity) -> str:
    """Tokens per second of all requests together, or tokens a verified tree."""
    digits = ".3f" if quantity is Quantity.EFFICIENCY else ".4g"
    return f"{exp(rate(row, quantity).value):{digits}}"


def win_table(suite: Suite, quantity: Quantity) -> Table:
    """The best cell of each setting, its lead over plain decoding and over the runner-up."""
    columns = (*PLACE, "best", quantity.value, "over plain", _interval(suite), "runner-up", "ahead by",
               _interval(suite), "equals")  # fmt: skip
    cells = tuple(_win(win) for win in wins(suite, quantity))
    return said(suite, Table(f"The best cell of each setting: {unit(suite, quantity)}", columns, cells, names=3))


def _win(win: Win) -> tuple[str, ...]:
    second = win.runner_up
    return (
        *place(win.setting), win.best.name, _amount(win.best, win.quantity), *_factor(win.over(win.plain)),
        second.name if second else ABSENT, *_percent(win.over(second)), f"{win.equals} of {len(win.rows) - 1}",
    )  # fmt: skip


def _interval(suite: Suite) -> str:
    return f"{100 * suite.level:g} % interval"


def _factor(found: Lead | None) -> tuple[str, str]:
    """A lead as a factor, and its interval."""
    if found is None:
        return ABSENT, ABSENT
    return f"{found.ratio.value:.3f}", f"{found.ratio.low:.3f} to {found.ratio.high:.3f}"


def _percent(found: Lead | None) -> tuple[str, str]:
    """A lead in per cent, and its interval."""
    if found is None:
        return ABSENT, ABSENT
    value, low, high = (percent(one - 1) for one in (found.ratio.value, found.ratio.low, found.ratio.high))
    return f"{value} %", f"{low} to {high} %"


def shape_table(suite: Suite, quantity: Quantity) -> Table:
    """The best verifier and policy of each shape at each setting, with its amount."""
    found = wins(suite, quantity)
    shapes = [shape for shape in SHAPES if any(win.best_of(shape) for win in found)]
    cells = tuple((*place(win.setting), *(_best(win, shape) for shape in shapes)) for win in found)
    caption = f"The best of each shape of drafts: {unit(suite, quantity)}"
    columns = (*PLACE, *(shape.value for shape in shapes))
    return said(suite, Table(caption, columns, cells, names=len(columns)))


def _best(win: Win, shape: Shape) -> str:
    row = win.best_of(shape)
    if row is None:
        return ABSENT
    shown = _amount(row, win.quantity)
    return shown if shape is Shape.PLAIN else f"{row.name}: {shown}"


def delay_table(suite: Suite, quantity: Quantity, found: Sequence[Delay] | None = None) -> Table:
    """Verifier by verifier: the best delayed tree, its lead over the best independent tree and the best chain."""
    found = delays(suite, quantity) if found is None else found
    columns = (*PLACE, "verifier", "delayed", "independent", "ahead by", _interval(suite), "", "chain", "ahead by",
               _interval(suite), "")  # fmt: skip
    cells = tuple(
        (*place(one.setting), one.verifier, one.delayed.policy,
         *_against(one, one.independent, one.over_independent), *_against(one, one.chain, one.over_chain))
        for one in found
    )  # fmt: skip
    return said(suite, Table(f"Delayed expansion against the rest: {unit(suite, quantity)}", columns, cells, names=4))


def _against(own: Delay, row: SuiteRow | None, found: Lead | None) -> tuple[str, str, str, str]:
    if row is None or found is None:
        return ABSENT, ABSENT, ABSENT, ABSENT
    return row.policy if row.verifier == own.verifier else row.name, *_percent(found), found.standing.value


def delay_matrix(suite: Suite, quantity: Quantity) -> Table:
    """The same in short: a row for each verifier, a column for each setting, "over independent, over chain"."""
    found = {(one.verifier, one.setting): one for one in delays(suite, quantity)}
    verifiers = dict.fromkeys(verifier for verifier, _ in found)
    cells = tuple(
        (verifier, *(_short(found.get((verifier, setting))) for setting in suite.settings)) for verifier in verifiers
    )
    columns = ("verifier", *map(setting_text, suite.settings))
    caption = f"Delayed expansion over independent trees / over chains: {unit(suite, quantity)}"
    return said(suite, Table(caption, columns, cells, names=len(columns)))


SHORT = {Standing.WINS: "wins", Standing.LOSES: "loses", Standing.LEVEL: "="}


def _short(found: Delay | None) -> str:
    leads = (found.over_independent, found.over_chain) if found else (None, None)
    return " / ".join(SHORT[one.standing] if one else ABSENT for one in leads)


def delay_line(suite: Suite, quantity: Quantity) -> str:
    """How often delayed trees win and lose, and how many would by chance, in a sentence; "" without one."""
    counts = tally(delays(suite, quantity))
    total = sum(counts.values())
    if not total:
        return ""
    return (f"By {quantity.value}, delayed expansion wins {counts[Standing.WINS]} of {total} comparisons and loses "
            f"{counts[Standing.LOSES]}; {counts[Standing.LEVEL]} are not told apart. Were all equal, about "
            f"{total * (1 - suite.level):.1f} would be told apart.")  # fmt: skip
