"""What is printed of equal node budgets, and of lifted rules beside Traversal at the same trees."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp

from ...running.options import CLOCK_NAMES
from ...writing.tables import Table
from .budgets import BudgetLine, by_budget
from .leads import ROUNDING, LogRatio, Standing
from .rows import Wins
from .rules import ERRORS, RULE, RuleLine, against_traversal, errors_of
from .wording import INTERVAL, against, settings_of


def equal_trees_tables(run: Wins) -> Iterator[Table]:
    """Both tables, each where there is something to compare."""
    if budgets := by_budget(run):
        yield _budget_table(run, budgets)
    if rules := against_traversal(run):
        yield _rule_table(run, rules)


def equal_trees_lines(run: Wins) -> list[str]:
    """What they say, in a sentence for each budget and one for each of the two quantities of the rules."""
    budgets, rules = by_budget(run), against_traversal(run)
    lines = [_budget_line(tuple(line for line in budgets if line.budget == budget))
             for budget in dict.fromkeys(line.budget for line in budgets)]  # fmt: skip
    if rules:
        lines += [_rule_line("block efficiency", [one.efficiency for one in rules]),
                  _rule_line("tokens per second", [one.speed for one in rules])]  # fmt: skip
    return lines


def _budget_table(run: Wins, found: tuple[BudgetLine, ...]) -> Table:
    columns = ("nodes at most", "kind of tree", "its fastest verifier", "policy", "block efficiency", "over plain",
               INTERVAL, "", "over the fastest", INTERVAL, "")  # fmt: skip
    cells = tuple(
        (str(one.budget), one.kind, one.verifier, one.policy, f"{one.efficiency:.3f}", *against(one.over_plain),
         *(against(one.over_best) if one.over_best else ("", "", "the fastest")))
        for one in found
    )  # fmt: skip
    caption = (f"Trees at equal node budgets over all of {settings_of(run)}, geometric means, tokens per second, "
               f"{CLOCK_NAMES[run.clock]}")  # fmt: skip
    return Table(caption, columns, cells, names=4)


def _budget_line(found: tuple[BudgetLine, ...]) -> str:
    """What is fastest within a budget, and what it is told apart from."""
    best, *others = found
    behind = [one.kind for one in others if one.over_best and one.over_best.standing is Standing.LOSES]
    level = [one.kind for one in others if one.kind not in behind]
    plain = f", {best.over_plain.ratio.value:.3f} times plain decoding" if best.over_plain else ""
    apart = f"; told apart from {', '.join(behind)}" if behind else "; told apart from none of the others"
    return (f"Of trees of at most {best.budget} nodes the fastest is {best.policy} with {best.verifier}{plain}{apart}"
            f"{', not from ' + ', '.join(level) if behind and level else ''}.")  # fmt: skip


def _rule_table(run: Wins, found: tuple[RuleLine, ...]) -> Table:
    columns = ("policy", "verifier", "its efficiency over Traversal's", "standard errors", "its tokens/s over that",
               "standard errors", "")  # fmt: skip
    cells = tuple((one.policy, one.verifier, *_by_errors(one.efficiency), *_by_errors(one.speed), _verdict(one.speed))
                  for one in found)  # fmt: skip
    caption = f"Lifted rules over {RULE} at the same trees, geometric means over all of {settings_of(run)}"
    return Table(caption, columns, cells, names=2)


def _by_errors(found: LogRatio) -> tuple[str, str]:
    return f"{exp(found.value):.4f}", f"{errors_of(found):+.1f}"


def _verdict(found: LogRatio) -> str:
    """Which is ahead, beyond the stated number of standard errors."""
    if abs(found.value) <= ERRORS * found.error + ROUNDING:
        return Standing.LEVEL.value
    return (Standing.WINS if found.value > 0 else Standing.LOSES).value


def _rule_line(quantity: str, found: list[LogRatio]) -> str:
    verdicts = [_verdict(one) for one in found]
    wins, loses = (verdicts.count(standing.value) for standing in (Standing.WINS, Standing.LOSES))
    return (f"At the same trees, by {quantity} over all settings, a lifted rule is ahead of {RULE} by more than "
            f"{ERRORS:g} standard errors in {wins} of {len(found)} comparisons, and behind in {loses}.")  # fmt: skip
