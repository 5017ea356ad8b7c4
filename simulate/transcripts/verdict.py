"""What an audit of texts says in the end, and what a pass is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log
from textwrap import wrap
from typing import Any

from veridraft.theory.display import Sheet, Shown

from ..auditing.findings import TEXT_WIDTH
from ..auditing.verdict import Verdict
from .betting.greedy import GreedyTally
from .betting.power import Sensitivity

CLOSER = log(1000.0)
"""How much more a bet must have won than every bet of another family for its law to be called the likely one."""

SHOWN = 6
"""Departures of a pass that are listed."""


@dataclass(frozen=True)
class Control:
    """What the control run says.

    pairs : how many prompts stand in both runs
    log_e : the logarithm of the evidence that the two runs differ
    own_log_e, tokens : the same against the rows, of the control alone, and its tokens
    departure : bounds on the total variation of its ranks from the flat law, each right with probability 0.999
    pairs_needed : how many pairs at least the level asks for
    """

    pairs: int
    log_e: float
    own_log_e: float
    tokens: int
    departure: tuple[float, float]
    pairs_needed: int


@dataclass(frozen=True, eq=False)
class TokenAudit(Shown):
    """The result of an audit of texts.

    Fields
    ------
    name : what was audited
    verdict : LOSSY at the level; UNDECIDED if the tokens depart from the rows, but not, for sure, from the control's
    level : a lossless decoder is called LOSSY with probability at most this
    requests, tokens : how many were judged
    log_e : the largest logarithm of the evidence against the rows
    found_after : the tokens after which it sufficed, or None
    parts : for each family of bets the logarithm of every bet's fortune at the end
    departure : bounds on the total variation of the tokens' ranks from the flat law
    control, greedy : what these say, if there are any
    sensitivities : in how many tokens known departures would be found
    notes : what else is to be said, one sentence each
    """

    name: str
    verdict: Verdict
    level: float
    requests: int
    tokens: int
    log_e: float
    found_after: int | None
    parts: Mapping[str, Mapping[str, float]]
    departure: tuple[float, float]
    control: Control | None
    greedy: GreedyTally | None
    sensitivities: Sequence[Sensitivity]
    notes: Sequence[str]

    @property
    def exit_status(self) -> int:
        """0 for no defect found, 1 for lossy, 2 for undecided."""
        return self.verdict.exit_status

    @property
    def strongest(self) -> tuple[str, float] | None:
        """The bet that won most, and the logarithm of its fortune."""
        bets = [bet for parts in self.parts.values() for bet in parts.items()]
        return max(bets, key=lambda bet: bet[1], default=None)

    @property
    def likely(self) -> str | None:
        """The law that the tokens are closest to, if it is told from those of all other families; None otherwise."""
        best = {family: max(parts.items(), key=lambda bet: bet[1]) for family, parts in self.parts.items() if parts}
        named = {family: bet for family, bet in best.items() if family != "ranks"}
        if not named:
            return None
        family = max(named, key=lambda one: named[one][1])
        name, won = named[family]
        others = [bet[1] for other, bet in best.items() if other != family]
        alone = sum(value > won - CLOSER for value in self.parts[family].values()) == 1 or family == "tilts"
        return name if alone and won - max(others, default=0.0) >= CLOSER else None

    def text(self) -> str:
        """The answer in words."""
        return "\n".join(self._lines())

    @property
    def headline(self) -> str:
        """The verdict and what was audited."""
        return f"{self.verdict.value.upper()}: {self.name}"

    @property
    def size(self) -> str:
        """How much was judged, in words."""
        return f"{self.tokens:,} tokens of {self.requests:,} requests"

    def sheet(self) -> Sheet:
        """The verdict, what speaks for it, and in how many tokens known departures would be found."""
        facts = [("judged", self.size), *self._rows(), *(("note", note) for note in self.notes)]
        columns: dict[str, Sequence[Any]] = {
            "departure": [one.name for one in self.sensitivities], "tokens": [one.needed for one in self.sensitivities],
            "fewest of any test": [one.floor for one in self.sensitivities],
        }  # fmt: skip
        well = {Verdict.NO_DEFECT_FOUND: True, Verdict.UNDECIDED: None}.get(self.verdict, False)
        return Sheet(self.headline, tuple(facts), well, "", columns, self._closing())

    def _lines(self) -> Iterator[str]:
        yield self.headline
        yield self.size
        yield ""
        if self.greedy:
            yield from (f"  {label:<19}{text}" for label, text in self._rows())
        else:
            yield from (line for label, text in self._rows() for line in _field(label, text))
        for note in self.notes:
            yield from wrap(note, TEXT_WIDTH + 2, initial_indent="  note       ", subsequent_indent=" " * 13)
        yield ""
        yield from wrap(self._closing(), TEXT_WIDTH)
        if self.verdict is Verdict.NO_DEFECT_FOUND and not self.greedy:
            yield from self._worth()

    def _rows(self) -> Iterator[tuple[str, str]]:
        """What was seen, as labels and texts."""
        if self.greedy:
            yield from _greedy_rows(self.greedy)
            return
        yield "chance", f"{chance(self.log_e)} if every token is drawn from its row{self._after()}"
        low, high = self.departure
        yield "ranks", f"{low:.3f} to {high:.3f} of total variation from where the rows put them"
        if self.control:
            yield from _control_rows(self.control)
        if self.verdict is Verdict.LOSSY and self.strongest:
            yield "seen in", self._seen()
            if self.likely:
                yield "nearest", f"of the laws that are bet on: {self.likely}"

    def _after(self) -> str:
        return f", enough after {self.found_after:,} tokens" if self.found_after is not None else ""

    def _seen(self) -> str:
        assert self.strongest
        family = next(family for family, parts in self.parts.items() if self.strongest[0] in parts)
        if family == "ranks":
            return f"ranks {self.strongest[0]}"
        return {"tilts": "how often likely tokens come", "settings": "which tokens never come"}.get(
            family, "how tokens follow the draft's row"
        )

    def _closing(self) -> str:
        if self.verdict is Verdict.LOSSY:
            if self.greedy:
                return "A lossless decoder emits the likeliest token, but where rounding decides between equals."
            return f"A lossless decoder would be called lossy with probability at most {self.level:.1e}{self._given()}."
        if self.verdict is Verdict.UNDECIDED:
            return self._undecided()
        if self.control:
            return "The texts of the two runs do not differ by more than chance."
        return "The tokens do not speak against their rows by more than chance."

    def _given(self) -> str:
        return ", whatever the rows" if self.control else ", if its tokens' laws are these rows exactly"

    def _undecided(self) -> str:
        assert self.control
        few = self.control.pairs < self.control.pairs_needed
        return (
            "The tokens depart from the rows. So may the control's: the two runs do not differ by enough"
            + (f"; fewer than {self.control.pairs_needed} pairs of texts never do" if few else "")
            + ". Nothing is said; more pairs may tell."
        )

    def _worth(self) -> Iterator[str]:
        found = [one for one in self.sensitivities if one.needed <= self.tokens]
        missed = [one for one in self.sensitivities if self.tokens < one.needed and isfinite(one.needed)]
        yield ""
        yield "Found would have been, in the mean (tokens needed; the fewest that any test needs):"
        for one in (found[-SHOWN:] if found else []):
            yield f"  {one.name}: {one.needed:,.0f}; {one.floor:,.0f}"
        if missed:
            yield "Not yet:"
            for one in missed[:SHOWN]:
                yield f"  {one.name}: {one.needed:,.0f}; {one.floor:,.0f}"
        yield "A pass is no proof: smaller departures were not seen."

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON's kinds of values."""
        return {
            "name": self.name, "verdict": self.verdict.value, "exit_status": self.exit_status, "level": self.level,
            "requests": self.requests, "tokens": self.tokens, "log_e": self.log_e, "found_after": self.found_after,
            "likely": self.likely, "parts": {family: dict(parts) for family, parts in self.parts.items()},
            "departure": list(self.departure), "control": self.control and vars(self.control),
            "greedy": self.greedy and vars(self.greedy), "notes": list(self.notes),
            "sensitivities": [
                {"name": one.name, "needed": _finite(one.needed), "floor": _finite(one.floor)}
                for one in self.sensitivities
            ],
        }  # fmt: skip


