"""Pairs of rows for tests of one-step solvers and bounds, the laws of lists, and a verifier made by hand."""

from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from veridraft.theory import DraftLaw, Row, TopPlusOne, Verifier
from veridraft.theory.rows.lists import ListLaw, iid_lists, without_replacement_lists
from veridraft.theory.solvers import Solver
from veridraft.theory.verifiers import Lift, TreeRule

LAWS: dict[str, ListLaw] = {
    "iid": iid_lists,
    "without_replacement": without_replacement_lists,
    "top_plus_one": lambda draft, k: TopPlusOne(k, 1).list_law(1, draft),
}
"""The laws of a child list, by the name under which ``optimal_acceptance`` knows them."""


@st.composite
def row_pairs(draw: Any, most: int = 5) -> tuple[Row, Row]:
    """Pairs of Fraction rows with zeros, ties, point masses, equal rows and disjoint supports among them."""
    size = draw(st.integers(1, most))
    counts = st.lists(st.integers(0, 6), min_size=size, max_size=size).filter(any)
    target, draft = draw(counts), draw(counts)
    if draw(st.integers(0, 7)) == 0:
        draft = target
    target, draft = (np.array([Fraction(n, sum(row)) for n in row], dtype=object) for row in (target, draft))
    return target, draft


def verifier(solver: Solver, lift: Lift) -> Verifier:
    """A table entry for i.i.d. lists."""
    return Verifier("under test", "", "", TreeRule(solver, lift), frozenset({DraftLaw.IID}))
