"""A policy chosen at each root: lossless since it is chosen before drafting, and lossy where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from veridraft.theory import certify
from veridraft.theory.policies.base import DraftLaw, Policy
from veridraft.theory.policies.paths import Chain, Delayed

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import PROMPTS, tiny_head, tiny_model, tiny_pair

from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.drafting.known import rows_of
from veridraft.gpu.decoding.drafting.selected import Selected
from veridraft.gpu.decoding.recording import PromptPair
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.decoding.step_watch import WatchedDecoder, Watcher
from veridraft.gpu.models.pairs import ModelPair
from veridraft.gpu.trees.sampling import Sampling

ACTIONS = (Chain(0), Chain(2), Delayed(2, 1, 1), Delayed(2, 0, 1))
SAMPLING = Sampling(0.8, top_p=0.9, draft_temperature=1.1)


@dataclass
class ByState:
    """Chooses by the signs of two states, and keeps what it was told."""

    actions: tuple[Delayed, ...] = ACTIONS
    name: str = "signs"

    def __post_init__(self) -> None:
        self.told: list[Any] = []

    def require(self, pair):
        if pair.vocabulary_size == 3:
            raise ValueError("not for this pair")

    def choose(self, pair, known):
        self.told += known
        return [self.actions[2 * int(one.target_before[0] > 0) + int(one.draft_root[1] > 0)] for one in known]


def head_pair() -> ModelPair:
    target = tiny_model(vocabulary_size=64)
    return ModelPair(target, tiny_head(target), None, "tiny", "head")


@pytest.fixture(scope="module", params=["layers", "head"])
def pair(request):
    return tiny_pair() if request.param == "layers" else head_pair()


class Trees(Watcher):
    """Keeps the tree and the block of every request and step, by request."""

    def __init__(self) -> None:
        self.steps: list[Any] = []

    def after(self, batch, blocks, spent):
        self.steps += [(block.request, block.tokens, batch.tree(row)) for row, block in enumerate(blocks)]


def test_what_is_told_is_what_plain_passes_say_and_trees_are_the_chosen_ones(pair):
    chooser, trees = ByState(), Trees()
    decoder = WatchedDecoder(pair, "specinfer", Selected(chooser), trees, SAMPLING, rows=2)
    texts = decoder.decode([Request(prompt, 12, seed) for seed, prompt in enumerate(PROMPTS)])
    assert [len(text.tokens) for text in texts] == [12] * 3
    written = {number: list(prompt) for number, prompt in enumerate(PROMPTS)}
    for (number, tokens, tree), told in zip(trees.steps, chooser.told, strict=True):
        text = written[number]
        plain = PromptPair(pair, text, SAMPLING).known(())
        assert told.length == plain.length == len(text) and told.sampling == SAMPLING
        for name in ("target_before", "draft_before", "draft_root"):
            torch.testing.assert_close(getattr(told, name), getattr(plain, name), atol=1e-5, rtol=1e-5)
        action = ByState().choose(pair, [told])[0]
        assert max(tree.depths) == action.depth and tree.size <= action.most_nodes
        text += tokens
    assert {len(tree.parents) for *_, tree in trees.steps} >= {1, 3}


def test_rows_are_those_of_plain_passes(pair):
    prompt = PromptPair(pair, PROMPTS[0], SAMPLING)
    before = PromptPair(pair, PROMPTS[0][:-1], SAMPLING)
    target, draft, root = rows_of(pair, [prompt.known(()), prompt.known((3,))])
    np.testing.assert_allclose(target[0], before.target_row(()), atol=1e-5)
    np.testing.assert_allclose(draft[0], before.draft_row(()), atol=1e-5)
    np.testing.assert_allclose(root[0], prompt.draft_row(()), atol=1e-5)
    assert target.shape == (2, 64) and not np.allclose(root[0], root[1])


def test_one_request_alone_and_in_a_batch_writes_the_same(pair):
    requests = [Request(prompt, 8, seed) for seed, prompt in enumerate(PROMPTS)]
    policy = Selected(ByState())
    together = BatchDecoder(pair, "traversal", policy, SAMPLING, rows=3).decode(requests)
    alone = [BatchDecoder(pair, "traversal", policy, SAMPLING, rows=1).decode([one])[0] for one in requests]
    assert [text.tokens for text in together] == [text.tokens for text in alone]


@pytest.mark.parametrize("verifier", ["specinfer", "traversal"])
def test_certified_at_every_root_of_a_small_pair(verifier):
    """Given a root the chosen action draws the tree: each is certified where it is chosen, and all are somewhere."""
    small = tiny_pair(vocabulary_size=4)
    rows, policy, chosen = PromptPair(small, [1, 2]), Selected(ByState()), set()
    for context in [(), *((token,) for token in range(4)), *((0, token) for token in range(4))]:
        action = policy.at(small, rows.known(context))
        chosen.add(action.name)
        assert certify(verifier, action, rows.rationalised(), context=context).total_variation == 0
    assert len(chosen) >= 2


@dataclass(frozen=True, repr=False)
class Peeking(Policy):
    """Drafts a token, and goes back to plain decoding unless it is even: a choice made after drafting."""

    name = "Peeking()"
    depth = 1
    draft_laws = frozenset({DraftLaw.SINGLE, DraftLaw.IID})

    def sample(self, pair, rng, context=()):
        raise NotImplementedError

    def enumerate(self, pair, context=()) -> Iterator[Any]:
        for probability, tree in Chain(1).enumerate(pair, context):
            even = tree.tokens[1] % 2 == 0
            yield probability, tree if even else next(iter(Chain(0).enumerate(pair, context)))[1]

    def tree_count(self, vocabulary_size):
        return vocabulary_size


def test_a_choice_made_after_drafting_is_lossy():
    rows = PromptPair(tiny_pair(vocabulary_size=4), [1, 2])
    assert certify("specinfer", Peeking(), rows.rationalised()).total_variation > 1e-3


def test_a_verifier_must_be_lossless_for_every_action_and_the_chooser_may_refuse_a_pair():
    pair = tiny_pair()
    with pytest.raises(ValueError, match=r"'block' is not known to be lossless for the policy Selected\(signs\)"):
        BatchDecoder(pair, "block", Selected(ByState()))
    chains = Selected(ByState((Chain(0), Chain(1), Chain(2), Chain(3))))
    assert BatchDecoder(pair, "block", chains, SAMPLING).decode([Request([1, 2], 5)])[0].block_efficiency >= 1
    small = BatchDecoder(tiny_pair(vocabulary_size=3), "specinfer", Selected(ByState()))
    with pytest.raises(ValueError, match="not for this pair"):
        small.decode([Request([1, 2], 5)])


def test_a_pair_of_rows_is_refused():
    policy = Selected(ByState())
    assert (policy.depth, policy.most_nodes, policy.tree_count(2)) == (2, 4, 8)
    rows = PromptPair(tiny_pair(), [1])
    with pytest.raises(ValueError, match="Selected chooses from states"):
        policy.sample(rows, np.random.default_rng(0))
    with pytest.raises(ValueError, match="Selected chooses from states"):
        policy.enumerate(rows)
