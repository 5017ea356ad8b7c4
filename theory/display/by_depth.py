"""What the law of an accepted length shows: a table and bars by depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .charts import paint_reach, plotted
from .sheet import Shown


class ByDepth(Shown):
    """A result with ``by_depth`` (L + 1,), the probability that tau, the number of accepted tokens, is 0, 1, ..., L."""

    if TYPE_CHECKING:

        @property
        def by_depth(self) -> Any:
            """A field of its class, or a property."""

    @property
    def reach(self) -> Any:
        """(L + 1,) the probability that tau is at least 0, 1, ..., L."""
        return np.asarray(self.by_depth)[::-1].cumsum()[::-1]

    def plot(self, axes: Any = None) -> Any:
        """Bars of the probability that at least d drafted tokens are accepted, on matplotlib's axes or new ones.

        Returns the axes; ``ImportError`` without matplotlib.
        """
        reach = [float(share) for share in self.reach[1:]]

        def paint(place: Any) -> None:
            paint_reach(place, reach)
            place.set(xlabel="d, drafted tokens", ylabel="Pr(τ ≥ d)")

        return plotted(axes, 1.4 + 0.6 * len(reach), 2.4, paint)

    def _columns(self) -> dict[str, Sequence[Any]]:
        """The table of a sheet."""
        stopped = np.asarray(self.by_depth)
        return {"d": range(len(stopped)), "Pr(τ = d)": stopped.tolist(), "Pr(τ ≥ d)": self.reach.tolist()}
