"""Ways to choose, against choices listed one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from veridraft.gpu.selecting.choices import (
    apply_static,
    best_by_other_trees,
    best_each,
    boosted,
    entropy_rule,
    portfolio,
    rate_of,
    static,
)
from veridraft.gpu.selecting.data.examples import Examples, Labels
from veridraft.gpu.selecting.schema import BLOCKS, ROOT_ENTROPY

ROOTS, ACTIONS = 6, 4


def drawn(seed: int, roots: int = ROOTS, trees: int = 2) -> Labels:
    rng = np.random.default_rng(seed)
    values = 1 + rng.random((roots, trees, ACTIONS)) * np.arange(ACTIONS)
    seconds = 1 + 0.4 * np.arange(ACTIONS) + 0.1 * rng.random((roots, 1))
    return Labels(values, seconds, np.full(roots, 0.1), np.arange(roots) % 2)


@pytest.mark.parametrize("seed", range(4))
def test_the_best_of_each_root_has_the_highest_ratio_of_means_of_all_choices(seed):
    labels = drawn(seed)
    every = [rate_of(labels.tokens, labels.seconds, np.array(one)) for one in product(range(ACTIONS), repeat=ROOTS)]
    assert rate_of(labels.tokens, labels.seconds, best_each(labels.tokens, labels.seconds)) == max(every)


def test_one_action_for_each_sampling_is_the_best_of_those_allowed():
    labels = drawn(0)
    labels.by_tree[:, :, 3] = np.nan
    mask = np.array([True, True, False, True])
    found = static(labels, mask)
    for sampling in (0, 1):
        here = labels.samplings == sampling
        rates = labels.tokens[here].sum(axis=0) / labels.seconds[here].sum(axis=0)
        assert found[sampling] == int(rates[:2].argmax())
    assert apply_static({0: 5, 1: 7}, labels.samplings).tolist() == [5, 7] * 3
    assert not (best_each(labels.tokens, labels.seconds) == 3).any() and not labels.allowed[3]


def test_other_trees_choose_without_the_tree_that_counts():
    labels = drawn(3)
    found = best_by_other_trees(labels)
    np.testing.assert_array_equal(found[:, 0], best_each(labels.by_tree[:, 1], labels.seconds))
    np.testing.assert_array_equal(found[:, 1], best_each(labels.by_tree[:, 0], labels.seconds))
    one = np.take_along_axis(labels.by_tree.transpose(0, 2, 1), found[:, None], axis=1)[:, 0].mean(axis=1)
    best = rate_of(labels.tokens, labels.seconds, best_each(labels.tokens, labels.seconds))
    assert one.sum() / np.take_along_axis(labels.seconds, found, axis=1).mean(axis=1).sum() < best


def told(labels: Labels, seed: int) -> tuple[Examples, Labels]:
    """Roots whose best action follows from the draft's entropy at the root."""
    rng = np.random.default_rng(seed)
    count = len(labels.samplings)
    scalars = rng.random((count, 11))
    sure = scalars[:, ROOT_ENTROPY] < 0.5
    values = np.where(sure[:, None, None], [1.0, 2, 3, 5], [1.0, 1.1, 1.1, 1.1]) + 0 * labels.by_tree
    own = Labels(values, labels.seconds, labels.draft_pass, labels.samplings)
    states = {name: np.zeros((count, 2)) for name in BLOCKS}
    rest = own.seconds, own.draft_pass, np.arange(count), own.samplings
    return Examples(states, scalars, values[:, :, None], *rest), own


@pytest.mark.parametrize("rule", [entropy_rule, boosted])
def test_rules_find_what_follows_from_a_number(rule):
    if rule is boosted:
        pytest.importorskip("sklearn", reason="boosted trees need scikit-learn")
    (learn, learnt), (asked, truth) = told(drawn(1, 200), 2), told(drawn(2, 60), 3)
    chosen = rule(learn, learnt, asked)
    best = best_each(truth.tokens, truth.seconds)
    one = apply_static(static(learnt, np.ones(ACTIONS, dtype=bool)), truth.samplings)
    rates = [rate_of(truth.tokens, truth.seconds, choice) for choice in (one, chosen, best)]
    assert rates[0] < rates[1] and (rates[1] - rates[0]) / (rates[2] - rates[0]) > 0.8


def test_a_portfolio_begins_with_the_best_for_all_and_grows_while_it_helps():
    _, labels = told(drawn(1, 100), 2)
    found = portfolio(labels)
    pooled = labels.tokens.sum(axis=0) / labels.seconds.sum(axis=0)
    assert found[0] == int(pooled.argmax()) and sorted(found) == [0, 3]
