"""The study's tables and words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from veridraft.simulate.transcripts.verdict import chance

from ...writing.markdown import Note, Section
from .audits import AUDITS, ServerAudit
from .checkpoint import DRAFT, REPORT, TARGET, total_variation, two_steps
from .figures import tokens_figure
from .floors import tokens_at_least

Cell = Mapping[str, Any]

CAPTION = (
    "Network, speculation, settings, and what else is told, with the tokens that the verdict took. A floor is the "
    "fewest that any test needs in the mean."
)

LEAD = (
    "llama.cpp's server, built from the package index and audited from outside: texts are asked for, every token is "
    "held against the row of a server without speculation. SmolLM2 is the embedded model with a draft made of it by "
    "leaving out four layers; transformer and Mamba are random networks of 460 tokens. The level is 1e-6."
)


def note(cells: Sequence[Cell], settings: Mapping[str, Any], command: str) -> Note:
    """The study as a page."""
    sections = tuple(section(cells) for belongs, section in PARTS if any(map(belongs, _audits(cells))))
    report = (_report(settings["version"]),) if any(map(_is_recurrent, _audits(cells))) else ()
    lead = f"{LEAD} The server: {settings['version']}."
    return Note("Servers of llama.cpp, audited", lead, (_all(cells), *sections, *report), command)


def _all(cells: Sequence[Cell]) -> Section:
    """All audits in a picture."""
    expected = sum(map(_is_expected, cells))
    lossy = sum(cell["verdict"] == "lossy" for cell in cells)
    words = f"{len(cells)} audits, {lossy} lossy; {expected} verdicts are as they should be."
    return Section("All audits", (words,), drawing=partial(tokens_figure, cells), caption=CAPTION)


def agrees(cells: Sequence[Cell]) -> bool:
    """Whether every verdict is the expected one."""
    return all(map(_is_expected, cells))


def _is_expected(cell: Cell) -> bool:
    return bool(cell["verdict"] == AUDITS[cell["audit"]].expected.value)


def _audits(cells: Sequence[Cell]) -> Iterator[ServerAudit]:
    return (AUDITS[cell["audit"]] for cell in cells)


def _of(cells: Sequence[Cell], belongs: Callable[[ServerAudit], bool]) -> list[Cell]:
    return [cell for cell in cells if belongs(AUDITS[cell["audit"]])]


def _is_recurrent(audit: ServerAudit) -> bool:
    return audit.pair != "SmolLM2"


def _is_greedy(audit: ServerAudit) -> bool:
    return audit.settings["temperature"] == 0


def _is_departure(audit: ServerAudit) -> bool:
    return not _is_recurrent(audit) and not audit.target and (audit.sampled is not None or audit.forced is not None)


def _is_right(audit: ServerAudit) -> bool:
    return not (_is_recurrent(audit) or _is_greedy(audit) or audit.target or _is_departure(audit))


def _right(cells: Sequence[Cell]) -> Section:
    words = (
        "Rows come from the server without speculation, the 512 likeliest tokens of each, or as many more as settle it "
        "behind the settings. Chance: how probable so much evidence is at most if every token is drawn from its row; "
        "a million to one convicts. Ranks: bounds on how far the tokens' ranks lie from where the rows put them.",
    )
    rows = tuple((*_name(cell), *_judged(cell), *_speed(cell)) for cell in _of(cells, _is_right))
    headers = ("speculation", "settings", "verdict", "tokens", "drafted", "accepted", "chance", "ranks", "seconds")
    return Section("What should be lossless", words, headers, rows)


def _greedy(cells: Sequence[Cell]) -> Section:
    words = (
        "At temperature 0 every token must be its row's likeliest. Near-ties lie within 0.1 nats of it: speculation "
        "reads tokens in other shapes of batch, and rounds otherwise.",
    )
    rows = tuple(
        (AUDITS[cell["audit"]].speculation, cell["verdict"], f"{cell['tokens']:,}", *_drafts(cell),
         str(cell["greedy"]["ties"]), str(cell["greedy"]["clear"]))
        for cell in _of(cells, _is_greedy)
    )  # fmt: skip
    headers = ("speculation", "verdict", "tokens", "drafted", "accepted", "near-ties", "others not likeliest")
    return Section("Greedy", words, headers, rows)


def _departures(cells: Sequence[Cell]) -> Section:
    words = (
        "Settings: texts are asked for at temperature 0.9, or top-p 0.95, and scored as if these were 1. Forced "
        "acceptance (--spec-synth-rates 0.7,0.49,0.343 and --spec-synth-len 3) takes drafts by dice. Needed: tokens "
        "until the verdict stood. Floor: the fewest that any test needs in the mean, log(1/level) over the "
        "divergence of the true law from the row. Of settings it is computed from 4,096 tokens of each row along the "
        "first texts; "
        "of forced acceptance from the draft's likeliest tokens, which a third server tells, and from the steps: the "
        "law of a place with a draft is that token with the rate, else the row. Where steps are not asked for there "
        "is none.",
    )
    headers = ("speculation", "told", "verdict", "needed", "floor", "drafted", "accepted", "strongest bet")
    rows = tuple(
        (AUDITS[cell["audit"]].speculation, _told(cell), cell["verdict"], _needed(cell), _floor(cell), *_drafts(cell),
         _strongest(cell))
        for cell in _of(cells, _is_departure)
    )  # fmt: skip
    return Section("What is wrong on purpose", words, headers, rows)


def _engines(cells: Sequence[Cell]) -> Section:
    words = (
        "Rows of transformers, float32 weights of the same model, beside a control run of the server without "
        "speculation. Mismatch: divergence and total variation of the server's whole rows from those of "
        "transformers, the mean over a few texts. Against rows, and the control's: the chance if the tokens of each "
        "run are drawn from these rows. Difference: the chance if both runs draw from one law, whatever the rows; it "
        "alone convicts.",
    )
    headers = ("speculation", "verdict", "tokens", "pairs", "mismatch, nats", "total variation", "against rows",
               "the control's", "difference")  # fmt: skip
    rows = tuple(
        (AUDITS[cell["audit"]].speculation, cell["verdict"], f"{cell['tokens']:,}", str(cell["control"]["pairs"]),
         *(f"{value:.4f}" for value in cell["mismatch"]), chance(cell["log_e"]),
         chance(cell["control"]["own_log_e"]), chance(cell["control"]["log_e"]))
        for cell in _of(cells, lambda audit: audit.target)
    )  # fmt: skip
    return Section("Rows of another engine", words, headers, rows)


def _recurrent(cells: Sequence[Cell]) -> Section:
    words = (
        "A target that takes back tokens by restoring a checkpoint (Mamba), beside a transformer of the same size "
        "that drops them from its cache. By place: bets by places in the step too. There is no floor: the true law "
        "of a token hangs on coins of steps before, which nobody sees.",
    )
    headers = ("network", "speculation", "told", "verdict", "tokens", "found after", "drafted", "accepted", "chance",
               "strongest bet")  # fmt: skip
    rows = tuple(
        (AUDITS[cell["audit"]].pair, AUDITS[cell["audit"]].speculation, _told(cell), cell["verdict"],
         f"{cell['tokens']:,}", _needed(cell), *_drafts(cell), chance(cell["log_e"]), _strongest(cell))
        for cell in _of(cells, _is_recurrent)
    )  # fmt: skip
    return Section("Checkpoints of recurrent targets", words, headers, rows)


PARTS = (
    (_is_right, _right), (_is_greedy, _greedy), (_is_departure, _departures), (lambda audit: audit.target, _engines),
    (_is_recurrent, _recurrent),
)  # fmt: skip
"""The sections, and which audits they show."""


def _report(version: str) -> Section:
    """The defect as a page for a maintainer, with an exact case."""
    law = two_steps(TARGET, DRAFT)
    exact = (
        "An exact case: one draft a step, every row of the target (1/2, 1/2), of the draft (3/4, 1/4). The first "
        "tokens of two steps in a row have the law below, total variation "
        f"{total_variation(TARGET, law)} from two draws of the target. A rejection says that the coin lies above 2/3, "
        "so the next step never accepts token 0 either, nor any later one: token 0 comes first in step n with "
        "probability 1/2 (3/4)^(n - 1), where rows are equal everywhere.",
        "The catalogue of defects has the mechanism within one step (number 56, generator_restored: the coin that "
        "rejected draws the correction): with target (1/2, 1/4, 1/4) and a draft that is always token 0, token 1 never "
        "comes, and the total variation is 1/4.",
    )
    rows = tuple((f"{one}, {two}", str(TARGET[one] * TARGET[two]), str(value)) for (one, two), value in law.items())
    words = (*(part.format(version=version) for part in REPORT), *exact)
    return Section("The generator that a checkpoint restores", words, ("first tokens", "target", "comes out"), rows)


def _name(cell: Cell) -> tuple[str, str]:
    parts = cell["audit"].split("; ")
    return parts[1], parts[2]


def _told(cell: Cell) -> str:
    """What sets an audit apart from others of its speculation."""
    return "; ".join(cell["audit"].split("; ")[3:]) or "texts"


def _judged(cell: Cell) -> tuple[str, ...]:
    low, high = cell["departure"]
    return (cell["verdict"], f"{cell['tokens']:,}", *_drafts(cell), chance(cell["log_e"]), f"{low:.3f} to {high:.3f}")


def _speed(cell: Cell) -> tuple[str]:
    return (f"{cell['seconds']:.0f}",)


def _drafts(cell: Cell) -> tuple[str, str]:
    drawn, kept = cell["drafts"] or (0, 0)
    return (f"{drawn:,}", f"{kept:,}")


def _needed(cell: Cell) -> str:
    return "" if cell["found_after"] is None else f"{cell['found_after']:,}"


def _strongest(cell: Cell) -> str:
    return str(cell["strongest"][0]) if cell["verdict"] == "lossy" else ""


def _floor(cell: Cell) -> str:
    return f"{tokens_at_least(cell['level'], cell['nats']):,.0f}" if cell["nats"] else ""
