"""Several requests at once: their own greedy texts, their own seeds, one read a step, nothing copied whole."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
from scipy.stats import chi2

from veridraft.theory.policies.arguments import parse_policy
from veridraft.theory.policies.best_first import TopK
from veridraft.theory.policies.dyspec import DySpec
from veridraft.theory.policies.paths import Chain, Delayed, Iid
from veridraft.theory.policies.top_plus_one import HubPairs, TopPlusOne
from veridraft.theory.verifiers.table import VERIFIERS, get_verifier

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import PROMPTS, tiny_pair
from torch.utils._python_dispatch import TorchDispatchMode

from veridraft.gpu.decoding import batch as batch_decoding
from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.drafting.n_gram import NGram
from veridraft.gpu.decoding.passes.cache import SlotLayer
from veridraft.gpu.decoding.requests import Ending, Request
from veridraft.gpu.models import backend
from veridraft.gpu.trees.sampling import Sampling

GREEDY = Sampling(temperature=0)
POLICIES = (
    Chain(0),
    Chain(3),
    Iid(3, 2),
    Delayed(2, 1, 2),
    parse_policy("Static(2x2)"),
    parse_policy("StaticIid(2x2)"),
    TopPlusOne(3, 2),
    HubPairs(2),
    TopK(2, 3, 4),
    DySpec(4),
)


@pytest.fixture(scope="module")
def pair():
    return tiny_pair()


@pytest.fixture(params=[True, False], ids=["read", "unread"])
def reads(request, monkeypatch):
    """Whether reading back is free: False takes the paths of a device that computes beside the host."""
    monkeypatch.setattr(backend, "are_free", lambda tensor: request.param)
    return request.param


def greedy_text(prompt, tokens):
    """What transformers makes of a prompt with the target of ``pair``; shorter texts are the beginnings of longer."""
    return _longest_greedy_text(tuple(prompt))[:tokens]


@cache
def _longest_greedy_text(prompt):
    ids = torch.tensor([prompt])
    out = tiny_pair().target.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=40)
    return out[0, len(prompt) :].tolist()


def requests_of(lengths, seed=0):
    return [Request(prompt, length, seed + n) for n, (prompt, length) in enumerate(zip(PROMPTS, lengths, strict=True))]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_each_request_gets_the_targets_own_greedy_text(pair, policy, reads):
    lengths = (20, 7, 14)
    done = BatchDecoder(pair, "nss", policy, GREEDY, rows=2).decode(requests_of(lengths))
    for prompt, length, written in zip(PROMPTS, lengths, done, strict=True):
        assert list(written.tokens) == greedy_text(prompt, length)
        assert written.ending is Ending.LENGTH
        assert sum(tau + 1 for tau in written.taus) >= length


@pytest.mark.parametrize("name", sorted(VERIFIERS))
def test_every_verifier_writes_greedy_texts(pair, name):
    policy = next(policy for policy in POLICIES[1:] if get_verifier(name).supports(policy))
    done = BatchDecoder(pair, name, policy, GREEDY).decode(requests_of((9, 5, 7)))
    assert [list(one.tokens) for one in done] == [
        greedy_text(*case) for case in zip(PROMPTS, (9, 5, 7), strict=True)
    ]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_a_request_is_written_the_same_alone_and_in_company(pair, policy, reads):
    """Each request has its own random numbers, and its own rows whatever else is decoded."""
    verifier = next(name for name in ("traversal", "univer", "lifted_spechub", "nss") if _fits(name, policy))
    together = BatchDecoder(pair, verifier, policy, rows=3).decode(requests_of((13, 13, 13), seed=4))
    for number, request in enumerate(requests_of((13, 13, 13), seed=4)):
        assert BatchDecoder(pair, verifier, policy).decode([request])[0] == together[number]


def _fits(name, policy):
    return get_verifier(name).supports(policy)


@pytest.mark.parametrize(
    ("verifier", "policy"),
    [
        ("traversal", Iid(3, 2)),
        ("rrsw", parse_policy("Static(2x2)")),
        ("specinfer", parse_policy("StaticIid(2x2)")),
        ("univer", TopPlusOne(3, 2)),
        ("spechub", HubPairs(2)),
        ("nss", NGram(2, 1)),
        ("block", Chain(2)),
    ],
)
def test_two_tokens_have_the_targets_law(verifier, policy, reads):
    """A chi-square over 1000 texts of two tokens, at 1e-4 split over the 14 cases; V = 6."""
    pair = tiny_pair(vocabulary_size=6)
    prompt, trials = [3, 1, 3] if isinstance(policy, NGram) else [3], 1000
    first = torch.softmax(pair.target(torch.tensor([prompt])).logits[0, -1].double(), 0)
    after = pair.target(torch.tensor([[*prompt, token] for token in range(6)])).logits[:, -1].double()
    expected = (first[:, None] * torch.softmax(after, 1)).flatten().detach().numpy() * trials
    done = BatchDecoder(pair, verifier, policy, rows=500).decode([Request(prompt, 2, seed) for seed in range(trials)])
    counts = Counter(6 * one.tokens[0] + one.tokens[1] for one in done)
    observed = np.array([counts[number] for number in range(36)])
    likely = expected >= 5
    observed, expected = (np.append(values[likely], values[~likely].sum()) for values in (observed, expected))
    statistic = ((observed - expected) ** 2 / np.where(expected > 0, expected, 1)).sum()
    assert chi2.sf(statistic, likely.sum()) > 1e-4 / 14


class _Reads(TorchDispatchMode):
    """Counts the operations whose result the host waits for."""

    NAMES = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal", "aten::masked_select")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function.name() in self.NAMES
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["traversal", "spectr", "specinfer", "lifted_k_seq", "gbv", "symmetric_rrs", "univer"])
def test_a_step_reads_nothing_back_but_its_report(pair, name, monkeypatch):
    """``tolist`` of the report is no such operation on the CPU; on a device it is the one synchronisation."""
    monkeypatch.setattr(backend, "are_free", lambda tensor: False)
    policy = TopPlusOne(3, 2) if name == "univer" else Iid(3, 2)
    decoder = BatchDecoder(pair, name, policy, Sampling(0.8, 20, 0.95))
    decoder.decode(requests_of((3, 3, 3)))  # the skeleton's tables are made once
    with _Reads() as reads:
        decoder.decode(requests_of((12, 12, 12)))
    assert reads.count == 0
    with _Reads() as reads:
        monkeypatch.setattr(backend, "are_free", lambda tensor: True)
        decoder.decode(requests_of((3, 3, 3)))
    assert reads.count > 0, "the counter sees reads where they are made"


def test_an_end_of_sequence_ends_one_request_and_not_the_others():
    pair = tiny_pair(end=7)
    requests = [Request(PROMPTS[0], 60, seed) for seed in range(8)]
    done = BatchDecoder(pair, "block", Chain(3), rows=3).decode(requests)
    assert {one.ending for one in done} == set(Ending)
    for one in done:
        assert 7 not in one.tokens[:-1]
        assert (one.ending is Ending.END_OF_SEQUENCE) == (one.tokens[-1] == 7)
        assert one.ending is Ending.END_OF_SEQUENCE or len(one.tokens) == 60
        assert sum(tau + 1 for tau in one.taus) >= len(one.tokens), "tau is recorded before any cut"


def test_blocks_stream_as_they_are_accepted(pair):
    decoder = BatchDecoder(pair, "traversal", Iid(3, 2), rows=2)
    texts = {}
    for block in decoder.stream(requests_of((12, 5, 9))):
        assert 1 <= len(block.tokens) <= block.tau + 1
        texts.setdefault(block.request, []).extend(block.tokens)
    done = decoder.decode(requests_of((12, 5, 9)))
    assert [tuple(texts[number]) for number in range(3)] == [one.tokens for one in done]


def test_the_cache_is_allocated_once_and_compacted_in_place(pair, monkeypatch):
    seen = []
    move = SlotLayer.move

    def watched(self, rows, source, slots):
        seen.append((self.keys.data_ptr(), source.numel()))
        move(self, rows, source, slots)

    monkeypatch.setattr(SlotLayer, "move", watched)
    BatchDecoder(pair, "traversal", Iid(3, 2)).decode(requests_of((30, 30, 30)))
    assert len({pointer for pointer, _ in seen}) == 2 + 1, "one buffer for each layer of both networks"
    assert max(size for _, size in seen) <= 3 * (2 + 1), "a step moves at most D + 1 slots of each request"


def test_ngram_proposals_follow_the_last_match(pair):
    policy = NGram(3, 2)
    assert policy.proposal([1, 2, 3, 9, 1, 2, 4, 7, 1, 2]) == [4, 7, 1]
    assert policy.proposal([1, 2, 3]) == []
    assert policy.proposal([5, 6, 5]) == [6, 5]
    assert policy.proposal([5]) == []


def test_ngram_drafting_writes_the_greedy_text(pair):
    done = BatchDecoder(pair, "nss", NGram(4), GREEDY).decode(requests_of((40, 30, 35)))
    assert [list(one.tokens) for one in done] == [
        greedy_text(*case) for case in zip(PROMPTS, (40, 30, 35), strict=True)
    ]
    assert max(max(one.taus) for one in done) > 0, "a greedy text of a tiny model repeats itself"


@pytest.mark.parametrize("network", ["target", "draft"])
@pytest.mark.parametrize("policy", [Iid(3, 2), DySpec(4)], ids=lambda policy: policy.name)
def test_a_logit_that_is_not_finite_stops_the_run_and_names_where(network, policy):
    pair = tiny_pair(skipped=(1,))
    decoder = BatchDecoder(pair, "traversal", policy)
    blocks = decoder.stream(requests_of((40, 40, 40)))
    next(blocks)

    def spoil(model, arguments, output):
        output.logits[-1, 0, 5] = float("nan")

    getattr(pair, network).register_forward_hook(spoil)
    with pytest.raises(FloatingPointError, match=rf"{network} logits of step 1, request \d, row 0 are not finite"):
        list(blocks)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda pair: BatchDecoder(pair, "guess", Chain(2)), "naive"),
        (lambda pair: BatchDecoder(pair, "naive", Iid(2, 2)), "not known to be lossless"),
        (lambda pair: BatchDecoder(pair, "naive", Chain(2), rows=0), "rows must be at least 1, but is 0"),
        (lambda pair: BatchDecoder(pair, "nss", NGram(0)), "length must be at least 1, but is 0"),
        (lambda pair: BatchDecoder(pair, "nss", Chain(1)).stream([Request([3], 0)]), "request 0: max_new_tokens"),
        (lambda pair: BatchDecoder(pair, "nss", Chain(1)).stream([Request([3]), Request([])]), "prompt is empty"),
        (lambda pair: BatchDecoder(pair, "nss", Chain(2)).stream([Request([3], 5000)]), "need 5003 positions"),
        (lambda pair: BatchDecoder(pair, "nss", Chain(2)).stream([Request([3, 99])]), "prompt token 1 is 99"),
        (lambda pair: BatchDecoder(pair, "nss", Chain(2)).stream([Request("words")]), "has no tokenizer"),
        (lambda pair: BatchDecoder(pair, "nss", parse_policy("Chain(x)")), "policy"),
    ],
)
def test_bad_input_is_refused_before_any_work(pair, call, message):
    with pytest.raises(ValueError, match=message):
        call(pair)


def test_the_row_of_a_tree_whose_logits_are_not_finite_is_named():
    pair = tiny_pair()
    blocks = BatchDecoder(pair, "specinfer", Iid(3, 2)).stream([Request(PROMPTS[0], 40)])
    for _ in range(3):
        next(blocks)

    def spoil(module, arguments, output):
        output[0, 2] = float("nan")

    pair.target.lm_head.register_forward_hook(spoil)
    with pytest.raises(FloatingPointError, match="target logits of step 3, request 0, row 2 are not finite"):
        next(blocks)


def test_a_chain_of_length_zero_is_plain_decoding(pair):
    (done,) = BatchDecoder(pair, "naive", Chain(0), GREEDY).decode([Request(PROMPTS[0], 12)])
    assert done.taus == (0,) * 12 and done.block_efficiency == 1


def test_one_token_of_prompt_is_enough(pair):
    (done,) = BatchDecoder(pair, "traversal", Iid(2, 2)).decode([Request([7], 5)])
    assert len(done.tokens) == 5
    assert done.block_efficiency == pytest.approx(sum(tau + 1 for tau in done.taus) / len(done.taus))


def test_no_requests_are_no_texts(pair):
    assert BatchDecoder(pair, "nss", Chain(1)).decode([]) == ()


def test_a_tree_beyond_the_room_made_for_it_makes_the_caches_grow(monkeypatch):
    pair, policy = tiny_pair(), parse_policy("TopK(6, 5, 12)")
    requests = [Request(prompt, 20, seed) for seed, prompt in enumerate(PROMPTS)]
    wide = BatchDecoder(pair, "nss", policy, rows=2).decode(requests)
    monkeypatch.setattr(batch_decoding, "MOST_LIVE_NODES", 3)
    decoder = BatchDecoder(pair, "nss", policy, rows=2)
    assert decoder.decode(requests) == wide
    longest = max(map(len, PROMPTS)) + 20 + policy.depth
    assert decoder.target.capacity > longest + 3 + 1, "the caches must have grown, or nothing is tested"
