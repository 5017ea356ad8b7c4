"""A head in the decoder: its rows are those of a plain computation over the whole text, with the target's states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import PROMPTS, Steps, tiny_head, tiny_model, tiny_pair

from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.passes.compiled import compiled_pair
from veridraft.gpu.decoding.passes.packing import packed_pair
from veridraft.gpu.decoding.recording import PromptPair
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.decoding.step_watch import WatchedDecoder, Watcher
from veridraft.gpu.models.pairs import ModelPair
from veridraft.gpu.trees.sampling import Sampling
from veridraft.theory.policies.arguments import get_policy

POLICIES = {
    "Chain(4)": "block",
    "Iid(3, 3)": "traversal",
    "Delayed(2, 1, 2)": "traversal",
    "TopPlusOne(2, 2)": "univer",
    "HubPairs(2)": "lifted_spechub",
    "TopK(2, 3, 6)": "nss",
    "DySpec(6)": "traversal",
    "Static(2x2)": "traversal",
    "StaticIid(2x2)": "traversal",
}
"""Every policy with a verifier that is lossless for it."""


def pair_of(layers: int = 1, tokens=range(0, 64, 2), **options) -> ModelPair:
    target = tiny_model(**options)
    return ModelPair(target, tiny_head(target, layers, tokens), None, "tiny", "head")


@torch.inference_mode()
def true_states(pair: ModelPair, text):
    """The target's last hidden states along the text, and zeros before its first token."""
    known = pair.target(torch.tensor([text]), output_hidden_states=True).hidden_states[-1][0]
    return [torch.zeros(known.shape[1]), *known[: len(text) - 1]]


@torch.inference_mode()
def plain_row(pair: ModelPair, text, states, path, sampling: Sampling):
    """The head's row (V,) after text and path, by definition: true states along the text but for its last token."""
    whole, head, before = [*text, *path], pair.draft, [*states]
    for end in range(len(text), len(whole) + 1):
        output = head(torch.tensor([whole[:end]]), torch.stack(before)[None])
        before.append(output.states[0, -1])
    row = np.zeros(pair.vocabulary_size)
    row[head.tokens.numpy()] = sampling.rows(output.logits[0, -1:])[0].numpy()
    return row


@pytest.mark.parametrize(
    ("policy", "verifier", "layers"), [*((*one, 1) for one in POLICIES.items()), ("Iid(3, 3)", "traversal", 3)]
)
def test_rows_of_every_tree_are_those_of_a_plain_computation_over_the_whole_text(policy, verifier, layers):
    pair, sampling, longest = pair_of(layers), Sampling(0.8, top_p=0.95), 0
    for prompt in (PROMPTS[0], PROMPTS[2]):
        steps = Steps()
        WatchedDecoder(pair, verifier, get_policy(policy), steps, sampling, rows=1).decode([Request(prompt, 12, 3)])
        text = list(prompt)
        for tree, block in zip(steps.trees, steps.blocks, strict=True):
            drawn, states, longest = tree.to_theory(), true_states(pair, text), max(longest, block.tau)
            for node in range(drawn.size):
                if drawn.child_lists[node]:
                    expected = plain_row(pair, text, states, drawn.context(node), sampling)
                    np.testing.assert_allclose(drawn.draft[node], expected, atol=2e-5)
            text += block.tokens
    assert longest > 0, "nothing accepted, so that no path was ever read again"


@pytest.mark.parametrize(("policy", "verifier"), POLICIES.items())
def test_requests_that_share_a_batch_write_what_they_write_alone(policy, verifier):
    pair = pair_of(end=5)
    requests = [Request(prompt, length, seed) for seed, prompt in enumerate(PROMPTS) for length in (2, 9)]
    together = BatchDecoder(pair, verifier, policy, rows=3, end_tokens=frozenset({5})).decode(requests)
    alone = BatchDecoder(pair, verifier, policy, rows=1, end_tokens=frozenset({5}))
    assert together == tuple(alone.decode([one])[0] for one in requests)


