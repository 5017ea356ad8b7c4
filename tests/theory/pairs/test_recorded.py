"""Recordings of rows: written, read back, used, and refused when they contradict themselves."""

import numpy as np
import pytest

from veridraft.theory import (
    VERIFIERS,
    Chain,
    Delayed,
    Iid,
    MarkovPair,
    block_efficiency,
    dirichlet_pair,
    get_verifier,
    parse_policy,
)
from veridraft.theory.pairs import MissingRowError
from veridraft.theory.pairs.recorded import RecordedPair, contexts_below
from veridraft.theory.policies import HubPairs, TopPlusOne


@pytest.fixture
def recording():
    pair = dirichlet_pair(4, seed=3).transformed(top_k=2)
    support = range(4)
    return pair, RecordedPair.record(pair, contexts_below((), support, 2))


def test_a_recording_answers_as_the_pair_it_was_made_of(recording, tmp_path):
    pair, recorded = recording
    recorded.save(tmp_path / "trace.npz")
    loaded = RecordedPair.load(tmp_path / "trace.npz")
    assert loaded.contexts == recorded.contexts
    for context in loaded.contexts:
        assert (loaded.target_row(context) == pair.target_row(context)).all()
        assert (loaded.draft_row(context) == pair.draft_row(context)).all()
    exact = block_efficiency("traversal", Iid(2, 2), pair).value
    assert block_efficiency("traversal", Iid(2, 2), loaded).value == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_how_many_tokens_are_accepted_depends_on_no_row_of_a_leaf(verifier):
    pair = dirichlet_pair(3, seed=8)
    policy = next(one for one in (Iid(2, 2), TopPlusOne(2, 2), HubPairs(2), Chain(2), parse_policy("Static(2x2)"))
                  if get_verifier(verifier).supports(one))  # fmt: skip
    inner = RecordedPair.record(pair, contexts_below((), range(3), 1))
    with pytest.raises(MissingRowError):
        block_efficiency(verifier, policy, inner, "enumerate")
    found = block_efficiency(verifier, policy, inner.with_leaves(2), "enumerate")
    assert found.value == pytest.approx(block_efficiency(verifier, policy, pair, "enumerate").value, abs=1e-12)
    with pytest.raises(MissingRowError):
        inner.with_leaves(2).target_row((0, 1, 2))


def test_a_context_that_was_not_recorded_is_named(recording):
    with pytest.raises(KeyError, match=r"target has no row for the context \(0, 1, 2\)"):
        recording[1].target_row((0, 1, 2))


def test_the_rows_of_trees_are_recorded_under_their_roots():
    pair = dirichlet_pair(4, seed=5)
    tree = Iid(3, 2).sample(pair, np.random.default_rng(0), (1, 2))
    recorded = RecordedPair.from_trees([((1, 2), tree)])
    for node in range(tree.size):
        context = (1, 2, *tree.context(node))
        assert (recorded.target_row(context) == pair.target_row(context)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"draft_values": None}, "lacks the array 'draft_values'"),
        ({"root": np.array([0, 3])}, "'root' must rise"),
        ({"target_tokens": lambda tokens: tokens + 9}, "target_tokens row 0 has a token outside"),
        ({"target_values": lambda values: values * 2}, "sums to 2"),
    ],
)
def test_a_broken_recording_is_refused_by_name(recording, tmp_path, change, message):
    recording[1].save(tmp_path / "trace.npz")
    arrays = dict(np.load(tmp_path / "trace.npz"))
    for name, value in change.items():
        if value is None:
            del arrays[name]
        else:
            arrays[name] = value(arrays[name]) if callable(value) else value
    np.savez(tmp_path / "broken.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        RecordedPair.load(tmp_path / "broken.npz")


def test_a_markov_pair_stays_one_when_its_rows_are_changed():
    rng = np.random.default_rng(2)
    pair = MarkovPair(rng.dirichlet(np.ones(4), size=4), rng.dirichlet(np.ones(4), size=4)).transformed(0.7, top_k=3)
    exact = block_efficiency("specinfer", Delayed(2, 1, 2), pair).value
    assert block_efficiency("specinfer", Delayed(2, 1, 2), pair, method="dp").value == pytest.approx(exact, abs=1e-12)
    assert isinstance(pair.rationalised(10), MarkovPair)
