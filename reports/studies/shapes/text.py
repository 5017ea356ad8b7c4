"""What the cells say: DySpec over every other shape with intervals over pairs, the claims, and single nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np

from ...writing.claims import CAPTION, claims_figure
from ...writing.intervals import Mean, mean_of, mean_over_seeds
from ...writing.markdown import Note, Section
from .nodes import EDGES, WIDTHS
from .plan import BUDGETS, FAMILIES, NODES, SAMPLINGS, SPREAD, TREES, VOCABULARY_SIZE
from .trees import DEPTH, VERIFIERS

Cell = Mapping[str, Any]
Rule = tuple[str, str]
"""A shape and a verifier."""

DYSPEC: Rule = ("DySpec", "rrsw")
BY_RULE = "by rule, NSS"


@dataclass(frozen=True)
class Claim:
    """The range of DySpec's published gains in accepted tokens over another shape, in per cent, by the target's T."""

    other: Rule
    temperature: float
    low: float
    high: float

    @property
    def name(self) -> str:
        """The other shape, and the temperature."""
        return f"over {self.other[0]}, T = {self.temperature:g}"


CLAIMS = (
    Claim(("Sequoia", "rrsw"), 0.0, 5.2, 62.6),
    Claim(("Sequoia", "rrsw"), 0.6, 7.5, 8.6),
    Claim(("SpecInfer", "specinfer"), 0.0, 58.1, 132.0),
    Claim(("SpecInfer", "specinfer"), 0.6, 7.8, 8.0),
)
"""The ratios of accepted tokens a step in 2410.11744's tables, 64 nodes: 5.25 / 4.99 to 12.39 / 7.62, and so on."""

CLAIMED_BUDGET = 64


def gain(cells: Sequence[Cell], one: Rule, other: Rule, **where: Any) -> Mean | None:
    """The gain of a rule in per cent: the mean over families and what else is not named, by seed; then over seeds."""
    found = []
    for cell in cells:
        if cell["budget"] != NODES and all(cell[name] == value for name, value in where.items()):
            values = [cell["values"][shape][verifier] for shape, verifier in (one, other)]
            found.append((cell["seed"], 100 * (values[0] / values[1] - 1)))
    return mean_over_seeds(found)


def note_of(cells: Sequence[Cell], command: str) -> Note:
    """The page."""
    sections = (_claims_section(cells), *_budget_sections(cells), _threshold_section(cells), _bins_section(cells),
                _rule_section(cells), _pairs_section())  # fmt: skip
    return Note("DySpec's trees against other shapes", lead(cells), sections, command)


def lead(cells: Sequence[Cell]) -> str:
    """The claims, answered; then the draft's probability, and lists by rule."""
    said = [_answer(cells, claim) for claim in CLAIMS]
    found = [cell["correlation"] for cell in cells if cell["budget"] == NODES and cell["target"] > 0]
    if found:
        said.append(f"A drawn token's draft probability and its acceptance correlate at {np.mean(found):.2f} "
                    f"({min(found):.2f} to {max(found):.2f} by pair), where the target is drawn from.")  # fmt: skip
    return " ".join(said)


def _answer(cells: Sequence[Cell], claim: Claim) -> str:
    found = gain(cells, DYSPEC, claim.other, target=claim.temperature, budget=CLAIMED_BUDGET)
    name = f"DySpec over {claim.other[0]} at T = {claim.temperature:g}, claimed +{claim.low:g} to {claim.high:g} %"
    return f"{name}, is {verdict(found, claim)} on these pairs: {found} %." if found else f"{name}: not finished."


def verdict(found: Mean, claim: Claim) -> str:
    """Confirmed where the mean lies in what is claimed, and is no chance; refuted where the interval misses it."""
    if found.high < claim.low:
        return "not reached, though it gains" if found.low > 0 else "refuted"
    if found.low > claim.high:
        return "exceeded"
    inside = claim.low <= found.mean <= claim.high and found.low > 0
    return "confirmed" if inside else "neither confirmed nor refuted"


def _claims_section(cells: Sequence[Cell]) -> Section:
    gains = [(claim, gain(cells, DYSPEC, claim.other, target=claim.temperature, budget=CLAIMED_BUDGET))
             for claim in CLAIMS]  # fmt: skip
    words = (
        f"DySpec with RRSw, {CLAIMED_BUDGET} nodes: tokens a step over those of Sequoia's shape with RRSw and of "
        "SpecInfer's independent paths with its own rule, in per cent, paired by pair, with 95 % intervals over pairs. "
        "The claims are ranges over the paper's models and texts, which prints no intervals."
    )
    return claims_section([(claim, found) for claim, found in gains if found], words)


def claims_section(found: Sequence[tuple[Claim, Mean]], words: str) -> Section:
    """Claims beside the gains that were found, as a picture and a table."""
    rows = tuple((claim.other[0], f"{claim.temperature:g}", f"+{claim.low:g} to {claim.high:g}", str(mean),
                  verdict(mean, claim)) for claim, mean in found)  # fmt: skip
    held = [(claim.name, claim.low, claim.high, mean) for claim, mean in found]
    headers = ("other", "T", "claimed %", "here %", "verdict")
    picture = (lambda: claims_figure(held, "gain of DySpec, %")) if held else None
    return Section("The claims", (words,), headers, rows, picture, CAPTION)


