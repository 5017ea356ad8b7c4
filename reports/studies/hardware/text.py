"""What the cells say: up to which batch speculation, trees and delay pay, by machine, networks and verifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...writing.markdown import Note, Section
from ..actions.tables import CONTEXT, LEAST_GAIN, verifiers
from .figures import CAPTION, gain_figure
from .plan import BATCHES, MACHINES, PAIRS

Cell = Mapping[str, Any]
WHAT = {"gain": "speculation", "tree": "the tree", "delay": "the delay"}
SHOWN = (1, 8, 32, 128)


def last_batch(by_batch: Mapping[str, Mapping[str, Any]], verifier: str, what: str) -> int:
    """The largest batch at which the mean gain is above half a per cent; 0 if none."""
    return max((batch for batch in BATCHES if by_batch[str(batch)][verifier][what] > LEAST_GAIN), default=0)


def note_of(cells: Sequence[Cell], command: str) -> Note:
    """The page."""
    gains = (Section("What speculation gains", drawing=lambda: gain_figure(cells), caption=CAPTION),) if cells else ()
    sections = (*gains, *_sections(cells), _how(cells))
    return Note("Where each verifier, the delay and speculation stop to pay", lead(cells), sections, command)


def lead(cells: Sequence[Cell]) -> str:
    """For each pair of networks up to which batch the best verifier pays, by machine and family."""
    said = []
    for target, draft in PAIRS:
        found = [by_batch for cell in cells if (cell["target"], cell["draft"]) == (target, draft)
                 for by_batch in cell["found"].values()]  # fmt: skip
        if found:
            ends = [_span([max(last_batch(one, name, what) for name in verifiers()) for one in found]) for what in WHAT]
            said.append(
                f"{target} with {draft}: speculation pays up to a batch of {ends[0]}, trees more than chains up to "
                f"{ends[1]}, delay up to {ends[2]}"
            )
    return (f"With the best verifier; batches go to {BATCHES[-1]}, and a span is over machines and families of pairs. "
            f"{'. '.join(said)}.")  # fmt: skip


def _span(batches: Sequence[int]) -> str:
    least, most = min(batches), max(batches)
    return str(least) if least == most else f"{least} to {most}"


def _sections(cells: Sequence[Cell]) -> Iterator[Section]:
    for target, draft in PAIRS:
        here = {cell["machine"]: cell for cell in cells if (cell["target"], cell["draft"]) == (target, draft)}
        machines = [machine for machine in MACHINES if machine in here]
        for family in dict.fromkeys(family for cell in here.values() for family in cell["found"]):
            rows = [(_name(here[machine]), *_ends(here[machine]["found"][family])) for machine in machines]
            words = (
                "The largest batch at which speculation gains over no draft / the verifier's best action over the best "
                "chain under speculative sampling / that action over the best one from the root."
            )
            yield Section(f"{target} with {draft}, pairs '{family}'", (words,), ("machine", *verifiers()), tuple(rows))
            rows = [(_name(here[machine]), *_best(here[machine]["found"][family])) for machine in machines]
            headers = ("machine", *(f"batch {batch}" for batch in SHOWN))
            yield Section(f"{target} with {draft}, pairs '{family}': the most gained", (
                "The verifier of most tokens per second, its gain over no draft, and its action (K, L1, L2) in most "
                "settings.",), headers, tuple(rows))  # fmt: skip


def _name(cell: Cell) -> str:
    return f"{cell['gpus']} x {cell['machine']}"


def _ends(by_batch: Mapping[str, Any]) -> list[str]:
    return [" / ".join(str(last_batch(by_batch, name, what)) for what in WHAT) for name in verifiers()]


def _best(by_batch: Mapping[str, Any]) -> Iterator[str]:
    for batch in SHOWN:
        found = by_batch[str(batch)]
        name = max(found, key=lambda one: found[one]["gain"])
        yield f"{name} {100 * found[name]['gain']:+.0f} % {tuple(found[name]['action'])}"


def _how(cells: Sequence[Cell]) -> Section:
    return Section("How it was computed", (
        f"Block efficiencies of the study `actions`; seconds by roofline from published figures, {CONTEXT} tokens of "
        f"context, the fewest GPUs, a power of two, that hold both networks and the caches of {BATCHES[-1]} requests. "
        "In each of its settings (a pair at a sampling) the fastest action is taken at each batch; gains are means "
        f"over settings of one family, and one pays if it is above {100 * LEAST_GAIN:g} %. No interval is given: the "
        "settings are the study's own and no sample of others, and times are computed, not measured.",
        "Traversal, lifted K-SEQ and khisti are known from drawn trees: their best action is chosen by values that may "
        "each be off, which makes them look better than they are by up to the half widths that the study `actions` "
        "prints.",
    ))  # fmt: skip


def rows_of(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """One for each machine, pair of networks, family, batch and verifier."""
    return [
        {"machine": cell["machine"], "gpus": cell["gpus"], "target": cell["target"], "draft": cell["draft"],
         "family": family, "batch": int(batch), "verifier": verifier} | gains
        for cell in cells
        for family, by_batch in cell["found"].items()
        for batch, found in by_batch.items()
        for verifier, gains in found.items()
    ]  # fmt: skip
