"""Where acceptance comes from, row by row: a synthetic family, recorded rows, a trace of an engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from veridraft.gpu.engines.traces import Trace, is_trace, load_trace
from veridraft.theory.efficiency.efficiency import block_efficiency
from veridraft.theory.pairs.base import MissingRowError, Pair
from veridraft.theory.pairs.layered import widening_pair
from veridraft.theory.pairs.recorded import RecordedPair
from veridraft.theory.policies.base import DraftLaw, Policy
from veridraft.theory.policies.paths import Delayed
from veridraft.theory.rows.near_names import did_you_mean
from veridraft.theory.rows.trees import Context, DraftTree
from veridraft.theory.search.sources import LackError, TreeSource, drawn_in_turn

from ...running.families import FAMILIES, VOCABULARY_SIZE, Family
from ..report.synthetic import PAIRS

MOST_EXACT_TREES = 200_000
"""Above so many trees an exact expectation is refused."""

MARKOV = Family(
    "markov",
    "Markov chains with normal logits of deviation 3; of the draft's row 0.166 is an independent one's at first, and "
    "0.02 more at each depth: at temperature 1 a chain of 5 emits 3.88 tokens a pass, as 2505.12398 found for "
    "Llama-3.1-8B with Llama-3.2-1B",
    lambda size, seed: widening_pair(size, 8, seed, start=0.166, growth=0.02, spread=3.0),
)
"""The family that stands in where nobody says what is accepted; its rows are quickly read at some hundred tokens."""

KNOWN = {family.name: family for family in (MARKOV, *FAMILIES)}
"""Name to family."""


@dataclass(frozen=True)
class Sampling:
    """Temperature and top-p of both rows."""

    temperature: float = 1.0
    top_p: float = 1.0

    @property
    def is_plain(self) -> bool:
        """True if rows stay as they are."""
        return self.temperature == 1 and self.top_p == 1

    @property
    def text(self) -> str:
        """As a headline says it."""
        return f"T {self.temperature:g}" + (f", top-p {self.top_p:g}" if self.top_p != 1 else "")


class Source(ABC):
    """Where trees and rows come from."""

    name: str
    trees_at_most: int | None = None
    """How many trees there are of a policy; ``None`` for any number."""

    def label(self, sampling: Sampling) -> Sampling | None:
        """What answers are labelled by; ``None`` where rows are of a sampling that is not known."""
        return sampling

    def lacks(self, verifier: str) -> str:
        """Why the source cannot say what a verifier accepts; empty if it can."""
        return ""

    @property
    @abstractmethod
    def told(self) -> str:
        """What a headline says of it, the size of its vocabulary among it."""

    @abstractmethod
    def trees(self, policy: Policy, sampling: Sampling, count: int, seed: int, first: int = 0) -> list[DraftTree]:
        """Trees ``first`` to ``first + count`` of the policy, spread evenly over what the source holds."""

    def exact_tokens(self, verifier: str, policy: Policy, sampling: Sampling) -> list[float]:
        """E[tau + 1] at every context of the source, over all trees; ``ValueError`` if the source cannot say."""
        raise ValueError(f"--exact needs all rows, but {self.name} holds recorded ones: leave it out")


@dataclass(frozen=True)
class Sampled(TreeSource):
    """A source at one sampling, as a search asks it."""

    source: Source
    sampling: Sampling

    def trees(self, policy: Policy, count: int, seed: int, first: int = 0) -> list[DraftTree]:
        """The source's."""
        return self.source.trees(policy, self.sampling, count, seed, first)


