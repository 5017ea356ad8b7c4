"""A sample of a verifier on one case, drawn after the verdict to explain it."""

from __future__ import annotations

import numpy as np

from ...batches.rows import Floats, Ints
from ...forms.calls import Caller
from ...forms.drawing import Drawing, string_law
from ...forms.trials import string_counts
from ..budget import Budget
from ..evidence import Evidence
from .places import PLACE_LEVEL


class Sample:
    """Counts of strings (R, V ** (L + 1)), growing as they are asked for and as far as the budget goes.

    ``whole`` : in the form ``generate``, whether every answer fills the judged string, as those of several rounds do
    """

    def __init__(self, caller: Caller, drawing: Drawing, budget: Budget, rng: np.random.Generator) -> None:
        self.caller, self.drawing, self.budget, self.rng = caller, drawing, budget, rng
        self.whole = False
        self.counts: Ints = np.zeros((drawing.requests, drawing.vocabulary_size**drawing.length), dtype=np.int64)

    @property
    def trials(self) -> int:
        """Of all requests."""
        return int(self.counts.sum())

    @property
    def together(self) -> Ints:
        """(V ** (L + 1),) the counts of all requests."""
        return self.counts.sum(axis=0)

    def grow(self, trials: int) -> bool:
        """Whether there are so many trials now."""
        missing = self.drawing.whole_rounds(max(0, trials - self.trials))
        while missing > 0 and self.budget.left >= self.drawing.requests and not self.budget.late():
            most = min(missing, self.budget.left // self.drawing.requests * self.drawing.requests)
            size = next(self.caller.pace.chunks(most, self.drawing.requests, self.drawing.chunk))
            self.counts += string_counts(self.caller, self.drawing, size, self.rng)
            missing -= size
        return missing <= 0

    def evidence(self, request: int, before: Evidence | None = None) -> Evidence:
        """The evidence of a request's strings, those counted before among them."""
        law = string_law(self.drawing.tables[request]).reshape(self.drawing.shape)
        one = Evidence(law, PLACE_LEVEL)
        one.counts += self.counts[request] + (0 if before is None else before.counts)
        return one


def mean_law(drawing: Drawing) -> Floats:
    """(V ** (L + 1),) the target's law of strings, averaged over the requests."""
    return np.mean([string_law(tables) for tables in drawing.tables], axis=0)
