"""Rows asked for a level at a time: the trees are those of rows asked for one by one, in as many rounds as levels."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import pytest
from drawn_policies import key
from hypothesis import given
from hypothesis import strategies as st
from strategies import KINDS, ExactPair, exact_pairs

from veridraft.theory import Context, Pair, Policy, Row, TablePair, dirichlet_pair
from veridraft.theory.policies.best_first import CaDDTree, OptTree, TopK
from veridraft.theory.policies.dyspec import DySpec
from veridraft.theory.policies.most_probable import LevelSearch, by_product
from veridraft.theory.policies.top_plus_one import top_tokens

COSTS = {0: 10.0, 2: 10.5, 4: 11.5, 8: 20.0}
BY_LEVEL: list[Policy] = [
    TopK(1, 3, 2),
    TopK(3, 4, 9),
    OptTree(1, 0, 3),
    OptTree(9, 0, 4),
    OptTree(7, Fraction(1, 5), 4),
    CaDDTree(1, COSTS, 4),
    CaDDTree(50, COSTS, 4),
    DySpec(threshold=Fraction(1, 5), depth=4),
    DySpec(threshold=Fraction(1, 20), depth=3),
]


class Asked(Pair):
    """The rows of another pair, and the questions that were put for its draft's rows before the tree was built."""

    def __init__(self, pair: Pair) -> None:
        self.pair, self.vocabulary_size, self.exact = pair, pair.vocabulary_size, pair.exact
        self.questions: list[tuple[Context, ...]] = []

    def target_row(self, context: Context) -> Row:
        return self.pair.target_row(context)

    def draft_row(self, context: Context) -> Row:
        known = {asked for question in self.questions for asked in question}
        self.questions += [] if context in known else [(context,)]
        return self.pair.draft_row(context)

    def draft_rows(self, contexts: Sequence[Context]) -> Sequence[Row]:
        self.questions.append(tuple(contexts))
        return [self.pair.draft_row(context) for context in contexts]


def asked(policy: Policy, pair: Pair, context: Context = ()) -> list[tuple[Context, ...]]:
    """The questions for one tree."""
    watched = Asked(pair)
    policy.sample(watched, np.random.default_rng(0), context)
    return watched.questions


def pairs(size: int = 3) -> list[Pair]:
    """One exact pair of each kind, and one of many tokens in float64."""
    return [*(ExactPair(size, kind, 41) for kind in KINDS), dirichlet_pair(500, seed=42, concentration=0.01)]


def test_by_default_rows_are_asked_for_one_by_one() -> None:
    rows = {(): [0.25, 0.75], (0,): [1.0, 0.0], (1,): [0.5, 0.5]}
    pair = TablePair(rows, rows)
    assert [row.tolist() for row in pair.draft_rows([(1,), (), (1,)])] == [rows[1,], rows[()], rows[1,]]
    assert pair.draft_rows([]) == []
    with pytest.raises(KeyError, match=r"draft has no row for the context \(1, 1\)"):
        pair.draft_rows([(), (1, 1)])


# The law


@given(pair=exact_pairs(sizes=(2, 4)), depth=st.integers(0, 4), count=st.integers(1, 12))
def test_a_search_by_level_finds_the_nodes_of_one_row_by_row(pair: ExactPair, depth: int, count: int) -> None:
    """Values, nodes and their order, ties included."""
    found = LevelSearch(pair, (), count).find(lambda nodes: list(islice(nodes, count)), depth)
    assert found == list(islice(by_product(pair, (), depth), count))


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_search_that_goes_deeper_keeps_what_it_knows(depth: int) -> None:
    pair = dirichlet_pair(300, seed=43, concentration=0.02)
    search = LevelSearch(pair, (4,), 20)
    for layers in range(depth + 1):
        found = search.find(lambda nodes: list(islice(nodes, 20)), layers)
        assert found == list(islice(by_product(pair, (4,), layers), 20))


@pytest.mark.parametrize("threshold", [Fraction(3, 10), Fraction(2, 5)])
@pytest.mark.parametrize("kind", KINDS)
def test_dyspec_s_threshold_has_the_law_of_draws_in_the_slot_of_largest_value(kind: str, threshold: Fraction) -> None:
    class LargestFirst(DySpec):
        """The slots in another order."""

        def _waiting(self, slots: Any) -> list[Context]:
            return sorted(super()._waiting(slots), key=lambda below: -slots[below].value)

    pair = ExactPair(3, kind, 44)
    laws = [
        {key(tree): chance for chance, tree in policy(threshold=threshold, depth=2).enumerate(pair)}
        for policy in (DySpec, LargestFirst)
    ]
    assert laws[0] == laws[1]


@given(
    masses=st.lists(st.sampled_from([0.0, 0.125, 0.25, 0.25 + 2**-30, 1.0]), min_size=1, max_size=60),
    count=st.integers(0, 70),
)
def test_the_top_tokens_of_many_are_those_of_a_whole_sort(masses: list[float], count: int) -> None:
    ordered = sorted(range(len(masses)), key=lambda token: (-masses[token], token))
    assert top_tokens(np.array(masses), count) == ordered[:count]


# The rounds


@pytest.mark.parametrize("policy", BY_LEVEL, ids=str)
@pytest.mark.parametrize("number", range(len(pairs())))
def test_each_question_is_for_one_level_and_no_row_is_asked_for_twice(policy: Policy, number: int) -> None:
    questions = asked(policy, pairs()[number], (1, 0))
    assert [{len(context) - 2 for context in question} for question in questions] == [
        {level} for level in range(len(questions))
    ]
    contexts = [context for question in questions for context in question]
    assert len(set(contexts)) == len(contexts)
    assert {context[:-1] for context in contexts if len(context) > 2} <= set(contexts)
    assert len(questions) <= policy.depth


def test_eagle_2_asks_for_the_beam_of_each_layer() -> None:
    pair = dirichlet_pair(500, seed=45, concentration=0.05)
    assert list(map(len, asked(TopK(10, 5, 60), pair))) == [1, 10, 10, 10, 10]


def test_a_search_does_not_ask_below_the_last_node_that_it_takes() -> None:
    """Of the values 1/2, 1/4, 1/4 two are taken; a child of the second could not come before it."""
    row = np.array([Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)])
    watched = Asked(TablePair({(): row}, {(): row, (0,): row}))
    found = LevelSearch(watched, (), 2).find(lambda nodes: list(islice(nodes, 2)), 2)
    assert [below for _, below in found] == [(0,), (1,)]
    assert watched.questions == [((),), ((0,),)]


def test_dyspec_s_budget_asks_for_the_rows_that_it_draws_from_alone() -> None:
    pair = Asked(dirichlet_pair(50, seed=46, concentration=0.1))
    tree = DySpec(20).sample(pair, np.random.default_rng(1))
    inner = {tree.context(node) for node, listed in enumerate(tree.child_lists) if listed}
    assert sorted(pair.questions) == sorted((context,) for context in inner)
