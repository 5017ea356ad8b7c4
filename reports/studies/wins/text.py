"""What ``veridraft wins`` prints: a ranking and delayed trees at each setting, verifiers at the same trees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import median
from textwrap import fill

from ...running.options import CLOCK_NAMES
from ...writing.tables import ABSENT, Table
from ..suites.rows import setting_text
from .equal_trees import equal_trees_lines, equal_trees_tables
from .leads import LEVEL, DelayedLeads, Lead, SameTrees, Standing, delayed_of, dependence, over, same_trees, standings
from .pooled import pooled
from .rows import LEAST_UNITS, RootRow, RootSetting, Wins, Yardstick
from .wording import INTERVAL, against, factor, settings_of

WIDTH = 120
"""Characters of a printed line that is no table's."""

MOST_ROWS = 12
"""A ranking with more rows shows the first ``TOP``, and plain decoding."""

TOP = 8

TIMING_ONLY = (
    "TIMING ONLY: the weights are random. Times mean something; acceptance, block efficiency and tokens per second do "
    "not, and no table here says which verifier or policy is better."
)


def wins_text(run: Wins) -> str:
    """The whole answer as text."""
    parts = [_wrapped(summary(run)), *(table.text() for table in tables(run))]
    if run.settings and not run.timing_only:
        parts.append(_wrapped(sentences(run)))
    return "\n\n".join([*parts, _wrapped(caveats(run))])


def _wrapped(lines: Iterable[str]) -> str:
    """The lines, long ones broken and indented."""
    return "\n".join(fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False) for line in lines)


def tables(run: Wins) -> Iterator[Table]:
    """The tables that are printed; times alone where weights are random."""
    for at in run.settings:
        if run.timing_only:
            yield time_table(run, at)
            continue
        yield ranking_table(run, at)
        for quantity in Yardstick:
            yield delayed_table(run, at, quantity)
    if run.timing_only:
        return
    yield from (pooled_table(run, quantity) for quantity in Yardstick if pooled(run, quantity))
    found = same_trees(run)
    if found:
        yield same_trees_table(found)
    yield from equal_trees_tables(run)


def summary(run: Wins) -> list[str]:
    """The run, and what is done of it, in lines."""
    held, machine = run.file.settings, run.file.machine
    processor = f"{machine['processor']}, " if machine["processor"] != machine["name"] else ""
    threads = f"{machine['threads']} thread" + "s" * (machine["threads"] != 1)
    lines = [
        f"Verifiers at the same roots on {machine['name']} ({processor}{machine['cores']} cores, {threads}; "
        f"{held['device']}, {held['dtype']}{', packed layers' if held['packed'] else ''}; torch "
        f"{machine['torch']}, transformers {machine['transformers']}): target {held['target']}, draft "
        f"{held['draft']}, |V| = {held['vocabulary_size']:,}; at each setting {held['texts']} texts of "
        f"{held['roots']} roots, {held['stride']} tokens apart, seed {held['seed']}",
        f"Made by: {run.file.command}",
    ]
    return [*lines, *([TIMING_ONLY] if run.timing_only else []), _count(run), *_left_out(run), *_short(run)]


def _count(run: Wins) -> str:
    """How many texts are done and how many are missing."""
    missing, total = run.file.missing, len(run.file.planned)
    line = f"Texts: {total - len(missing)} of {total} finished"
    if not missing:
        return line
    temperature, top_p, text = missing[0]
    return f"{line} (the first that is not: {text} at {setting_text((temperature, top_p))}): the command goes on there"


def _left_out(run: Wins) -> list[str]:
    """Each reason once, with the verifiers and policies that it keeps from being run."""
    reasons: dict[str, list[str]] = {}
    for name, reason in run.file.settings["left_out"].items():
        reasons.setdefault(str(reason), []).append(name.replace(" ", ", ", 1))
    return [f"Cannot be run: {'; '.join(names)}: {reason}" for reason, names in reasons.items()]


def _short(run: Wins) -> list[str]:
    if not run.short:
        return []
    return [f"Not shown, with fewer than {LEAST_UNITS} units of roots: {'; '.join(map(setting_text, run.short))}"]


