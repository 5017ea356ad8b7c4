"""Steps that are watched: the rows that the verifier is given, times that add up, trees that no step uses."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from veridraft.theory.policies.arguments import parse_policy
from veridraft.theory.policies.best_first import CaDDTree, OptTree, TopK
from veridraft.theory.policies.dyspec import DySpec
from veridraft.theory.policies.paths import Chain, Iid
from veridraft.theory.policies.top_plus_one import HubPairs, TopPlusOne
from veridraft.theory.speed import Term

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import PROMPTS, Steps, counted_clock, tiny_pair

from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.decoding.step_watch import WatchedDecoder, Watcher
from veridraft.gpu.trees.sampling import Sampling


@pytest.fixture(scope="module")
def pair():
    return tiny_pair()


def watched(pair, verifier, policy, watcher, request, sampling=None, steps=None):
    """The blocks of one request's first steps."""
    decoder = WatchedDecoder(pair, verifier, policy, watcher, sampling, rows=1)
    return list(islice(decoder.stream([request]), steps))


@torch.inference_mode()
def check_rows(pair, steps, prompt, temperature):
    """How many rows there are in all steps, after each was found to be the softmax of a plain pass over its context."""
    context, compared = list(prompt), 0
    for tree, block in zip(steps.trees, steps.blocks, strict=True):
        tree.to_theory()
        for node, listed in enumerate(tree.child_lists):
            tokens = context + list(tree.tokens_at(tree.path(node)))
            for model, rows in [(pair.target, tree.target), *([(pair.draft, tree.draft)] if listed else [])]:
                logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]
                expected = torch.softmax(logits.double() / temperature, 0)
                torch.testing.assert_close(rows[node], expected, atol=1e-5, rtol=0)
                compared += 1
        context += block.tokens
    return compared


def test_the_verifier_is_given_the_rows_of_both_networks(pair):
    steps = Steps()
    watched(pair, "specinfer", Iid(3, 3), steps, Request(PROMPTS[1], 40, 3), Sampling(temperature=0.8), 6)
    assert check_rows(pair, steps, PROMPTS[1], 0.8) > 6


@pytest.mark.parametrize(
    "policy",
    [
        parse_policy("Static(2x2)"),
        parse_policy("StaticIid(2x2)"),
        TopPlusOne(3, 2),
        HubPairs(2),
        TopK(2, 3, 4),
        OptTree(4, 0, 3),
        CaDDTree(1.0, {0: 1.0, 8: 1.2}, 3),
        DySpec(5),
        DySpec(threshold=0.2, depth=3),
    ],
)
def test_every_policy_decodes_and_its_rows_are_those_of_the_networks(pair, policy):
    steps = Steps()
    watched(pair, "nss", policy, steps, Request(PROMPTS[1], 40, 3), None, 3)
    assert check_rows(pair, steps, PROMPTS[1], 1.0) > 3


def test_a_step_emits_the_accepted_path_and_one_token(pair):
    steps = Steps()
    watched(pair, "traversal", Iid(3, 2), steps, Request(PROMPTS[0], 30, 1))
    for tree, block in zip(steps.trees[:-1], steps.blocks[:-1], strict=True):
        assert len(block.tokens) == block.tau + 1
        paths = {tree.tokens_at(tree.path(node)) for node in range(tree.size)}
        assert block.tokens[: block.tau] in paths
    assert sum(len(block.tokens) for block in steps.blocks) == 30


def test_a_watched_decoder_writes_what_a_plain_one_does_and_its_parts_add_up(pair):
    request, steps = Request(PROMPTS[0], 30, 3), Steps()
    blocks = watched(pair, "traversal", Iid(3, 2), steps, request)
    (text,) = BatchDecoder(pair, "traversal", Iid(3, 2)).decode([request])
    assert tuple(token for block in blocks for token in block.tokens) == text.tokens
    for spent in steps.spent:
        assert set(spent) == set(Term)
        assert min(part[0] for part in spent.values()) > 0


def test_the_parts_are_between_the_readings_that_they_name(pair, monkeypatch):
    """A pass is read before and after feeding and before and after making rows: 2 readings of 1 each."""
    counted_clock(monkeypatch)
    steps = Steps()
    watched(pair, "block", Chain(3), steps, Request(PROMPTS[0], 30), None, 1)
    assert steps.spent[0][Term.DRAFT].tolist() == [2 * 3, 3]
    assert steps.spent[0][Term.TARGET].tolist() == [2, 1]
    assert steps.spent[0][Term.VERIFICATION].tolist() == [1, 0.5]


class Foreseeing(Watcher):
    """Draws other trees before every step, and keeps what the step took."""

    def __init__(self) -> None:
        self.rng, self.found, self.spent = np.random.default_rng(1), [], []

    def before(self, decoder, active, drafter):
        self.found.append(decoder.foresee(active, drafter, self.rng))

    def after(self, batch, blocks, spent):
        self.spent.append(spent)


@pytest.mark.parametrize("policy", [Chain(2), DySpec(4)], ids=str)
def test_what_is_foreseen_changes_no_text_and_no_time_of_a_step(pair, policy, monkeypatch):
    counted_clock(monkeypatch)
    request, watcher, plain = Request(PROMPTS[0], 12), Foreseeing(), Steps()
    blocks = watched(pair, "traversal", policy, watcher, request)
    assert blocks == watched(pair, "traversal", policy, plain, request)
    assert [one[Term.DRAFT].tolist() for one in watcher.spent] == [one[Term.DRAFT].tolist() for one in plain.spent]
    if policy == Chain(2):
        assert watcher.spent[0][Term.DRAFT].tolist() == [2 * 2, 2]
        assert watcher.found[0].passes == {"draft": [(1, 1), (1, 1)], "target": [(1, 3)]}
