"""Adapters: each with a function that is right and one that is wrong in its engine's shape."""

import math
import random
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import engines

from veridraft.simulate.adapters import torch_tools
from veridraft.simulate.adapters.lengths import accepted_and_one
from veridraft.simulate.adapters.table import ADAPTERS, get_adapter
from veridraft.simulate.adapters.torch_tools import on_device, seeded, uniforms
from veridraft.simulate.adapters.transformers import GeneratedTarget
from veridraft.simulate.adapters.trees import leaf_paths, merged_tree
from veridraft.simulate.auditing.auditor import audit
from veridraft.simulate.auditing.verdict import Verdict
from veridraft.simulate.batches.row_tables import complete, draw_batch, tabulate
from veridraft.simulate.forms.cases import Case
from veridraft.simulate.forms.form import Form, path_inputs
from veridraft.theory import Chain, Iid, MarkovPair

LEVEL = 1e-9
PAIR = MarkovPair(
    [[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]],
    [[0.5, 0.1, 0.4], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1]],
    ([0.45, 0.45, 0.1], [0.9, 0.05, 0.05]),
)
"""Every row differs much from the others and from its draft: a wrong verifier shows within a few hundred trials."""


def counts_of(verifier, form, batched, policy, trials, seed=0, pair=PAIR, lengths=None):
    """How often each string of L + 1 tokens came out, and its probability under the target."""
    rng = np.random.default_rng(seed)
    tables = tabulate(pair, policy.depth)
    batch = draw_batch(tables, policy, trials, rng)
    (inputs,) = path_inputs(form, batch)
    if lengths is not None:
        behind = np.arange(policy.depth) >= np.asarray(lengths)[np.arange(trials) % len(lengths), None]
        inputs.arrays[2][behind], inputs.arrays[1][behind] = -1, 0.0
    emitted = verifier(*inputs.arrays, rng) if batched else [
        verifier(*(array[trial] for array in inputs.arrays), rng) for trial in range(trials)
    ]  # fmt: skip
    tokens = np.full((trials, policy.depth + 1), -1)
    for trial, row in enumerate(emitted):
        tokens[trial, : len(row)] = row
    accepted = (tokens >= 0).sum(axis=1) - 1
    strings = complete(tables, accepted, tokens, rng)
    law = tables.string_probabilities()
    return np.bincount(strings, minlength=len(law)), law


def farthest(counts, law):
    """The largest deviation of a string's count over its Bernstein bound at LEVEL: above 1, the laws differ."""
    trials, log = counts.sum(), math.log(2 * len(law) / LEVEL)
    bound = np.sqrt(2 * trials * law * (1 - law) * log + log**2 / 9) + log / 3
    return float((np.abs(counts - trials * law) / bound).max())


def transformers_function():
    return pytest.importorskip("transformers.generation.utils")._speculative_sampling


def softened(candidate_input_ids, candidate_logits, candidate_length, new_logits):
    """transformers' rule with a softmax of the residual, as before their pull request 28508."""
    valid, matches = transformers_function()(candidate_input_ids, candidate_logits, candidate_length, new_logits)
    if matches < candidate_length:
        residual = (new_logits[0, matches].softmax(-1) - candidate_logits[0, matches].softmax(-1)).clamp_min(0)
        valid[0, -1] = torch.multinomial(residual.softmax(-1), 1)
    return valid, matches


RIGHT_AND_WRONG = {
    "transformers_speculative_sampling": (lambda *a, **k: transformers_function()(*a, **k), softened),
    "vllm-v1": (engines.vllm_rejection_sample, partial(engines.vllm_rejection_sample, wrong_row=True)),
    "sglang": (engines.sglang_sampling, partial(engines.sglang_sampling, keeps_tried=True)),
    "sglang-greedy": (engines.sglang_greedy, partial(engines.sglang_greedy, bonus_of_root=True)),
    "eagle": (engines.eagle_posterior, partial(engines.eagle_posterior, keeps_tried=True)),
    "vllm-ascend": (engines.vllm_rejection_sample, partial(engines.vllm_rejection_sample, wrong_row=True)),
    "vllm-v2": (engines.vllm_v2_rejection_sample, partial(engines.vllm_v2_rejection_sample, from_target=True)),
    "sglang-chain": (engines.sglang_chain_sampling, partial(engines.sglang_chain_sampling, from_target=True)),
    "lmdeploy": (engines.lmdeploy_forward, partial(engines.lmdeploy_forward, from_target=True)),
    "flashinfer-chain": (engines.flashinfer_chain, partial(engines.flashinfer_chain, from_target=True)),
    "trtllm": (engines.trtllm_one_model, partial(engines.trtllm_one_model, from_target=True)),
}


