"""Where in its string a law departs: the first token at which the evidence of the string's beginning suffices."""

from __future__ import annotations

from math import log

import numpy as np

from ...forms.drawing import Drawing
from ...forms.form import Form
from ..evidence import Evidence, log_e

PLACE_LEVEL = 1e-4
"""The probability with which a place is named before which the law does not depart, at most."""


def departure(evidence: Evidence) -> int | None:
    """The first place, from 0, by which the law of the string's beginning is shown to depart; ``None``: none is.

    The beginning of d tokens has an e-process of its own, the average of its view's, and a share of ``PLACE_LEVEL``:
    whenever one stops, a place before the first true one is named with that probability at most.
    """
    needed = log(evidence.length / PLACE_LEVEL)
    for view, counts in reversed(evidence.counted()):
        parts = log_e(view, counts) if view.is_prefix else np.zeros(0)
        if parts.size and np.logaddexp.reduce(parts) - log(len(parts)) >= needed:
            return view.axes[-1]
    return None


def place_text(
    first: int | None, evidence: Evidence, drawing: Drawing, request: int, undrafted: bool = False
) -> str:
    """The place of a departure in words; empty if it is not shown.

    undrafted : whether tokens were emitted as accepted that nobody drafted
    """
    if first is None:
        return ""
    said = f"the law departs at token {first + 1} of {drawing.length}"
    if first and first == drawing.drafted_length(request) and drawing.form is not Form.GENERATE and not undrafted:
        said += ", which stands behind a draft accepted whole"
    if first:
        said += f"; a departure before it would be too small for {evidence.trials:,} trials"
    return said