@dataclass(frozen=True)
class FamilySource(Source):
    """A synthetic family: a few random pairs, whose mean counts."""

    name: str
    vocabulary_size: int = VOCABULARY_SIZE
    _made: dict[Sampling, list[Pair]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def told(self) -> str:
        """Its name and size."""
        return f"synthetic rows '{self.name}', |V| = {self.vocabulary_size}"

    def pairs(self, sampling: Sampling) -> list[Pair]:
        """The pairs with temperature and top-p applied."""
        if sampling not in self._made:
            made = (KNOWN[self.name].make(self.vocabulary_size, index) for index in range(PAIRS))
            changed = [pair.transformed(sampling.temperature, top_p=sampling.top_p) for pair in made]
            self._made[sampling] = changed
        return self._made[sampling]

    def trees(self, policy: Policy, sampling: Sampling, count: int, seed: int, first: int = 0) -> list[DraftTree]:
        """The pairs in turn."""
        return drawn_in_turn([(pair, ()) for pair in self.pairs(sampling)], policy, count, seed, first)

    def exact_tokens(self, verifier: str, policy: Policy, sampling: Sampling) -> list[float]:
        """One of each pair."""
        return [float(block_efficiency(verifier, policy, pair, "enumerate", most_trees=MOST_EXACT_TREES).value)
                for pair in self.pairs(sampling)]  # fmt: skip


@dataclass(frozen=True)
class RecordingSource(Source):
    """Recorded rows: trees are drawn at every context below which all that can be drawn was recorded.

    A context below which only some draws have rows is left out altogether: to keep those draws alone would favour
    contexts, and drafts, that are easy to foresee.
    """

    name: str
    pair: RecordedPair

    @property
    def told(self) -> str:
        """Its name, contexts and size."""
        return f"rows recorded in {self.name}, {len(self.pair.contexts)} contexts, |V| = {self.pair.vocabulary_size}"

    def trees(self, policy: Policy, sampling: Sampling, count: int, seed: int, first: int = 0) -> list[DraftTree]:
        """Trees at the contexts in turn; :class:`LackError` if no context has the rows of all trees."""
        places = [place for context in self.pair.contexts if (place := self._place(policy, sampling, context))]
        if not places:
            known = len(self.pair.contexts)
            raise LackError(f"{self.name} lacks rows that {policy.name} draws, below each of {known} contexts")
        return drawn_in_turn(places, policy, count, seed, first)

    def _place(self, policy: Policy, sampling: Sampling, context: Context) -> tuple[Pair, Context] | None:
        """The pair with rows at the leaves of trees at a context, and the context, if all trees' rows are known."""
        pair = self.pair.with_leaves(len(context) + policy.depth)
        pair = pair.transformed(sampling.temperature, top_p=sampling.top_p)
        try:
            if policy.draft_laws == {DraftLaw.DETERMINISTIC}:
                policy.sample(pair, np.random.default_rng(0), context)
            else:
                _read_all(pair, context, policy.depth)
        except MissingRowError:
            return None
        return pair, context


def _read_all(pair: Pair, context: Context, depth: int) -> None:
    """Read the rows of every context that draws can come to; ``MissingRowError`` for one that is not known."""
    pair.target_row(context)
    if depth <= 1:
        return
    for token in np.flatnonzero(pair.draft_row(context)).tolist():
        _read_all(pair, (*context, token), depth - 1)


@dataclass(frozen=True)
class TraceSource(Source):
    """A trace: the recorded trees themselves, cut to what a policy drafts, or drawn afresh from the rows of a root.

    Of K drafted paths the first ones, and of long ones their beginnings, are what fewer and shorter paths would have
    been; and a tree of one level needs no row but the root's.  Rows over two tokens stand for the drafted one and all
    others (:mod:`veridraft.gpu.engines.traces`): naive rejection of the drafted chain is all that they tell of.
    """

    name: str
    trace: Trace

    @property
    def trees_at_most(self) -> int:  # type: ignore[override]
        """Its steps."""
        return self.trace.steps

    def label(self, sampling: Sampling) -> None:
        """Its rows are those of the engine's own settings."""

    @property
    def in_short(self) -> bool:
        """True if rows hold the drafted token and all others."""
        return int(self.trace.arrays["vocabulary_size"]) == 2

    def lacks(self, verifier: str) -> str:
        """Short rows tell of naive rejection alone."""
        if not self.in_short or verifier == "naive":
            return ""
        return f"{verifier}: {self.name} holds of each row the drafted token and all others, which tells of naive alone"

    @property
    def told(self) -> str:
        """Its name, steps and size."""
        size = "rows in short" if self.in_short else f"|V| = {int(self.trace.arrays['vocabulary_size'])}"
        return f"trace {self.name}, {self.trace.steps} steps, {size}"

    def trees(self, policy: Policy, sampling: Sampling, count: int, seed: int, first: int = 0) -> list[DraftTree]:
        """Those of the steps in turn, each step once."""
        if not sampling.is_plain:
            raise ValueError(f"{self.name} was drafted at its own temperature: leave --temperatures and --top-p at 1")
        if isinstance(policy, Delayed):
            try:
                steps = self.trace.steps_that_hold(policy)
            except ValueError as error:
                if policy.depth != 1 or self.in_short:
                    raise LackError(str(error)) from None
            else:
                turns = np.random.default_rng(seed).permutation(steps)
                return [self.trace.cut(int(step), policy) for step in turns[first : first + count]]
        if policy.depth != 1 or self.in_short:
            raise LackError(f"{policy.name}: {self.name} holds rows along its own drafts only")
        return [policy.sample(self._roots[index], np.random.default_rng([seed, index]))
                for index in range(first, min(first + count, self.trace.steps))]  # fmt: skip

    @cached_property
    def _roots(self) -> list[Pair]:
        """For each step the two rows of its root, and any at leaves."""
        found: list[Pair] = []
        for step in range(self.trace.steps):
            tree = self.trace.tree(step)
            if not tree.draft[0].any():
                raise LackError(f"{self.name}: step {step} has no draft's row at its root")
            found.append(RecordedPair({(): tree.target[0]}, {(): tree.draft[0]}).with_leaves(1))
        return found


def source_of(text: str, vocabulary_size: int = VOCABULARY_SIZE, normalise: bool = False) -> Source:
    """The family of that name, or the trace or recording in that file; ``ValueError`` that lists the families.

    ``normalise`` divides the rows of a recording by their sums.
    """
    if text in KNOWN:
        return FamilySource(text, vocabulary_size)
    if not Path(text).is_file():
        meant = did_you_mean(text, list(KNOWN))
        raise ValueError(f"pair {text!r} is neither a file nor a family; families are {', '.join(KNOWN)}{meant}")
    if is_trace(text):
        return TraceSource(Path(text).name, load_trace(text))
    return RecordingSource(Path(text).name, RecordedPair.load(text, normalise=normalise))