@pytest.mark.parametrize("name", RIGHT_AND_WRONG)
def test_right_function_follows_target_and_wrong_one_does_not(name):
    adapter = ADAPTERS[name]
    policy = Chain(2) if adapter.form is Form.CHAIN else Iid(2, 2)
    right, wrong = (adapter.wrap(function) for function in RIGHT_AND_WRONG[name])
    run = partial(counts_of, form=adapter.form, batched=adapter.batched, policy=policy)
    assert farthest(*run(right, trials=600)) < 1
    assert farthest(*run(wrong, trials=1500)) > 1


def test_every_adapter_is_tried_here():
    assert set(ADAPTERS) == {*RIGHT_AND_WRONG, "transformers_generate"}
    with pytest.raises(ValueError, match=r"adapter must be one of .*vllm-v1.*, but is 'vLLM'"):
        get_adapter("vLLM")


def test_vllm_takes_requests_of_unequal_lengths():
    seen = []

    def spy(*arguments):
        seen.append(arguments)
        return engines.vllm_rejection_sample(*arguments)

    verifier = ADAPTERS["vllm-v1"].wrap(spy)
    counts, law = counts_of(verifier, Form.CHAIN, True, Chain(2), 600, lengths=(2, 0, 1))
    assert farthest(counts, law) < 1
    ids, lengths, longest, cumulative, draft, target, bonus, _ = seen[0]
    assert lengths[:4] == [2, 0, 1, 2] and longest == 2 and cumulative[:4].tolist() == [2, 2, 3, 5]
    assert len(ids) == len(draft) == len(target) == 600 and bonus.shape == (600, 1)


def test_vllm_options_hand_over_logits_or_no_draft():
    def spy(ids, lengths, longest, cumulative, draft, target, bonus, metadata):
        assert draft is None
        return engines.vllm_rejection_sample(ids, lengths, longest, cumulative, None, target.exp(), bonus, metadata)

    argmax = MarkovPair([[0.5, 0.3, 0.2]] * 3, [[0.0, 1.0, 0.0]] * 3)
    verifier = ADAPTERS["vllm-v1"].wrap(spy, takes_logits=True, one_hot=True)
    assert farthest(*counts_of(verifier, Form.CHAIN, True, Chain(2), 600, pair=argmax)) < 1


@pytest.mark.parametrize("name", [
    name for name, adapter in ADAPTERS.items() if adapter.form is Form.CHAIN and adapter.batched
])  # fmt: skip
def test_batched_chains_take_requests_of_unequal_lengths(name):
    right, wrong = (ADAPTERS[name].wrap(function) for function in RIGHT_AND_WRONG[name])
    run = partial(counts_of, form=Form.CHAIN, batched=True, policy=Chain(2), lengths=(2, 0, 1))
    assert farthest(*run(right, trials=900)) < 1
    assert farthest(*run(wrong, trials=3000)) > 1


@pytest.mark.parametrize("name", ["vllm-v2", "lmdeploy"])
def test_drafts_without_rows_are_certain_ones(name):
    argmax = MarkovPair([[0.5, 0.3, 0.2]] * 3, [[0.0, 1.0, 0.0]] * 3)
    right, wrong = (ADAPTERS[name].wrap(function, one_hot=True) for function in RIGHT_AND_WRONG[name])
    assert farthest(*counts_of(right, Form.CHAIN, True, Chain(2), 600, pair=argmax)) < 1
    assert farthest(*counts_of(wrong, Form.CHAIN, True, Chain(2), 1500, pair=argmax)) > 1


def test_equal_siblings_are_merged_with_their_children():
    rows = np.eye(5)
    tree = merged_tree(rows, [-1, 0, 0, 1, 2], [-1, 2, 2, 1, 0])
    assert tree.tokens.tolist() == [-1, 2, 1, 0] and tree.parents.tolist() == [-1, 0, 1, 1]
    assert tree.first_child.tolist() == [1, 2, -1, -1] and tree.next_sibling.tolist() == [-1, -1, 3, -1]
    assert tree.depth == 2 and tree.target.argmax(axis=1).tolist() == [0, 1, 3, 4]


def test_leaf_paths_are_padded():
    assert leaf_paths([-1, 0, 0, 1]).tolist() == [[0, 2, -1], [0, 1, 3]]


def test_calls_are_reproducible_and_leave_global_generators_alone():
    verifier = ADAPTERS["eagle"].wrap(engines.eagle_posterior)
    before = torch.random.get_rng_state(), random.getstate()
    first, second = (counts_of(verifier, Form.TREE, False, Iid(2, 2), 50, seed=3)[0] for _ in range(2))
    assert (first == second).all()
    assert torch.equal(torch.random.get_rng_state(), before[0]) and random.getstate() == before[1]


def test_seeded_blocks_differ_from_each_other():
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(3):
        with seeded(rng):
            drawn.append((float(torch.rand(())), random.random()))
    assert len(set(drawn)) == 3


def test_uniforms_handed_over_are_below_one():
    chosen = SimpleNamespace(random=lambda shape: np.full(shape, np.nextafter(1, 0)))
    assert float(uniforms(chosen, (1, 3)).max()) == 1 - 2**-24


