"""The table of published headlines, from committed runs alone: ``make tables`` brings claims.md up to date.

A headline has a cell for synthetic pairs, (a), and one for the embedded pair with its head, (b), whose runs are read
where they are there.  What no run's file says stands in :data:`OTHER`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from veridraft.gpu.files.kinds import WinsFile
from veridraft.reports.commands.selector.claims import CONFIRMED, LEVEL, REFUTED, headlines
from veridraft.reports.commands.selector.evaluate import SelectorFile
from veridraft.reports.studies.actions.points import ratios
from veridraft.reports.studies.actions.study import ActionFile
from veridraft.reports.studies.real_shapes import text as real_shapes
from veridraft.reports.studies.real_shapes.study import RealShapeFile
from veridraft.reports.studies.shapes import text as shapes
from veridraft.reports.studies.shapes.study import ShapeFile
from veridraft.reports.studies.tree_rules import text as rules
from veridraft.reports.studies.tree_rules.study import TreeRuleFile
from veridraft.reports.studies.wins.leads import mean_of as log_mean
from veridraft.reports.studies.wins.leads import paired
from veridraft.reports.studies.wins.rows import Wins, Yardstick
from veridraft.reports.writing.intervals import Mean, mean_of
from veridraft.reports.writing.tables import Table

ROOT = Path(__file__).parent.parent
RUNS = ROOT / "reports" / "runs"
PAGE = Path(__file__).with_name("claims.md")
BEGIN, END = "<!-- claims -->\n", "<!-- end of claims -->"

ABSENT = "–"

OTHER: dict[str, tuple[str, str]] = {
    "KOALA": (
        "no synthetic pair has heads",
        "equal training on 600 texts: tokens per second over one layer without a judge: one with a judge 1.038 (0.942 "
        "to 1.143), two layers 0.957 (0.854 to 1.072) and 0.935 (0.878 to 0.996), three 0.875 (0.789 to 0.970) and "
        "0.861 (0.767 to 0.966): refuted for layers, the judge not told apart (`reports/runs/benchmarks/koala.txt`)",
    ),
}
"""By the headline's name cells (a) and (b) that are not computed here: each names the committed file it is from."""

RULES = ("nss", "naive_tree", "spectr", "specinfer", "khisti")
"""One-step rules of 2602.16994."""


@cache
def file_of(kind: Any, folder: str) -> Any:
    """The file of a committed run; ``None`` where there is none, or where it is not finished."""
    place = RUNS / folder
    file = kind.load(place) if (place / kind.name).exists() else None
    return None if file is None or file.missing else file


def cells_of(kind: Any, folder: str) -> tuple[Any, ...]:
    """The cells of a finished run; none where there is none."""
    file = file_of(kind, folder)
    return tuple(file.cells) if file else ()


# (a) The actions of 2602.16994


def by_pair(one: tuple[str, str], other: tuple[str, str]) -> Mean:
    """The gain in tokens per second in per cent: for each pair the mean over samplings, then over pairs."""
    cells = cells_of(ActionFile, "actions")
    found: dict[tuple[str, int], list[float]] = {}
    for cell, value in zip(cells, ratios(cells, one, other), strict=True):
        found.setdefault((cell["family"], cell["seed"]), []).append(100 * (float(value) - 1))
    return mean_of([sum(values) / len(values) for values in found.values()])


def told(found: Mean, bound: float = 0.0) -> str:
    """Whether a claimed gain of more than so many per cent holds."""
    if found.low > bound:
        return CONFIRMED
    return REFUTED if found.high < bound else LEVEL


def answers(found: Sequence[tuple[str, Mean]]) -> str:
    """Gains by name, each with its verdict."""
    return "; ".join(f"{name} {gain} %: {told(gain)}" for name, gain in found)


def traversal_above() -> str:
    """Traversal over each rule, each with the best of all actions."""
    return answers([(name, by_pair(("traversal", "all"), (name, "all"))) for name in RULES])


def delay_lifts() -> str:
    """The best of all actions over the best from the root, never less."""
    return answers([(name, by_pair((name, "all"), (name, "root"))) for name in RULES])


def without_selector() -> str:
    """SpecInfer's best delayed action over Traversal's best, from the root and of all."""
    root, every = (by_pair(("specinfer", "all"), ("traversal", space)) for space in ("root", "all"))
    return (f"no selector; with the best static delayed action {root} % over Traversal from the root, {every} % over "
            f"Traversal delayed: by 5 % {told(every, 5.0)}")  # fmt: skip


# (a) and (b) of ranges


def of_rules(claim: rules.Claim) -> str:
    """A gain of one rule over another on synthetic pairs, T = 1, trees that branch."""
    found = rules.pooled_gain(cells_of(TreeRuleFile, "tree-rules"), claim, 1.0)
    return f"{found} %: {rules.verdict(claim, found)}" if found else ABSENT


