"""Acceptance of models at hand: trees that they draft, told apart from any other source by nothing."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="models need torch")

from gpu_tiny import tiny_pair

from veridraft.gpu import record_run
from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.models.prompts import prompts_of
from veridraft.reports.commands.what_if.models import TEXT_TOKENS, ModelSource
from veridraft.reports.commands.what_if.questions import Question
from veridraft.reports.commands.what_if.sources import Sampled, Sampling
from veridraft.theory import Chain, Iid, LatencyModel, get_verifier
from veridraft.theory.search.book import Book
from veridraft.theory.speed import ByLength

MODEL = LatencyModel(ByLength(lambda length: 1.0), ByLength(lambda length: 0.1), name="any")


def test_trees_are_those_of_recorded_texts_and_a_longer_list_begins_as_a_shorter_one():
    pair = tiny_pair()
    source = ModelSource(pair)
    _, recorded = record_run(pair, prompts_of(pair)[0], "nss", Iid(2, 2), max_new_tokens=TEXT_TOKENS, seed=0)
    trees = source.trees(Iid(2, 2), Sampling(), 20, 0)
    assert len(trees) == 20
    for (_, expected), tree in zip(recorded, trees, strict=False):
        assert (expected.tokens == tree.tokens).all()
        assert np.abs(expected.target - tree.target).max() < 1e-12
    later = source.trees(Iid(2, 2), Sampling(), 5, 0, first=15)
    assert all((one.tokens == other.tokens).all() for one, other in zip(later, trees[15:], strict=True))
    assert source.told == "tiny with skip:(1,), |V| = 64"


def test_more_trees_are_drafted_where_the_first_ones_ended(monkeypatch):
    """The stages of a search ask again and again: no step is decoded twice, and none that nobody asked for."""
    source, plain, steps = ModelSource(tiny_pair()), BatchDecoder.step, []

    def counted(*words):
        steps.append(1)
        return plain(*words)

    monkeypatch.setattr(BatchDecoder, "step", counted)
    book, asked = Book(Sampled(source, Sampling()), 0).of([Iid(2, 2)]), []
    for count in (3, 6, 30):  # of 24 tokens each: a second text, too
        asked.append(book.reach("specinfer", Iid(2, 2), count))
        assert len(asked[-1]) == len(steps) == count
    whole = ModelSource(source.pair).trees(Iid(2, 2), Sampling(), 30, 0)
    efficiencies = [float(get_verifier("specinfer").law(tree).block_efficiency) for tree in whole]
    assert asked[-1].sum(axis=1) == pytest.approx(efficiencies)


def test_a_question_about_models_is_answered_from_their_trees():
    source = ModelSource(tiny_pair())
    asked = Question((MODEL,), source, (Sampling(0.8),), ("naive", "block"), (Chain(2),), (10,), trees=12)
    answers, left_out = asked.answers()
    assert not left_out
    trees = source.trees(Chain(2), Sampling(0.8), 12, 0)
    for answer in answers:
        mean = np.mean([float(get_verifier(answer.verifier).law(tree).block_efficiency) for tree in trees])
        assert answer.result.block_efficiency == pytest.approx(mean)
        assert answer.tokens_per_second == pytest.approx(mean / 1.2)