def test_a_torch_generator_serves_as_well():
    verifier = ADAPTERS["sglang"].wrap(engines.sglang_sampling)
    rows = np.full((2, 3), 1 / 3)
    emitted = [verifier(rows, rows, [-1, 0], [-1, 1], torch.Generator().manual_seed(4)) for _ in range(2)]
    assert emitted[0] == emitted[1] and all(0 <= token < 3 for token in emitted[0])


class OneRow:
    """A stand-in of a transformers model: every next token has one law, whatever stands before."""

    def __init__(self, row):
        self.row, self.calls = torch.tensor(row), []
        self.config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(vocab_size=len(row)))

    def generate(self, ids, attention_mask, do_sample, max_new_tokens, temperature=1.0, **options):
        assert attention_mask.tolist() == torch.ones_like(ids).tolist()
        self.calls.append((ids.tolist(), options))
        scores = self.row.log()[None] / temperature
        tokens = torch.multinomial(scores[0].softmax(-1), max_new_tokens, replacement=True)
        sequences = torch.cat([ids, tokens[None]], dim=1)
        return SimpleNamespace(scores=[scores], sequences=sequences) if options else sequences


def test_generation_is_cut_behind_the_prompt_and_reproducible():
    model = OneRow([0.2, 0.3, 0.5])
    generate = ADAPTERS["transformers_generate"].wrap(model.generate, prompt=(2, 1), new_tokens=4)
    tokens = [generate(np.random.default_rng(3)) for _ in range(2)]
    assert tokens[0] == tokens[1] and len(tokens[0]) == 4 and model.calls[0] == ([[2, 1]], {})
    with pytest.raises(ValueError, match="prompt is empty"):
        ADAPTERS["transformers_generate"].wrap(model.generate, prompt=())


def test_generated_target_asks_the_model_once_for_each_context():
    model = OneRow([0.2, 0.3, 0.5])
    target = GeneratedTarget(model, (2,), temperature=0.5)
    expected = np.array([0.04, 0.09, 0.25]) / 0.38
    assert np.allclose(target.target_row((1,)), expected) and target.vocabulary_size == 3
    assert target.draft_row((1,)) is target.target_row((1,)) and [ids for ids, _ in model.calls] == [[[2, 1]]]
    with pytest.raises(ValueError, match="option min_new_tokens depends on the prompt's length"):
        GeneratedTarget(model, (2,), min_new_tokens=2)


def test_audit_of_generation_finds_another_temperature():
    model = OneRow([0.1, 0.2, 0.7])
    case = Case("one row", GeneratedTarget(model, (0,)), Chain(1), "a test")
    wrap = partial(ADAPTERS["transformers_generate"].wrap, model.generate, new_tokens=3)
    assert audit(wrap(), "generate", cases=[case], trials=1500).verdict is Verdict.NO_DEFECT_FOUND
    assert audit(wrap(temperature=0.5), "generate", cases=[case], trials=1500).verdict is Verdict.LOSSY


def test_what_is_accepted_and_one_token_more_is_cut_behind_it():
    emitted = accepted_and_one(np.array([[4, 5], [6, 7], [8, 9]]), np.array([0, 1, 2]), np.array([1, 2, 3]))
    assert emitted.tolist() == [[1, -1, -1], [6, 2, -1], [8, 9, 3]]


@pytest.mark.parametrize("name", RIGHT_AND_WRONG)
def test_copies_give_what_the_tensors_themselves_give(name):
    adapter, function = ADAPTERS[name], RIGHT_AND_WRONG[name][0]
    policy = Chain(2) if adapter.form is Form.CHAIN else Iid(2, 2)
    counts, sent = (
        counts_of(adapter.wrap(one), adapter.form, adapter.batched, policy, 60, pair=PAIR)[0]
        for one in (function, on_device(function, "cpu"))
    )
    assert counts.tolist() == sent.tolist()


def test_every_tensor_is_sent_written_back_and_brought_home(monkeypatch):
    monkeypatch.setattr(torch_tools, "_seed_device", lambda device: None)  # meta has no generator

    def seen(rows, lengths, metadata, out, parts=()):
        tensors = [rows, metadata.temperature, metadata.more["top_k"], out, *parts]
        raise LookupError({one.device.type for one in tensors}, lengths, metadata.all_random)

    row = torch.ones(2)
    given = SimpleNamespace(temperature=row, more={"top_k": row}, all_random=True)
    with pytest.raises(LookupError) as stop:
        on_device(seen, "meta")(row, [1, 2], given, out=row, parts=[row, (row,)[0]])
    assert stop.value.args == ({"meta"}, [1, 2], True)

    def writes(rows, out):
        assert rows is not row and out is not result
        out[0] = 7
        return rows * 2, [out.sum()]

    result = torch.zeros(2)
    doubled, (total,) = on_device(writes, "cpu")(row, out=result)
    assert result.tolist() == [7, 0] and row.tolist() == [1, 1]
    assert doubled.tolist() == [2, 2] and float(total) == 7
