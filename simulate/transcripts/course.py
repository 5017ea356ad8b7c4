"""An audit of texts on its way: what was counted, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, log

import numpy as np

from ..auditing.verdict import Verdict
from .betting.bets import Bets
from .betting.control import PairedEvidence, departure, pairs_at_least
from .betting.evidence import TokenEvidence
from .betting.greedy import GreedyTally
from .betting.power import Rates, Sensitivity
from .betting.texts import Text, text_of
from .rows_along import RowsAlong
from .transcript import Transcript
from .verdict import Control, TokenAudit

REPEATED = log(1e-9)
"""A text less likely than this that comes twice was not drawn twice."""


@dataclass
class TextCourse:
    """An audit of texts on its way.

    rows : where the rows come from, of audited texts and of the control's
    level, by_place, margin, seed : as those of :func:`~.audit.audit_transcripts`
    """

    rows: RowsAlong
    level: float
    by_place: bool
    margin: float
    seed: int
    requests: int = 0
    repeated: int = 0
    found_after: int | None = None
    greedy: GreedyTally | None = None

    def __post_init__(self) -> None:
        self.own = TokenEvidence(self.by_place, self.seed)
        self.others = TokenEvidence(self.by_place, self.seed + 1)
        self.difference = PairedEvidence(self.seed + 2)
        self.rates, self.controlled = Rates(), False
        self._seeds: dict[int, str] = {}
        self._texts: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()
        self._other_tally = GreedyTally(self.margin)

    def add(self, one: Transcript, other: Transcript | None) -> None:
        """Count a request in, and its control."""
        self._check_seed(one, "transcripts")
        if other is not None:
            self._check_seed(other, "control")
            self.controlled = True
        if self.requests and one.greedy != (self.greedy is not None):
            raise ValueError(f"request {self.requests}: greedy and sampled requests are audited apart")
        if one.greedy:
            self._add_greedy(one, other)
        else:
            self._add_sampled(one, other)
        self.requests += 1

    def _check_seed(self, one: Transcript, where: str) -> None:
        if one.seed is None or one.greedy:
            return
        if one.seed in self._seeds:
            raise ValueError(
                f"request {self.requests} of the {where} has the seed {one.seed}, as one of the "
                f"{self._seeds[one.seed]} before: equal seeds repeat coins, which are no further evidence"
            )
        self._seeds[one.seed] = where

    def _add_greedy(self, one: Transcript, other: Transcript | None) -> None:
        self.greedy = self.greedy or GreedyTally(self.margin)
        self.greedy.add(self.requests, one, self.rows(one))
        if other is not None:
            self._other_tally.add(self.requests, other, self.rows(other))

    def _add_sampled(self, one: Transcript, other: Transcript | None) -> None:
        bets = Bets(text_of(one, self.rows(one)), self.by_place)
        if self._came_before(one, bets.text):
            self.repeated += 1
            return
        self.own.add(bets)
        self.rates.add(bets)
        if other is not None:
            beside = Bets(text_of(other, self.rows(other)), self.by_place)
            self.others.add(beside)
            self.difference.add(bets, beside)
        if self.found_after is None and self.own.most >= -log(self.level):
            self.found_after = self.own.tokens

    def _came_before(self, one: Transcript, text: Text) -> bool:
        """Whether the same prompt had the same text before, which chance does not explain: it is no new evidence."""
        key = (one.prompt, one.tokens)
        again = key in self._texts and float(np.log(text.of_emitted(text.target)).sum()) < REPEATED
        self._texts.add(key)
        return again

    def result(self, name: str) -> TokenAudit:
        """What is to be said."""
        greedy = self.greedy
        found = [] if greedy or not self.own.tokens else self.rates.sensitivities(self.level)
        return TokenAudit(
            name, self.verdict, self.level, self.requests, greedy.tokens if greedy else self.own.tokens,
            max(self.own.most, 0.0), self.found_after, self._parts(), departure(self.own.ranked()),
            self._control() if self.controlled and not greedy else None, greedy,
            found, tuple(self._noted(found)),
        )  # fmt: skip

    def _parts(self) -> dict[str, dict[str, float]]:
        """The bets that the verdict rests on: those on the difference if there is a control."""
        return self.difference.parts() if self.controlled else self.own.parts()

    def _control(self) -> Control:
        return Control(
            self.difference.pairs, max(self.difference.most, 0.0), max(self.others.most, 0.0), self.others.tokens,
            departure(self.others.ranked()), pairs_at_least(self.level),
        )  # fmt: skip

    @property
    def verdict(self) -> Verdict:
        """What is to be said after the requests so far."""
        if self.greedy:
            return Verdict.LOSSY if self.greedy.clear > self._excused() else Verdict.NO_DEFECT_FOUND
        enough = -log(self.level)
        if not self.own.tokens:
            return Verdict.UNDECIDED if self.controlled else Verdict.NO_DEFECT_FOUND
        if not self.controlled:
            return Verdict.LOSSY if self.own.most >= enough else Verdict.NO_DEFECT_FOUND
        if self.difference.most >= enough:
            return Verdict.LOSSY
        unlike = self.own.most >= enough > self.others.most
        return Verdict.UNDECIDED if unlike else Verdict.NO_DEFECT_FOUND

    def _excused(self) -> float:
        """How many clear departures of a greedy text its control explains: as many as it has itself, in proportion."""
        share = self._other_tally.clear_share
        assert self.greedy
        return share * self.greedy.tokens + 3 * (share * self.greedy.tokens) ** 0.5

    def _noted(self, sensitivities: Sequence[Sensitivity]) -> Iterator[str]:
        if self.repeated:
            yield (
                f"{self.repeated} texts came a second time behind their prompts, which chance does not explain, and "
                "were not judged: the engine repeats its coins (a seed that is fixed or ignored), or does not sample."
            )
        if not self.requests:
            yield "There was no request to judge."
        if self.greedy or not self.own.tokens:
            return
        departs = self.own.most >= -log(self.level)
        if departs and self.controlled and self.others.most >= -log(self.level):
            yield "The control departs from the rows as well: they are not the laws that this engine draws from."
        if departs and not self.controlled:
            yield (
                "Rows of another engine, a quantised model or a coarser float depart from the tokens' laws by "
                "themselves: a control run without speculation tells the two apart."
            )
        if sensitivities and all(one.needed == inf for one in sensitivities):
            yield "Every row is all but certain: these texts cannot show a departure."