def test_greedy_decoding_is_the_targets_own_text():
    pair = pair_of()
    for policy, verifier in {"Chain(3)": "block", "Iid(2, 2)": "traversal", "TopK(2, 3, 6)": "nss"}.items():
        decoder = BatchDecoder(pair, verifier, policy, Sampling(temperature=0))
        written = decoder.decode([Request(PROMPTS[0], 20)])[0]
        own = pair.target.generate(torch.tensor([PROMPTS[0]]), max_new_tokens=20, do_sample=False)[0, 5:].tolist()
        assert list(written.tokens) == own


@pytest.mark.parametrize("of_head", [True, False])
def test_a_draft_at_a_temperature_of_its_own_reaches_more_and_changes_no_text(of_head):
    pair = pair_of(tokens=range(64)) if of_head else tiny_pair()
    request, own_rows = Request(PROMPTS[0], 24, 3), Sampling(0.0, draft_temperature=1.0)
    for policy, verifier in {"TopK(4, 2, 8)": "nss", "Iid(3, 2)": "specinfer", "Chain(2)": "block"}.items():
        texts = [BatchDecoder(pair, verifier, policy, one).decode([request])[0] for one in (Sampling(0.0), own_rows)]
        assert texts[0].tokens == texts[1].tokens
        steps = Steps()
        WatchedDecoder(pair, verifier, get_policy(policy), steps, own_rows, rows=1).decode([request])
        rows = PromptPair(pair, PROMPTS[0], own_rows)
        first = steps.trees[0].to_theory()
        np.testing.assert_allclose(first.draft[0], rows.draft_row(()), atol=1e-5)
        assert set(first.target[0]) == {0.0, 1.0} and 0 < first.draft[0].max() < 1
        if policy.startswith("TopK"):
            assert first.size == 9, "one-hot rows would give two nodes below the root"


def test_a_head_that_has_all_tokens_of_the_target_and_one_that_has_few_draft_only_those():
    for tokens in (range(64), [1, 5, 9]):
        pair, steps = pair_of(tokens=tokens), Steps()
        WatchedDecoder(pair, "block", get_policy("Chain(3)"), steps, rows=1).decode([Request(PROMPTS[0], 30, 1)])
        drafted = {token for tree in steps.trees for token in tree.tokens[1:]}
        assert drafted <= set(tokens)


class Foresight(Watcher):
    """Looks ahead at every step, which must change nothing."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def before(self, decoder, active, drafter):
        decoder.foresee(active, drafter, self.rng)
        decoder.foresee(active, drafter, self.rng)


def test_a_prompt_pair_gives_the_rows_that_the_decoder_drafts_from():
    pair, sampling, steps = pair_of(2), Sampling(0.7, top_k=9), Steps()
    WatchedDecoder(pair, "traversal", get_policy("Iid(2, 3)"), steps, sampling, rows=1).decode([Request([3, 1, 4], 1)])
    tree, prompted = steps.trees[0].to_theory(), PromptPair(pair, [3, 1, 4], sampling)
    for node in range(tree.size):
        if tree.child_lists[node]:
            np.testing.assert_allclose(tree.draft[node], prompted.draft_row(tree.context(node)), atol=2e-5)


def test_packed_layers_change_no_more_than_rounding_and_compiled_passes_are_refused():
    pair = pair_of()
    requests = [Request(prompt, 12, seed) for seed, prompt in enumerate(PROMPTS)]
    decoded = [BatchDecoder(one, "block", "Chain(3)", rows=2).decode(requests) for one in (pair, packed_pair(pair))]
    assert decoded[0] == decoded[1]
    with pytest.raises(ValueError, match="draft is a head"):
        compiled_pair(pair)


def test_looking_ahead_changes_nothing():
    pair = pair_of()
    requests = [Request(prompt, 15, seed) for seed, prompt in enumerate(PROMPTS)]
    plain = BatchDecoder(pair, "traversal", "Iid(2, 3)", rows=2).decode(requests)
    assert WatchedDecoder(pair, "traversal", get_policy("Iid(2, 3)"), Foresight(), rows=2).decode(requests) == plain


def test_a_head_whose_logits_are_not_finite_is_found():
    pair = pair_of()
    broken = replace(pair)
    with torch.no_grad():
        broken.draft.projection.weight[0, 0] = float("nan")
    with pytest.raises(FloatingPointError, match="draft logits of step 0, request 0"):
        BatchDecoder(broken, "block", "Chain(2)").decode([Request(PROMPTS[0], 5)])
