"""What the texts say: DySpec over every other shape with intervals over texts, and the claims answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from veridraft.theory.speed.jackknife import jackknife_half

from ...writing.intervals import Mean
from ...writing.markdown import Note, Section
from ..shapes.plan import SAMPLINGS
from ..shapes.text import CLAIMS, DYSPEC, Claim, Rule, claims_section, verdict
from ..shapes.trees import DEPTH
from .plan import RATES

Cell = Mapping[str, Any]
Settings = Mapping[str, Any]


def texts_of(cells: Sequence[Cell], target: float, draft: float) -> list[Cell]:
    """The cells of texts at a sampling."""
    return [cell for cell in cells if (cell["target"], cell["draft"]) == (target, draft) and cell["text"] != RATES]


def gain(texts: Sequence[Cell], one: Rule, other: Rule) -> Mean | None:
    """The gain of a rule in per cent, a ratio of sums over roots, its interval over texts; ``None`` for under two."""
    if len(texts) < 2:
        return None
    sums = np.array([[text["values"][shape][verifier] for shape, verifier in (one, other)] for text in texts])
    whole, without = sums.sum(axis=0), sums.sum(axis=0) - sums
    left_out = 100 * (without[:, 0] / without[:, 1] - 1)
    return Mean(float(100 * (whole[0] / whole[1] - 1)), jackknife_half(left_out))


def claimed(cells: Sequence[Cell]) -> Iterator[tuple[Claim, Mean]]:
    """Each published gain that texts are finished for, and what is found."""
    drafts = dict(SAMPLINGS)
    for claim in CLAIMS:
        found = gain(texts_of(cells, claim.temperature, drafts[claim.temperature]), DYSPEC, claim.other)
        if found:
            yield claim, found


def note_of(cells: Sequence[Cell], settings: Settings, command: str) -> Note:
    """The page."""
    found = list(claimed(cells))
    sections = [claims_section(found, _words(settings["budget"])), *_sampling_sections(cells)]
    if rates := [cell for cell in cells if cell["text"] == RATES]:
        sections.append(_rates_section(rates))
    title = f"DySpec's trees against other shapes, {settings['target']} with {settings['draft']}"
    lead = " ".join(
        f"DySpec {claim.name}, claimed +{claim.low:g} to {claim.high:g} %, is {verdict(mean, claim)} on this pair: "
        f"{mean} %."
        for claim, mean in found
    )
    return Note(title, lead, (*sections, _how_section(settings)), command)


def _words(budget: int) -> str:
    return (
        f"DySpec with RRSw, trees of {budget} nodes: tokens a step over those of Sequoia's shape with RRSw and of "
        "SpecInfer's independent paths with its own rule, in per cent, at the same roots, with 95 % intervals over "
        "texts. The claims are of 64 nodes, ranges over the paper's models and texts, which prints no intervals."
    )


def _sampling_sections(cells: Sequence[Cell]) -> Iterator[Section]:
    for target, draft in SAMPLINGS:
        texts = texts_of(cells, target, draft)
        roots = sum(text["roots"] for text in texts)
        if len(texts) < 2:
            continue
        rules = [(shape, name) for shape, values in texts[0]["values"].items() for name in values]
        words = (f"{roots} roots of {len(texts)} texts: E[tau + 1] given the trees, nodes below the root, and what "
                 "DySpec with RRSw gains over it in per cent.",)  # fmt: skip
        columns = ("shape", "verifier", "E[tau + 1]", "nodes", "DySpec %")
        yield Section(f"Target at T = {target:g}, draft at {draft:g}", words, columns,
                      tuple(_row(texts, roots, rule) for rule in rules))  # fmt: skip


def _row(texts: Sequence[Cell], roots: int, rule: Rule) -> tuple[str, ...]:
    shape, verifier = rule
    tokens = sum(text["values"][shape][verifier] for text in texts)
    nodes = sum(text["nodes"][shape] for text in texts)
    gained = "–" if rule == DYSPEC else str(gain(texts, DYSPEC, rule))
    return shape, verifier, f"{tokens / roots:.3f}", f"{nodes / roots:.1f}", gained


def _rates_section(cells: Sequence[Cell]) -> Section:
    rows = tuple((f"{cell['target']:g}", f"{cell['draft']:g}", *(f"{rate:.3f}" for rate in cell["rates"]))
                 for cell in cells)  # fmt: skip
    words = ("How often the first, second, ... of siblings is accepted by RRSw, at 100 roots of texts that nothing "
             "else looks at: what Sequoia's shape is best for.",)  # fmt: skip
    return Section("Acceptance by rank", words, ("T", "draft's T", *map(str, range(1, len(cells[0]["rates"]) + 1))),
                   rows)  # fmt: skip


def _how_section(settings: Settings) -> Section:
    return Section("How it was computed", (
        f"Texts of the target alone, a root at the prompt's last token and every {settings['spacing']} tokens on, at "
        f"most {settings['roots']} of a text. At each root every shape drafts one tree, no deeper than {DEPTH} levels, "
        "and each verifier's law on that tree gives the tokens: no coin is in them. The draft is drawn from at its own "
        "temperature also where the target has none.",
        "OPT-Tree's shapes and DySpec by threshold are left out: the first would ask this draft for a thousand rows a "
        "tree, the second needs a threshold for every budget. Both stand in the study of synthetic pairs.",
    ))  # fmt: skip