def _budget_sections(cells: Sequence[Cell]) -> Iterator[Section]:
    rules = [(shape, verifier) for shape, verifiers in VERIFIERS.items() for verifier in verifiers]
    for target, draft in SAMPLINGS:
        rows = []
        for rule in rules:
            found = [_row(cells, rule, target=target, budget=budget) for budget in BUDGETS]
            if all(found):
                rows.append((*rule, *(part for one in found for part in one)))
        columns = [f"{budget}{more}" for budget in BUDGETS for more in (" nodes", ": DySpec %")]
        if rows:
            yield Section(f"Target at T = {target:g}, draft at {draft:g}", (
                "E[tau + 1], mean over families and pairs, and what DySpec with RRSw gains over it in per cent.",
            ), ("shape", "verifier", *columns), tuple(rows))  # fmt: skip


def _row(cells: Sequence[Cell], rule: Rule, **where: Any) -> tuple[str, ...]:
    """The mean value of a rule and DySpec's gain over it; nothing where two pairs are not finished."""
    gained = gain(cells, DYSPEC, rule, **where)
    if gained is None:
        return ()
    here = [cell for cell in cells if all(cell[name] == one for name, one in where.items())]
    mean = np.mean([cell["values"][rule[0]][rule[1]] for cell in here])
    return f"{mean:.3f}", "–" if rule == DYSPEC else str(gained)


def _threshold_section(cells: Sequence[Cell]) -> Section:
    rows = []
    for (target, _), budget in product(SAMPLINGS, BUDGETS):
        found = gain(cells, ("DySpec by threshold", "rrsw"), DYSPEC, target=target, budget=budget)
        if found:
            here = [cell["nodes"] for cell in cells if (cell["target"], cell["budget"]) == (target, budget)]
            sizes = [f"{np.mean([nodes[name] for nodes in here]):.1f}" for name in ("DySpec by threshold", "DySpec")]
            rows.append((f"{target:g}", str(budget), *sizes, str(found)))
    words = (
        "A threshold fills every slot above a value, level by level, with one draft pass a level; it is set so that "
        "trees have about as many nodes in the mean, on other trees than those that are counted here."
    )
    headers = ("T", "budget", "nodes by threshold", "nodes, greedy", "threshold over greedy %")
    return Section("DySpec by threshold", (words,), headers, tuple(rows))


def _bins_section(cells: Sequence[Cell]) -> Section:
    rows = []
    for target, draft in SAMPLINGS:
        here = _single_nodes(cells, target, draft)
        if len(here) > 1:
            masses = np.sum([cell["bins"] for cell in here], axis=0)
            rates = [f"{accepted / drawn:.3f}" if drawn else "–" for drawn, accepted in masses]
            rows.append((f"{target:g}", f"{draft:g}", *rates, str(mean_of([cell["correlation"] for cell in here]))))
    bins = [f"{low:g} to {high:g}" for low, high in pairwise(EDGES)]
    words = (
        "How often a drawn token is accepted, by its probability under the draft: exact for each pair, one draw, all "
        "last tokens alike. The correlation is that of the two probabilities over draws, with its 95 % interval over "
        "pairs."
    )
    return Section("Draft probability and acceptance", (words,), ("T", "draft's T", *bins, "correlation"), tuple(rows))


def _rule_section(cells: Sequence[Cell]) -> Section:
    rows = []
    for target, draft in SAMPLINGS:
        here = [cell["acceptance"] for cell in _single_nodes(cells, target, draft)]
        for kind in here[0] if len(here) > 1 else ():
            rows.append((f"{target:g}", kind, *(_acceptance(here, kind, place) for place in range(len(WIDTHS)))))
    words = (
        "The probability that a node's list holds the emitted token, by width, exact for each pair; behind it what the "
        "same number of children by rule, with NSS, gains in percentage points, with 95 % intervals over pairs. "
        "Only NSS is lossless for lists by rule: it accepts the target's mass on them."
    )
    return Section("What lists by rule cost", (words,), ("T", "list, verifier", *map(str, WIDTHS)), tuple(rows))


def _single_nodes(cells: Sequence[Cell], target: float, draft: float) -> list[Cell]:
    """The cells of single nodes at a sampling."""
    return [cell for cell in cells if (cell["budget"], cell["target"], cell["draft"]) == (NODES, target, draft)]


def _acceptance(here: Sequence[Mapping[str, Any]], kind: str, place: int) -> str:
    found = [one[kind][place] for one in here]
    if None in found:
        return "–"
    mean = f"{np.mean(found):.3f}"
    against = [100 * (one[BY_RULE][place] - value) for one, value in zip(here, found, strict=True)]
    return mean if kind == BY_RULE else f"{mean} ({mean_of(against)})"


def _pairs_section() -> Section:
    families = "; ".join(f"{name}: {noise:g} at the root and {growth:g} more a level"
                         for name, (noise, growth) in FAMILIES.items())  # fmt: skip
    return Section("How it was computed", (
        f"Synthetic Markov pairs of {VOCABULARY_SIZE} tokens, the target's logits normal with deviation {SPREAD:g}; "
        f"the draft's have normal errors of deviation: {families}. Then each model's own temperature. No shape is "
        f"deeper than {DEPTH} levels.",
        f"Values are means of the exact expectation given each of {TREES} drawn trees a pair; trees by rule are one, "
        "and exact. Sequoia's shape is the best for acceptance by rank, measured on the pair; SpecInfer's are two "
        "independent paths at 8 nodes, four at more; EAGLE-2 expands eight nodes a layer.",
    ))  # fmt: skip