def ranking_table(run: Wins, at: RootSetting) -> Table:
    """All verifiers and policies by tokens per second, over plain decoding and over the best; long ones are cut."""
    ranked = at.ranked(Yardstick.SPEED)
    shown = [row for place, row in enumerate(ranked) if place < TOP or row is at.plain or len(ranked) <= MOST_ROWS]
    columns = ("verifier", "policy", "block efficiency", "tokens/s", "over plain", INTERVAL, "over the best",
               INTERVAL, "", "verification's share")  # fmt: skip
    count = f"{len(ranked)}" if len(shown) == len(ranked) else f"the first {TOP} of {len(ranked)}, and plain decoding"
    caption = f"{_place(at)}: what is fastest, {CLOCK_NAMES[run.clock]} ({count}; {_units(at)})"
    return Table(caption, columns, tuple(_ranking(at, row, ranked[0]) for row in shown), names=2)


def _ranking(at: RootSetting, row: RootRow, best: RootRow) -> tuple[str, ...]:
    behind = over(at, row, best)
    return (
        row.verifier, row.policy, f"{row.rate(Yardstick.EFFICIENCY):.3f}", f"{row.rate(Yardstick.SPEED):.4g}",
        *factor(over(at, row, at.plain)), *factor(behind), behind.standing.value if behind else "the best",
        f"{100 * row.share:.1f} %",
    )  # fmt: skip


def _place(at: RootSetting) -> str:
    return setting_text(at.setting)


def _units(at: RootSetting) -> str:
    roots = at.rows[0].roots
    return f"{len(roots)} units, {roots.sum():.0f} roots"


def delayed_table(run: Wins, at: RootSetting, quantity: Yardstick) -> Table:
    """For each verifier its best policy, and its delayed tree over its independent tree and over the best chain."""
    found = delayed_of(at, quantity)
    chain = found[0].chain
    against = f"over {chain.name}" if chain else "over the best chain"
    columns = ("verifier", "best policy", quantity.value, "delayed", "independent", "over independent", INTERVAL, "",
               against, INTERVAL, "")  # fmt: skip
    clock = f", {CLOCK_NAMES[run.clock]}" if quantity is Yardstick.SPEED else ""
    caption = f"{_place(at)}: delayed expansion by {quantity.value}{clock}"
    return Table(caption, columns, tuple(_delayed(one, quantity) for one in found), names=2)


def _delayed(found: DelayedLeads, quantity: Yardstick) -> tuple[str, ...]:
    digits = ".3f" if quantity is Yardstick.EFFICIENCY else ".4g"
    pair = (row.policy if row else ABSENT for row in (found.delayed, found.independent))
    leads = *against(found.over_independent), *against(found.over_chain)
    return found.verifier, found.best.policy, f"{found.best.rate(quantity):{digits}}", *pair, *leads


def pooled_table(run: Wins, quantity: Yardstick) -> Table:
    """Delayed trees over all settings."""
    found = pooled(run, quantity)
    columns = ("verifier", "delayed", "independent", "over independent", INTERVAL, "", f"over {found[0].chain}",
               INTERVAL, "")  # fmt: skip
    cells = tuple(
        (one.verifier, one.delayed, one.independent,
         *against(one.over_independent), *against(one.over_chain))
        for one in found
    )  # fmt: skip
    clock = f", {CLOCK_NAMES[run.clock]}" if quantity is Yardstick.SPEED else ""
    caption = f"Delayed expansion over all of {settings_of(run)}, geometric means: {quantity.value}{clock}"
    return Table(caption, columns, cells, names=3)


def same_trees_table(found: tuple[SameTrees, ...]) -> Table:
    """The verifiers of each policy at the same trees, over all settings."""
    columns = ("policy", "verifier", "fastest", "greatest block efficiency", "baseline", "its efficiency over that",
               INTERVAL, "", "its tokens/s over that", INTERVAL, "")  # fmt: skip
    cells = tuple(
        (one.policy, one.verifier, f"{one.fastest} of {one.settings}", f"{one.most} of {one.settings}", one.baseline,
         *against(one.ratio), *against(one.speed))
        for one in found
    )  # fmt: skip
    caption = (
        "The verifiers of a policy at the same trees: in how many settings each is first, and geometric means over all"
    )
    return Table(caption, columns, cells, names=2)


def time_table(run: Wins, at: RootSetting) -> Table:
    """The mean time of a root, in milliseconds, policy by policy in the order of the run."""
    columns = ("verifier", "policy", "drafting", "target's pass", "verification", "verification's share")
    cells = tuple(
        (row.verifier, row.policy, *(f"{one:.4g}" for one in row.step), f"{100 * row.share:.1f} %") for row in at.rows
    )
    caption = f"{_place(at)}: milliseconds a root, {CLOCK_NAMES[run.clock]} ({_units(at)}; random weights)"
    return Table(caption, columns, cells, names=2)


