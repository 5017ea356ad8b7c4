"""Compiled networks: the same greedy text, few graphs, few shapes where CUDA graphs would be recorded."""

from __future__ import annotations

import shutil

import pytest

from veridraft.theory.policies.paths import Chain, Iid

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.*:DeprecationWarning")  # inductor's own

from gpu_tiny import PROMPTS, tiny_pair

from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.passes.cache import BatchModel
from veridraft.gpu.decoding.passes.compiled import MOST_TOKENS, SLOTS, ShortPasses, compiled_pair
from veridraft.gpu.decoding.passes.packing import can_pack, packed_pair
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.trees.sampling import Sampling

GREEDY = Sampling(temperature=0)


@pytest.fixture
def graphs():
    """The number of graphs that torch made since the test began."""
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    yield lambda: counters["stats"]["unique_graphs"]
    torch._dynamo.reset()


def texts(pair, requests, policy, rows=1):
    return BatchDecoder(pair, "traversal", policy, GREEDY, rows).decode(requests)


def test_a_run_of_200_tokens_makes_two_graphs_and_few_shapes(graphs):
    pair = tiny_pair(layers=1, skipped=())
    compiled = compiled_pair(pair, "reduce-overhead", backend="eager")
    requests = [Request(PROMPTS[0], 150), Request(PROMPTS[1], 50)]
    assert texts(compiled, requests, Iid(2, 2), rows=2) == texts(pair, requests, Iid(2, 2), rows=2)
    assert graphs() == 2, "with one row of the batch in use, and with two"
    shapes = compiled.target.forward.shapes
    assert {rows for rows, *_ in shapes} == {1, 2}
    assert {width for _, width, _ in shapes} <= {2, 4, 8}
    assert len({stop for *_, stop in shapes}) == -(-max(stop for *_, stop in shapes) // SLOTS)


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++", "c++"))), reason="there is no C++ compiler")
def test_what_inductor_makes_has_the_same_logits(graphs):
    pair = tiny_pair(layers=1, skipped=())
    compiled = compiled_pair(pair)
    requests = [Request(PROMPTS[0], 8)]
    assert texts(compiled, requests, Chain(0)) == texts(pair, requests, Chain(0))
    assert graphs() == 1


def test_long_passes_other_caches_and_plain_calls_are_not_compiled(graphs):
    pair = tiny_pair()
    compiled = compiled_pair(pair, backend="eager")
    prompt = [token % 64 for token in range(MOST_TOKENS + 2)]
    ids = torch.tensor([prompt])
    assert torch.equal(compiled.target(ids).logits, pair.target(ids).logits)
    output = compiled.target(input_ids=ids[:, :4], use_cache=True)
    again = pair.target(input_ids=ids[:, :4], use_cache=True)
    after = [model(input_ids=ids[:, 4:6], past_key_values=one.past_key_values).logits
             for model, one in ((compiled.target, output), (pair.target, again))]  # fmt: skip
    assert torch.equal(*after), "a cache of transformers' own"
    BatchModel(compiled.target, 1, 128).prefill(0, prompt)
    assert graphs() == 0
    assert isinstance(compiled.target.forward, ShortPasses) and not isinstance(pair.target.forward, ShortPasses)
    assert {p.data_ptr() for p in compiled.target.parameters()} == {p.data_ptr() for p in pair.target.parameters()}


def test_what_cannot_be_compiled_is_refused():
    pair = tiny_pair()
    with pytest.raises(ValueError, match=r"mode must be one of default, .* but is 'fast'"):
        compiled_pair(pair, "fast")
    if can_pack():
        with pytest.raises(ValueError, match="target has packed layers"):
            compiled_pair(packed_pair(pair))
    with pytest.raises(ValueError, match="target is compiled already"):
        compiled_pair(compiled_pair(pair))
    pair.target.lm_head.to("meta")
    with pytest.raises(ValueError, match=r"target lies on cpu, meta .* can be compiled"):
        compiled_pair(pair)