def of_shapes(claim: shapes.Claim) -> str:
    """DySpec's gain over another shape on synthetic pairs, 64 nodes."""
    where = {"target": claim.temperature, "budget": shapes.CLAIMED_BUDGET}
    found = shapes.gain(cells_of(ShapeFile, "shapes"), shapes.DYSPEC, claim.other, **where)
    return f"{found} %: {shapes.verdict(found, claim)}" if found else ABSENT


def of_real_shapes(claim: shapes.Claim) -> str:
    """DySpec's gain over another shape at the roots of the embedded pair, 64 nodes."""
    found = dict(real_shapes.claimed(cells_of(RealShapeFile, "real-shapes"))).get(claim)
    return f"{found} %: {shapes.verdict(found, claim)}" if found else ABSENT


@cache
def wins() -> Wins | None:
    """The rows at the same roots of the embedded pair."""
    file = file_of(WinsFile, "wins-head-cpu")
    return Wins.of(file) if file else None


def on_models(
    pair: tuple[str, str], policies: Sequence[tuple[str, str]], temperature: float, verdict: Callable[[Mean], str]
) -> str:
    """The gain in tokens a step at the same roots of one verifier over another, for each two policies that were run.

    The geometric mean over the settings of a temperature, whatever their top-p.
    """
    run, found = wins(), []
    settings = [at for at in run.settings if at.setting[0] == temperature] if run else []
    known = {(row.verifier, row.policy) for at in settings[:1] for row in at.rows}
    for names in policies:
        first, second = zip(pair, names, strict=True)
        if {first, second} <= known:
            logs = [paired(at.row(*first), at.row(*second), Yardstick.EFFICIENCY) for at in settings]
            ratio = log_mean(logs).lead(0.95).ratio
            gain = Mean(100 * (ratio.value - 1), 50 * (ratio.high - ratio.low))
            found.append(f"{' over '.join(dict.fromkeys(names))} {gain} %: {verdict(gain)}")
    return "; ".join(found) or ABSENT


TOP = [f"TopPlusOne(2, {depth})" for depth in (2, 3, 4)]
STATIC = [f"Static({expansion})" for expansion in ("2x1", "4x1", "4x3", "8x3")]
SHAPES = {
    ("univer", "rrsw"): list(zip(TOP[1:], STATIC[2:], strict=True)),
    ("univer", "greedy"): [(one, one) for one in TOP],
    ("traversal", "rrsw"): [(one, one) for one in STATIC],
}
"""By the two rules, what each of them verifies: the same policy, or trees of 14 nodes over 16, and of 30 over 32."""

# (b) The selector


def selected(begin: str, end: str = "") -> str:
    """What an evaluation on the embedded pair says of headlines that begin and end so, in ratios."""
    section = headlines(cells_of(SelectorFile, "selector"))
    found = []
    for claim, ratio, said in section.rows if section else ():
        if claim.startswith(begin) and claim.endswith(end):
            found.append(f"{claim.removeprefix(begin).removesuffix(end).strip()} {ratio}: {said}")
    return "; ".join(found) or ABSENT


def lines() -> Iterator[tuple[str, str, str, str]]:
    """Headline, source, (a), (b)."""
    above, lifts = ", each with its best one action", ": its best of all above its best from the root"
    yield "Traversal above all one-step rules", "2602.16994", traversal_above(), selected("Traversal above", above)
    yield "Delay lifts one-step rules", "2602.16994", delay_lifts(), selected("delay lifts", lifts)
    own = "SpecInfer with its selector above Traversal"
    yield f"{own} by 5 % in throughput", "2602.16994", without_selector(), selected(own)
    for claim in rules.CLAIMS:
        pair = claim.one, claim.other
        found = on_models(pair, SHAPES[pair], 1.0, partial(rules.verdict, claim))
        yield f"{claim.name}, {claim.text}", claim.source, of_rules(claim), found
    for one in shapes.CLAIMS:
        name = f"DySpec over {one.other[0]}, T = {one.temperature:g}, +{one.low:g} to {one.high:g} %"
        yield name, "2410.11744", of_shapes(one), of_real_shapes(one)
    yield "Heads of several layers and a judge: speedup +0.24 to 0.41x (KOALA)", "2408.08146", *OTHER["KOALA"]


def table() -> str:
    """The table in Markdown."""
    columns = ("headline", "source", "(a) synthetic pairs", "(b) the embedded pair with its head")
    found = tuple((name, f"[{source}](https://arxiv.org/abs/{source})", *both) for name, source, *both in lines())
    return Table("", columns, found, names=len(columns)).markdown()


def updated(text: str) -> str:
    """The page with today's table."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    made = updated(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(made, encoding="utf-8")