def sentences(run: Wins) -> list[str]:
    """What wins how often, in a few sentences."""
    delays = (line for found in (_delays, _pooled) for quantity in Yardstick for line in found(run, quantity))
    trees = *_same_trees(run), *equal_trees_lines(run)
    return [line for line in (_fastest(run), _plain(run), *delays, *trees, _shares(run)) if line]


def _fastest(run: Wins) -> str:
    """What is fastest where, and how often nothing comes level with it."""
    best = {at: at.ranked(Yardstick.SPEED)[0] for at in run.settings}
    leads = ([over(at, first, row) for row in at.rows if row is not first] for at, first in best.items())
    alone = sum(standings(found)[Standing.WINS] == len(found) for found in leads)
    counts = Counter(first.name for first in best.values()).most_common()
    listed = "; ".join(f"{name} in {count}" for name, count in counts)
    return f"Fastest, of {settings_of(run)}: {listed}. In {alone} it is told apart from all others."


def _plain(run: Wins) -> str:
    """How many pairs of verifier and policy beat plain decoding, over all settings."""
    return _counted("Against plain decoding, by tokens per second, a verifier with a policy",
                    (over(at, row, at.plain) for at in run.settings for row in at.rows))  # fmt: skip


def _pooled(run: Wins, quantity: Yardstick) -> list[str]:
    """How often delayed trees win against each of the two over all settings together."""
    found = pooled(run, quantity)
    who = f"Over all of {settings_of(run)}, by {quantity.value}, delayed expansion"
    lines = (_counted(who, (one.over_independent for one in found), "against independent trees of the same verifier"),
             _counted(who, (one.over_chain for one in found), "against the chain"))  # fmt: skip
    return [line for line in lines if line]


def _delays(run: Wins, quantity: Yardstick) -> list[str]:
    """How often delayed trees win against each of the two."""
    found = [one for at in run.settings for one in delayed_of(at, quantity)]
    who, own = f"By {quantity.value}, delayed expansion", "against independent trees of the same verifier"
    lines = (_counted(who, (one.over_independent for one in found), own),
             _counted(who, (one.over_chain for one in found), "against the best chain"))  # fmt: skip
    return [line for line in lines if line]


def _same_trees(run: Wins) -> list[str]:
    """How often a verifier wins against the baseline of its policy."""
    found, against = same_trees(run), "against its baseline"
    leads = {Yardstick.EFFICIENCY: [one.ratio for one in found], Yardstick.SPEED: [one.speed for one in found]}
    return [_counted(f"At the same trees, by {quantity.value} over all settings, a verifier", some, against)
            for quantity, some in leads.items()]  # fmt: skip


def _counted(who: str, leads: Iterable[Lead | None], against: str = "") -> str:
    """How often somebody wins and loses; "" without a comparison."""
    counts = standings(leads)
    total = sum(counts.values())
    if not total:
        return ""
    return (f"{who} wins {counts[Standing.WINS]} of {total} comparisons{' ' * bool(against)}{against} and loses "
            f"{counts[Standing.LOSES]}; {counts[Standing.LEVEL]} are not told apart.")  # fmt: skip


def _shares(run: Wins) -> str:
    rows = [(row.share, row, at) for at in run.settings for row in at.rows]
    most, row, at = max(rows, key=lambda found: found[0])
    middle = median(share for share, _, _ in rows)
    return (f"Verification takes {100 * middle:.1f} % of the time of a step in the median, and {100 * most:.1f} % at "
            f"most ({row.name} at {_place(at)}).")  # fmt: skip


def caveats(run: Wins) -> list[str]:
    """What the intervals hold and what they do not."""
    lines = [] if run.timing_only else [
        "Intervals are of paired differences: all rows of a setting share their roots, and the verifiers of a policy "
        f"its trees. Those of one table hold together at level {LEVEL:g}; where one side is chosen by the same "
        "figures, all that could have been chosen are counted. Tokens are exact given the tree.",
        _dependence(run),
    ]  # fmt: skip
    return [
        *filter(None, lines),
        "Not in these figures: what a step takes beside drafting, the target's pass and verification; more than one "
        "request at a time. Roots are tokens at equal distances in texts that the target wrote, not the roots that a "
        "verifier would come to.",
    ]


def _dependence(run: Wins) -> str:
    """How far units of one text depend on each other, by the errors of the leads over the fastest, in a sentence."""
    found = [ratio for at in run.settings for ratio in dependence(at)]
    if not found:
        return "Units of roots count as independent, also within a text."
    return (f"Units of roots count as independent, also within a text: with whole texts left out in their place, the "
            f"errors of the ratios to the fastest are {median(found):.2f} times as large in the median, "
            f"{max(found):.2f} times at most.")  # fmt: skip
