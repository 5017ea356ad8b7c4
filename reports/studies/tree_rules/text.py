"""What the cells say: gains of one rule over another with intervals over pairs, and the claims held beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from ...writing.claims import CAPTION, Held, claims_figure
from ...writing.intervals import Mean, mean_of, mean_over_seeds
from ...writing.markdown import Note, Section
from .plan import DEPTH, FAMILIES, SHAPES, SPREAD, TEMPERATURES, TREES, VOCABULARY_SIZE

Cell = Mapping[str, Any]
Place = tuple[str, float, str]
"""Family, temperature, shape."""


@dataclass(frozen=True)
class Claim:
    """A published gain of a rule over another, in per cent."""

    one: str
    other: str
    low: float
    high: float
    source: str

    @property
    def name(self) -> str:
        """The rules."""
        return f"{NAMES[self.one]} over {NAMES[self.other]}"

    @property
    def text(self) -> str:
        """The range."""
        return f"{self.low:g} %" if self.low == self.high else f"{self.low:g} to {self.high:g} %"


NAMES = {"univer": "UniVer", "traversal": "Traversal", "greedy": "Greedy", "rrsw": "RRSw"}
CLAIMS = (
    Claim("univer", "rrsw", 4.2, 8.5, "2605.04543"),
    Claim("univer", "greedy", 2.5, 2.5, "2605.04543"),
    Claim("traversal", "rrsw", 2.2, 5.7, "2505.12398"),
)


def gains(cells: Sequence[Cell], one: str, other: str) -> dict[Place, Mean]:
    """By family, temperature and shape the gain in per cent, pair by pair, where at least two pairs are finished."""
    found: dict[Place, list[float]] = {}
    for cell in cells:
        values = cell["values"]
        place = (cell["family"], cell["temperature"], cell["shape"])
        found.setdefault(place, []).append(100 * (values[one] / values[other] - 1))
    return {place: mean_of(ones) for place, ones in found.items() if len(ones) > 1}


def note_of(cells: Sequence[Cell], command: str) -> Note:
    """The page."""
    tables = [_shape_section(cells, shape) for shape in SHAPES if any(cell["shape"] == shape for cell in cells)]
    sections = (_claims_section(cells), _temperature_section(cells), *tables, _pairs_section())
    return Note("Four rules on the same trees", lead(cells), sections, command)


def lead(cells: Sequence[Cell]) -> str:
    """The claims, answered."""
    said = [_answer(claim, cells) for claim in CLAIMS]
    return " ".join([*said, "Every number is a paired difference on the same pairs, with 95 % intervals over pairs."])


def _answer(claim: Claim, cells: Sequence[Cell]) -> str:
    """One sentence: at temperature 1 on trees that branch, as in the papers, and over all settings."""
    pooled = pooled_gain(cells, claim, 1.0)
    if pooled is None:
        return f"{claim.name}, claimed {claim.text}: not finished at temperature 1."
    everywhere = [one.mean for one in gains(cells, claim.one, claim.other).values()]
    return (
        f"{claim.name}, claimed {claim.text} ({claim.source}), is {verdict(claim, pooled)} on these pairs at T = 1 on "
        f"trees that branch: {pooled} %; over all settings it goes from {min(everywhere):+.1f} to "
        f"{max(everywhere):+.1f} %."
    )


def verdict(claim: Claim, found: Mean) -> str:
    """Refuted where the interval misses what is claimed; confirmed where the mean lies in it, and is no chance."""
    below, _, above = counted(claim, [found])
    if below or above:
        return "refuted, it is less" if below else "refuted, it is more"
    inside = claim.low == claim.high or claim.low <= found.mean <= claim.high
    return "confirmed" if inside and found.low > 0 else "neither confirmed nor refuted"


def pooled_gain(cells: Sequence[Cell], claim: Claim, temperature: float) -> Mean | None:
    """The gain in per cent on trees that branch: the mean over families and shapes of each seed, then over seeds."""
    found = []
    for cell in cells:
        if cell["temperature"] == temperature and cell["shape"] != "chain":
            gain = cell["values"][claim.one] / cell["values"][claim.other] - 1
            found.append((cell["seed"], 100 * gain))
    return mean_over_seeds(found)


def counted(claim: Claim, found: Sequence[Mean]) -> tuple[int, int, int]:
    """How many intervals lie below the claimed range, meet it, and lie above."""
    below = sum(one.high < claim.low for one in found)
    above = sum(one.low > claim.high for one in found)
    return below, len(found) - below - above, above


def _claims_section(cells: Sequence[Cell]) -> Section:
    rows = []
    for claim, shape in product(CLAIMS, SHAPES):
        places = gains(cells, claim.one, claim.other)
        found = [one for (_, _, where), one in places.items() if where == shape]
        if found:
            middle = sum(one.mean for one in found) / len(found)
            ends = [pick(one.mean for one in found) for pick in (min, max)]
            rows.append((claim.name, claim.text, shape, f"{middle:+.2f}", *(f"{end:+.2f}" for end in ends),
                         " / ".join(map(str, counted(claim, found)))))  # fmt: skip
    words = (
        "Gain of E[tau + 1] in per cent over families and temperatures; the last column counts settings whose 95 % "
        "interval lies below the claimed range, meets it, and lies above. One interval in twenty misses its gain."
    )
    headers = ("rules", "claimed", "shape", "mean %", "least", "most", "below / meets / above")
    held = _held(cells)
    picture = (lambda: claims_figure(held, "gain of E[tau + 1] on trees that branch, %")) if held else None
    return Section("The claims by shape", (words,), headers, tuple(rows), picture, CAPTION)


def _held(cells: Sequence[Cell]) -> list[Held]:
    """Each claim at each temperature above 0, where at least two pairs are finished."""
    places = [(claim, temperature) for claim, temperature in product(CLAIMS, TEMPERATURES) if temperature]
    found = [(claim, temperature, pooled_gain(cells, claim, temperature)) for claim, temperature in places]
    return [(f"{claim.name}, T = {heat:g}", claim.low, claim.high, one) for claim, heat, one in found if one]


def _temperature_section(cells: Sequence[Cell]) -> Section:
    """Gains by temperature, over families and the shapes that branch."""
    rows = []
    for temperature in TEMPERATURES:
        found = [pooled_gain(cells, claim, temperature) for claim in CLAIMS]
        rows.append((f"{temperature:g}", *("–" if one is None else str(one) for one in found)))
    words = ("Gains in per cent on binary and ternary trees: for each seed the mean over families and shapes, then the "
             "mean over seeds with its 95 % interval. At temperature 0 both rows are one-hot: every rule accepts the "
             "target's token where it is drafted and nothing else, so that on a given tree none gains. UniVer's paper "
             "sees no gain up to 0.3.")  # fmt: skip
    return Section("By temperature", (words,), ("T", *(claim.name for claim in CLAIMS)), tuple(rows))


def _shape_section(cells: Sequence[Cell], shape: str) -> Section:
    chosen = [cell for cell in cells if cell["shape"] == shape]
    found = [gains(chosen, claim.one, claim.other) for claim in CLAIMS]
    rows = []
    for family, temperature in product(FAMILIES, TEMPERATURES):
        place = (family, temperature, shape)
        if place in found[0]:
            here = [cell["values"] for cell in chosen if (cell["family"], cell["temperature"]) == place[:2]]
            means = [sum(values[name] for values in here) / len(here) for name in NAMES]
            gained = [str(one[place]) for one in found]
            rows.append((family, f"{temperature:g}", *(f"{mean:.3f}" for mean in means), *gained))
    nodes = sum(SHAPES[shape] ** level for level in range(1, DEPTH + 1))
    words = f"Depth {DEPTH}, {nodes} nodes below the root for every rule. E[tau + 1], then gains in per cent."
    headers = ("pairs", "T", *NAMES.values(), *(claim.name for claim in CLAIMS))
    return Section(f"{shape.capitalize()} trees" if shape != "chain" else "Chains", (words,), headers, tuple(rows))


def _pairs_section() -> Section:
    families = "; ".join(f"{name}: {noise:g} at the root and {growth:g} more a level"
                         for name, (noise, growth) in FAMILIES.items())  # fmt: skip
    trees = ", ".join(f"{count} for a {name}" for name, count in TREES.items())
    return Section("How it was computed", (
        f"Synthetic Markov pairs of {VOCABULARY_SIZE} tokens, the target's logits normal with deviation {SPREAD:g}; "
        f"the draft's have normal errors of deviation: {families}. Temperature is applied to both. No recorded rows.",
        "RRSw and Traversal verify trees drawn without replacement, Greedy and UniVer trees of the top m - 1 tokens "
        "and one draw at every node: of as many nodes, and other trees. On a chain Greedy and RRSw are speculative "
        "sampling, UniVer and Traversal block verification.",
        "RRSw and Greedy are exact. Traversal is RRSw's exact value and the mean difference of the two given the same "
        f"drawn trees ({trees}); so is UniVer over Greedy. The intervals are Student's over pairs, and hold what the "
        "drawn trees add.",
    ))  # fmt: skip
