"""What an evaluation says: rates of all ways to choose, gains over one action, shares of the oracle's room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from veridraft.gpu.selecting.grid import Machine, machine_of

from ...writing.markdown import Note, Section
from ...writing.tables import ABSENT, number
from .claims import headlines, points
from .figures import CAPTION, gains_figure
from .paired import Cell
from .settings import SPACES, best_settings, by_depth

WAYS = SPACES | {
    "entropy": "entropy rule", "boosted": "boosted trees", "selector": "selector",
    "oracle by other trees": "oracle, other trees", "oracle": "oracle, same trees",
}  # fmt: skip
"""The ways to choose, and how they are called in tables."""

BASE = "traversal"
"""The verifier whose best action all others are held against."""

HOW = (
    "One chain, one tree from the root and one action are the best for all roots to learn from, of each sampling: a "
    "single path; no trunk; all actions, delay included. The entropy rule has an action for each quarter of the "
    "draft's entropy at the root. Boosted trees read the numbers alone, the selector the states, too.",
    "The oracle picks the best action at each root. By the trees that count it takes luck for knowledge, and is too "
    "high; by the other trees of the root it knows too little, and is too low: a perfect choice lies between.",
    "Boosted trees and the selector pay for every choice, and, as the entropy rule does, for reading the root with the "
    "draft where nothing is drafted. The oracles pay nothing.",
    "Rates are ratios of means over roots, tokens over seconds; intervals are 95 %, by a jackknife over texts. Values "
    "of E[tau + 1] are expectations given drawn trees. None of the texts or their prompts was learnt from.",
)


def note_of(cells: Sequence[Cell], settings: Mapping[str, Any], command: str) -> Note:
    """The page."""
    lead, sections = _lead(cells, settings), tuple(_sections(cells, settings))
    return Note("A choice of the tree before drafting", lead, sections, command)


def _lead(cells: Sequence[Cell], settings: Mapping[str, Any]) -> str:
    pair = settings["pair"]
    above = [cell["verifier"] for cell in cells if _low(cell["ways"]["selector"]) > 0]
    below = [cell["verifier"] for cell in cells if _high(cell["ways"]["selector"]) < 0]
    return (
        f"{pair['target']} with {pair['draft']} (weights {', '.join(pair['weights'])}), times of "
        f"{machine_of(settings['plan']['machine']).said}. {_count(settings)} The selector is above the "
        f"best one action, beyond the interval, for {_names(above)}, and below it for {_names(below)}."
    )


def _count(settings: Mapping[str, Any]) -> str:
    roots = settings["plan"]["roots"]
    return (f"Learnt from {roots['texts']} texts and scored on {roots['held_out']}, up to {roots['roots']} roots each, "
            f"{roots['trees']} nested trees a root.")  # fmt: skip


def _names(verifiers: Sequence[str]) -> str:
    return ", ".join(verifiers) or "none"


def _low(way: Mapping[str, float]) -> float:
    return way["gain"] - way["gain_half"]


def _high(way: Mapping[str, float]) -> float:
    return way["gain"] + way["gain_half"]


def _sections(cells: Sequence[Cell], settings: Mapping[str, Any]) -> Iterator[Section]:
    shown = [name for name in WAYS if any(name in cell["ways"] for cell in cells)]
    titles = tuple(WAYS[name] for name in shown)
    rates = [(cell["verifier"], *(_rate(cell, name) for name in shown)) for cell in cells]
    yield Section("Tokens per second", (), ("verifier", *titles), tuple(rates))
    gains = [(cell["verifier"], *(_percent(cell["ways"].get(name), "gain") for name in shown)) for cell in cells]
    picture = partial(gains_figure, cells, WAYS)
    yield Section("Over the verifier's best one action", (), ("verifier", *titles), tuple(gains), picture, CAPTION)
    yield _shares(cells)
    if any(cell["verifier"] == BASE for cell in cells):
        yield _over_base(cells)
    yield from (section for section in (headlines(cells), points(cells)) if section)
    yield best_settings(cells, settings["plan"]["roots"]["temperatures"])
    yield by_depth(cells)
    actions = [(cell["verifier"], _actions(cell["static"]), _actions(cell["chosen"])) for cell in cells]
    yield Section("What is chosen", (), ("verifier", "one action, by sampling", "selector, most often"), tuple(actions))
    yield Section("How", (*HOW, _cost(settings)))


def _rate(cell: Cell, name: str) -> str:
    return number(cell["ways"][name]["tokens_per_second"], 1) if name in cell["ways"] else ABSENT


def _percent(way: Mapping[str, Any] | None, name: str) -> str:
    """A share with its interval, in per cent."""
    if way is None or way[name] is None:
        return ABSENT
    return f"{100 * way[name]:+.1f} ± {100 * way[f'{name}_half']:.1f} %".replace("-", "\N{MINUS SIGN}")


def _shares(cells: Sequence[Cell]) -> Section:
    rows = [(cell["verifier"], *(_percent(cell["shares"][name], "share") for name in
                                 ("oracle by other trees", "oracle")), number(1e3 * cell["worth"], 3))
            for cell in cells]  # fmt: skip
    words = ("Of what the oracle gains over the best one action, the share that the selector takes; none without room. "
             "And the milliseconds that a choice may take until nothing of the gain is left.")  # fmt: skip
    titles = ("verifier", "of the oracle by other trees", "of that by the same", "a choice may take")
    return Section("Share of the room", (words,), titles, tuple(rows))


def _over_base(cells: Sequence[Cell]) -> Section:
    """Each verifier's one action and selector against Traversal's one action."""
    base = next(cell for cell in cells if cell["verifier"] == BASE)["ways"]["static"]["tokens_per_second"]
    rows = [(cell["verifier"], *(f"{cell['ways'][name]['tokens_per_second'] / base:.3f}" for name in
                                 ("static", "selector"))) for cell in cells]  # fmt: skip
    return Section("Over Traversal with its best one action", (), ("verifier", "one action", "selector"), tuple(rows))


def _actions(often: Sequence[Sequence[Any]]) -> str:
    return "; ".join(f"{name} {100 * share:.0f} %" for name, share in often)


def _cost(settings: Mapping[str, Any]) -> str:
    machine, measured = machine_of(settings["plan"]["machine"]), settings["choice"]
    where = "on the GPU, which is an assumption" if isinstance(machine, Machine) else "there"
    return (f"A choice is taken to cost {1e3 * machine.choice:g} ms {where}; on the CPU where the networks were taught "
            f"it took {1e3 * measured:.1f} ms, rows of both networks included.")  # fmt: skip


def rows_of(cells: Sequence[Cell]) -> Iterator[dict[str, Any]]:
    """Each way to choose of each verifier."""
    for cell in cells:
        for name, way in cell["ways"].items():
            yield {"verifier": cell["verifier"], "way": name, **way}