def _control_rows(control: Control) -> Iterator[tuple[str, str]]:
    yield "control", f"{chance(control.own_log_e)} if its {control.tokens:,} tokens are drawn from their rows"
    low, high = control.departure
    yield "", f"{low:.3f} to {high:.3f} of total variation: what the rows' own mismatch explains"
    yield "difference", f"{chance(control.log_e)} if both runs draw from one law, in {control.pairs:,} pairs"


def _greedy_rows(tally: GreedyTally) -> Iterator[tuple[str, str]]:
    yield "not the likeliest", f"{tally.ties + tally.clear:,} tokens"
    yield "near-ties", f"{tally.ties:,} of them lie within {tally.margin:g} nats of the likeliest"
    yield "others", f"{tally.clear:,}"
    if tally.worst:
        gap, request, place = tally.worst
        yield "largest gap", f"{gap:.3g} nats, request {request}, token {place}"


def chance(log_e: float) -> str:
    """How improbable so much evidence is, in words."""
    if log_e <= 0:
        return "nothing improbable"
    return f"at most {exp(-log_e):.1e}" if log_e < 690 else "below 1e-300"


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _field(name: str, words: str) -> list[str]:
    return wrap(words, TEXT_WIDTH + 2, initial_indent=f"  {name:<11}", subsequent_indent=" " * 13)
