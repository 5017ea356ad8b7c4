"""Packed linear layers: the same numbers up to rounding, weights shared, the given pair untouched."""

from __future__ import annotations

import pytest

from veridraft.theory.policies.paths import Iid

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import PROMPTS, tiny_pair

from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.passes.packing import PackedLinear, can_pack, packed_pair
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.selecting.fingerprint import fingerprint_of

pytestmark = pytest.mark.skipif(not can_pack(), reason="this build of torch packs nothing")


@torch.inference_mode()
@pytest.mark.parametrize("count", [1, 2, 7, 32, 33])
def test_packed_networks_give_the_same_logits_up_to_rounding(count):
    pair = tiny_pair()
    packed = packed_pair(pair)
    ids = torch.arange(count)[None]
    for before, after in ((pair.target, packed.target), (pair.draft, packed.draft)):
        torch.testing.assert_close(after(ids).logits, before(ids).logits, atol=1e-4, rtol=0)


def test_weights_are_packed_once_and_the_pair_is_left_as_it_is():
    pair = tiny_pair()
    packed = packed_pair(pair)
    layers = [module for module in packed.target.modules() if isinstance(module, PackedLinear)]
    assert len(layers) == 2 * 7 + 1
    shared = {id(module) for module in layers} & {id(module) for module in packed.draft.modules()}
    assert len(shared) == 7 + 1, "the draft leaves out one of two layers"
    assert not any(isinstance(module, PackedLinear) for module in pair.target.modules())
    assert {p.data_ptr() for p in packed.target.parameters()} == {p.data_ptr() for p in pair.target.parameters()}
    assert fingerprint_of(packed) == fingerprint_of(pair), "what was taught for the one is for the other"


def test_a_packed_pair_writes_the_same_text():
    pair = tiny_pair()
    decoders = [BatchDecoder(one, "traversal", Iid(3, 2)) for one in (pair, packed_pair(pair))]
    texts = [decoder.decode([Request(PROMPTS[0], 30)]) for decoder in decoders]
    assert texts[0] == texts[1]


def test_other_weights_are_left_alone():
    pair = tiny_pair()
    pair.target.to(torch.bfloat16)
    assert packed_pair(pair) is pair
