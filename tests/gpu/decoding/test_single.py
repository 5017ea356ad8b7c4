"""The loop on a tiny pair: greedy text, cuts, bad input, and the rows that the verifier is given."""

from __future__ import annotations

import numpy as np
import pytest

from veridraft.theory.policies.base import Chain, Delayed, Iid, parse_policy
from veridraft.theory.policies.best_first import CaDDTree, OptTree, TopK
from veridraft.theory.policies.dyspec import DySpec
from veridraft.theory.policies.top_plus_one import HubPairs, TopPlusOne
from veridraft.theory.verifiers.table import VERIFIERS, get_verifier

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import PROMPTS, tiny_pair

from veridraft.gpu.decoding.single import Decoder, decode
from veridraft.gpu.trees.sampling import Sampling


@pytest.fixture(scope="module")
def pair():
    return tiny_pair()


def greedy_text(pair, prompt, tokens):
    ids = torch.tensor([prompt])
    out = pair.target.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=tokens)
    return out[0, len(prompt) :].tolist()


@pytest.mark.parametrize("name", sorted(VERIFIERS))
def test_greedy_decoding_writes_the_targets_own_greedy_text(pair, name):
    policies = (Delayed(2, 1, 2), Chain(3), TopPlusOne(2, 2), HubPairs(2))
    policy = next(policy for policy in policies if get_verifier(name).supports(policy))
    done = decode(pair, PROMPTS[0], name, policy, Sampling(temperature=0), 40, np.random.default_rng(0))
    assert list(done.tokens) == greedy_text(pair, PROMPTS[0], 40)


def test_a_chain_of_length_zero_is_plain_decoding(pair):
    done = decode(pair, PROMPTS[0], "naive", Chain(0), Sampling(temperature=0), 12)
    assert done.taus == (0,) * 12
    assert list(done.tokens) == greedy_text(pair, PROMPTS[0], 12)


def test_one_token_of_prompt_is_enough(pair):
    assert len(decode(pair, [7], "traversal", Iid(2, 2), max_new_tokens=5).tokens) == 5


@torch.inference_mode()
def test_the_verifier_is_given_the_rows_of_both_networks(pair):
    """Every row of a step equals the softmax of a plain pass over its context, and draft rows were drawn from."""
    decoder = Decoder(pair, "specinfer", Iid(3, 3), Sampling(temperature=0.8), np.random.default_rng(3))
    request = decoder.start(PROMPTS[1], 40)
    for _ in range(6):
        context = [*request.prompt, *request.text]
        step = decoder.step(request)
        for node in range(step.tree.size):
            tokens = context + list(step.tree.tokens_at(step.tree.path(node)))
            networks = [(pair.target, step.tree.target)]
            networks += [(pair.draft, step.tree.draft)] if step.tree.child_lists[node] else []
            for model, rows in networks:
                logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]
                torch.testing.assert_close(rows[node], torch.softmax(logits.double() / 0.8, 0), atol=1e-5, rtol=0)


def test_a_step_emits_the_accepted_path_and_one_token(pair):
    steps = []
    done = decode(pair, PROMPTS[0], "traversal", Iid(3, 2), None, 30, np.random.default_rng(1), steps.append)
    assert all(len(step.emitted) == step.tau + 1 for step in steps)
    assert [step.index for step in steps] == list(range(len(steps)))
    written = [token for step in steps for token in step.emitted]
    assert tuple(written[:30]) == done.tokens
    assert done.block_efficiency == pytest.approx(len(written) / len(steps))


def test_an_end_of_sequence_cuts_the_text_after_tau_was_recorded():
    pair = tiny_pair(end=11)
    for seed in range(8):
        steps = []
        done = decode(pair, PROMPTS[0], "block", Chain(3), None, 60, np.random.default_rng(seed), steps.append)
        assert 11 not in done.tokens[:-1]
        assert done.tokens[-1] == 11 or len(done.tokens) == 60
        assert sum(step.tau + 1 for step in steps) >= len(done.tokens)
        assert done.taus == tuple(step.tau for step in steps)


def test_equal_seeds_write_equal_texts(pair):
    texts = [decode(pair, PROMPTS[0], "spectr", Iid(2, 2), None, 30, np.random.default_rng(9)) for _ in range(2)]
    assert texts[0].tokens == texts[1].tokens


def test_a_logit_that_is_not_finite_stops_the_run_and_names_step_and_row():
    pair = tiny_pair()
    decoder = Decoder(pair, "specinfer", Iid(3, 2), None, np.random.default_rng(0))
    request = decoder.start(PROMPTS[0], 40)
    for _ in range(3):
        decoder.step(request)

    def spoil(module, arguments, output):
        output[0, 2] = float("nan")

    pair.target.lm_head.register_forward_hook(spoil)
    with pytest.raises(FloatingPointError, match="target logits of step 3, row 2 are not finite"):
        decoder.step(request)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda pair: Decoder(pair, "guess", Chain(2)), "naive"),
        (lambda pair: Decoder(pair, "naive", Iid(2, 2)), "not known to be lossless"),
        (lambda pair: Decoder(pair, "naive", Chain(2)).start([]), "prompt is empty"),
        (lambda pair: Decoder(pair, "naive", Chain(2)).start([3, 99]), "prompt token 1 is 99"),
        (lambda pair: Decoder(pair, "naive", Chain(2)).start("words"), "has no tokenizer"),
        (lambda pair: Decoder(pair, "naive", Chain(2)).start([3], 0), "max_new_tokens must be at least 1"),
        (lambda pair: Decoder(pair, "naive", Chain(2)).start([3], 5000), "need 5003 positions, but the target has"),
        (lambda pair: Decoder(pair, "naive", parse_policy("Chain(x)")), "policy"),
    ],
)
def test_bad_input_is_refused_before_any_work(pair, call, message):
    with pytest.raises(ValueError, match=message):
        call(pair)


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
@torch.inference_mode()
def test_every_policy_decodes_and_its_rows_are_those_of_the_networks(pair, policy):
    decoder = Decoder(pair, "nss", policy, None, np.random.default_rng(3))
    request = decoder.start(PROMPTS[1], 40)
    for _ in range(3):
        context = [*request.prompt, *request.text]
        tree = decoder.step(request).tree
        tree.to_theory()
        for node, listed in enumerate(tree.child_lists):
            tokens = context + list(tree.tokens_at(tree.path(node)))
            for model, rows in [(pair.target, tree.target), *([(pair.draft, tree.draft)] if listed else [])]:
                logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]
                torch.testing.assert_close(rows[node], torch.softmax(logits.double(), 0), atol=1e-5, rtol=0)
