"""Headlines of 2602.16994 and points of it that do not add up, answered by the roots of held-out texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ...writing.intervals import Mean
from ...writing.markdown import Section
from .paired import Cell, over_texts, ratio, spoken
from .settings import is_one_step, named

CONFIRMED, REFUTED, LEVEL = "confirmed", "refuted", "not told apart"

HOW = (
    "Ratios of tokens per second over the same held-out texts, each with its 95 % interval by a jackknife over texts. "
    "Confirmed: the whole interval lies above the claim; refuted: below it."
)

PUBLISHED_GAIN = 1.05
"""16.69 over 15.89 tokens per second: SpecInfer with its selector over Traversal, mean of three pairs."""


def verdict(found: Mean, bound: float) -> str:
    """Whether a claim of more than the bound holds."""
    if found.low > bound:
        return CONFIRMED
    return REFUTED if found.high < bound else LEVEL


def headlines(cells: Sequence[Cell]) -> Section | None:
    """Each claim with its ratio; ``None`` where no two verifiers of any are there."""
    rows = tuple((text, spoken(found), verdict(found, bound)) for text, found, bound in _claims(named(cells)))
    return Section("Published headlines", (HOW,), ("claim", "ratio", "verdict"), rows) if rows else None


def _claims(cells: Mapping[str, Cell]) -> Iterator[tuple[str, Mean, float]]:
    """Words, the ratio, and what it has to exceed."""
    rules = [name for name in cells if is_one_step(name) and len(cells[name]["lengths"]) > 1]
    base = cells.get("traversal")
    for way, words in (("static", "each with its best one action"), ("root", "each from the root")):
        for name in rules if base else ():
            yield f"Traversal above {name}, {words}", ratio((cells["traversal"], way), (cells[name], way)), 1.0
    for name in [*rules, *(["traversal"] if base else [])]:
        lifted = ratio((cells[name], "static"), (cells[name], "root"))
        yield f"delay lifts {name}: its best of all above its best from the root", lifted, 1.0
    if base and "specinfer" in cells:
        chosen = cells["specinfer"], "selector"
        for way, words in (("static", "its best one action"), ("selector", "its own selector")):
            found, claim = ratio(chosen, (base, way)), f"SpecInfer with its selector above Traversal with {words}"
            yield claim, found, 1.0
            yield f"{claim}, by 5 %", found, PUBLISHED_GAIN


def points(cells: Sequence[Cell]) -> Section | None:
    """The four points as paragraphs; ``None`` unless SpecInfer, Naive, block and Traversal are all there."""
    held = named(cells)
    if not {"specinfer", "naive_tree", "traversal", "block"} <= held.keys():
        return None
    return Section("Points of the paper that do not add up", tuple(_points(held)))


def _points(cells: Mapping[str, Cell]) -> Iterator[str]:
    infer, naive, walk = (cells[name] for name in ("specinfer", "naive_tree", "traversal"))
    yield (
        "1. SpecInfer's best K in 1..4 below Naive (Gemma: 2.07 against 3.44) cannot be: at K = 1 it is Naive. Here "
        f"its best chain gives {spoken(ratio((infer, 'chain'), (naive, 'chain')))} of the tokens per second of "
        f"Naive's, its best from the root {spoken(ratio((infer, 'root'), (naive, 'chain')))}."
    )
    gains = {name: ratio((cell, "selector"), (cell, "static")) for name, cell in cells.items()}
    low, high = (pick(gains, key=lambda name: gains[name].mean) for pick in (min, max))
    yield (
        "2. A selector below its own static setting (Llama: 0.96) chose worse than not to choose. Here selectors give, "
        f"their cost included, {spoken(gains[low])} ({low}) to {spoken(gains[high])} ({high}) of the verifier's best "
        "one action."
    )
    delay = [spoken(ratio((cell, "static"), (cell, "root"))) for cell in (infer, walk)]
    over = [spoken(ratio((infer, "static"), (walk, way))) for way in ("root", "static")]
    yield (
        "3. The best static delayed action, which the paper does not show, over the best from the root: SpecInfer "
        f"times {delay[0]}, Traversal times {delay[1]}; SpecInfer delayed over Traversal from the root times "
        f"{over[0]}, over Traversal delayed times {over[1]}."
    )
    yield (
        "4. Block below Naive (4.30 against 4.52) cannot be on one pair at one length: here E[tau + 1] of block less "
        f"Naive's is {spoken(_block_less_naive(cells))} on the longest chain from the root; the best chain of block "
        f"gives {spoken(ratio((cells['block'], 'chain'), (naive, 'chain')))} of the tokens per second of Naive's."
    )


def _block_less_naive(cells: Mapping[str, Cell]) -> Mean:
    """The difference of E[tau + 1] at the longest chain, of the same roots and trees."""
    block, naive = (np.array(cells[name]["lengths"]["1"]) for name in ("block", "naive_tree"))
    sums = np.stack([block[:, -1] - naive[:, -1], naive[:, 0]], axis=1)  # E[tau + 1] of no token counts the roots
    return over_texts(sums, lambda total: float(total[0] / total[1]))
