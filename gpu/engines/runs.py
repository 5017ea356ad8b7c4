"""What an inference engine reports of its speculative steps, whatever the format: accepted lengths, counted.

A *step* is one verification by the target.  Its accepted length tau is the number of drafted tokens that were kept,
0 to L, the extra token of the target left out.  All engines read here stop at the first rejection, so that a step
that accepted position d (counted from 1) has ``tau >= d``: counts by position and a histogram of tau say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray


class Format(Enum):
    """The forms in which a run is read."""

    VLLM = "vllm"
    SGLANG = "sglang"
    TENSORRT = "trtllm"
    BENCH = "bench"
    LOG = "log"
    PROMETHEUS = "prometheus"
    LENGTHS = "lengths"
    TRACE = "trace"


@dataclass(frozen=True)
class RequestSteps:
    """The steps of one request, or of many where an engine reports sums only.

    name : where it stood in the file, for messages
    histogram : (L + 1,) steps by accepted length
    draft_tokens : how many tokens were drafted in all, ``None`` if the file does not say
    accepted : the accepted length of every step in order, ``None`` if the file holds sums only
    drafted : the drafted tokens of every step in order, ``None`` if the file does not say
    """

    name: str
    histogram: tuple[int, ...]
    draft_tokens: int | None = None
    accepted: tuple[int, ...] | None = None
    drafted: tuple[int, ...] | None = None

    @classmethod
    def of_steps(
        cls, name: str, accepted: Sequence[int], spec_tokens: int, drafted: Sequence[int] | None = None
    ) -> RequestSteps:
        """The request with these accepted lengths in order; ``ValueError`` for one outside [0, drafted] or [0, L]."""
        taus = tuple(whole_number(f"{name}: accepted length of step {step}", tau) for step, tau in enumerate(accepted))
        widths = (spec_tokens,) * len(taus) if drafted is None else tuple(drafted)
        if len(widths) != len(taus):
            raise ValueError(f"{name}: {len(taus)} accepted lengths, but {len(widths)} drafted lengths")
        for step, (tau, width) in enumerate(zip(taus, widths, strict=True)):
            if not tau <= whole_number(f"{name}: drafted length of step {step}", width) <= spec_tokens:
                raise ValueError(f"{name}: step {step} accepted {tau} of {width} drafted tokens, at most {spec_tokens}")
        histogram = tuple(np.bincount(np.array(taus, dtype=int), minlength=spec_tokens + 1).tolist())
        known = None if drafted is None else widths
        return cls(name, histogram, None if known is None else sum(known), taus, known)

    @property
    def steps(self) -> int:
        """The number of steps."""
        return sum(self.histogram)

    @property
    def accepted_tokens(self) -> int:
        """The sum of the accepted lengths."""
        return sum(length * count for length, count in enumerate(self.histogram))

    @property
    def reached(self) -> NDArray[np.int64]:
        """(L,) how many steps accepted position 1, 2, ..., L."""
        return np.array(self.histogram[::-1]).cumsum()[::-1][1:]

    @property
    def missing(self) -> int:
        """How many tokens were drafted less than L in every step; 0 if the file does not say."""
        full = (len(self.histogram) - 1) * self.steps
        return 0 if self.draft_tokens is None else full - self.draft_tokens


@dataclass(frozen=True)
class EngineRun:
    """A run as an engine reported it.

    format : the form it was read from
    spec_tokens : L, the most tokens that a step drafts (along one path)
    requests : at least one, each with L + 1 counts
    pooled : True if a "request" is a sum over many, as counters are
    notes : what the reader has to say about the file
    """

    format: Format
    spec_tokens: int
    requests: tuple[RequestSteps, ...]
    pooled: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def of_lengths(
        cls,
        requests: Sequence[Sequence[int]],
        spec_tokens: int,
        drafted: Sequence[Sequence[int]] | None = None,
    ) -> EngineRun:
        """The run whose requests accepted these lengths, step by step; L tokens drafted unless ``drafted`` says."""
        widths = [[spec_tokens] * len(taus) for taus in requests] if drafted is None else drafted
        pairs = zip(requests, widths, strict=True)
        steps = [RequestSteps.of_steps(f"request {row}", *pair[:1], spec_tokens, pair[1]) for row, pair in
                 enumerate(pairs)]  # fmt: skip
        return cls(Format.LENGTHS, spec_tokens, tuple(steps))

    @property
    def steps(self) -> int:
        """The number of steps of all requests."""
        return sum(request.steps for request in self.requests)

    @property
    def histogram(self) -> NDArray[np.int64]:
        """(L + 1,) steps by accepted length."""
        return np.array([request.histogram for request in self.requests], dtype=np.int64).sum(axis=0)

    @property
    def missing(self) -> int:
        """How many tokens were drafted less than L in every step."""
        return sum(request.missing for request in self.requests)

    @property
    def ordered(self) -> bool:
        """True if every step is known by itself, in order."""
        return all(request.accepted is not None for request in self.requests)

    @property
    def widths_known(self) -> bool:
        """True if the drafted length of every step is known, or every step drafted L tokens."""
        return self.missing == 0 or all(request.drafted is not None for request in self.requests)

    def fitted(self, depth: int) -> EngineRun:
        """The same run with counts of 0 to ``depth`` accepted tokens, as a prediction has them.

        A run of plain lengths does not say how many tokens were drafted: it gets zeros for those never accepted.
        Counts are cut off only if they are zero (a tree drafts more tokens than a path can accept).  Raises
        ``ValueError`` otherwise.
        """
        reached = int(np.flatnonzero(self.histogram)[-1])
        if reached > depth:
            raise ValueError(f"the run accepted up to {reached} tokens, but the prediction has {depth} positions")
        if self.spec_tokens < depth and any(one.draft_tokens is not None for one in self.requests):
            raise ValueError(f"the run drafted {self.spec_tokens} tokens, but the prediction has {depth} positions")
        if self.spec_tokens == depth:
            return self
        requests = tuple(
            RequestSteps(one.name, (*one.histogram, *(0,) * depth)[: depth + 1], None, one.accepted)
            for one in self.requests
        )
        return EngineRun(self.format, depth, requests, self.pooled, self.notes)

    def fully_drafted(self) -> EngineRun | None:
        """The steps that drafted L tokens; ``None`` if the file does not say which did."""
        if self.missing == 0:
            return self
        if not self.widths_known:
            return None
        requests = []
        for one in self.requests:
            pairs = zip(one.accepted or (), one.drafted or (), strict=True)
            kept = [tau for tau, width in pairs if width == self.spec_tokens]
            requests.append(RequestSteps.of_steps(one.name, kept, self.spec_tokens))
        return EngineRun(self.format, self.spec_tokens, tuple(requests), self.pooled, self.notes)


def whole_number(name: str, value: object, least: int = 0) -> int:
    """The value as an int; ``ValueError`` naming it unless it is an integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name} must be an integer, but is {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, but is {value}")
    return int(value)


def require_steps(run: EngineRun, where: str) -> EngineRun:
    """The run; ``ValueError`` if it has no step at all."""
    if run.steps == 0:
        raise ValueError(f"{where} holds no speculative step: nothing was drafted")
    return run
