"""Tree passes against plain passes, and the cache that keeps a path."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import tiny_model

from veridraft.gpu.decoding.passes.cache import BatchModel, RowFeed, extended
from veridraft.gpu.models import backend
from veridraft.gpu.trees.tree_batch import NONE

CONTEXT = [5, 17, 3, 44, 8]
TOKENS = [9, 2, 30, 2, 11, 60]
PARENTS = [NONE, 0, 0, 2, 1, NONE]
PATHS = [[9], [9, 2], [9, 30], [9, 30, 2], [9, 2, 11], [60]]


def plain_logits(model, tokens):
    with torch.inference_mode():
        return model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def behind_context(model, capacity=64) -> BatchModel:
    cached = BatchModel(model, 1, capacity)
    cached.prefill(0, CONTEXT)
    return cached


def test_ancestors_are_the_path_to_each_node():
    ancestors = extended(np.zeros((0, 0), dtype=bool), PARENTS)
    rows = [np.flatnonzero(row).tolist() for row in ancestors]
    assert rows == [[0], [0, 1], [0, 2], [0, 2, 3], [0, 1, 4], [5]]


@torch.inference_mode()
def test_the_mask_shows_the_context_and_the_ancestors_alone(model):
    masks = []
    hook = model.register_forward_pre_hook(
        lambda module, arguments, options: masks.append(options["attention_mask"]), with_kwargs=True
    )
    cached = BatchModel(model, 1, 64)
    cached.prefill(0, CONTEXT[:2])
    RowFeed(cached, 0).feed(TOKENS[:3], [NONE, 0, 0])
    hook.remove()
    assert masks[-1].shape == (1, 1, 3, 5)
    assert masks[-1][0, 0].int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 0, 1]]


@torch.inference_mode()
@pytest.mark.parametrize("cuts", [(6,), (1, 6), (3, 4, 6)])
def test_a_tree_pass_gives_the_logits_of_separate_plain_passes(model, cuts):
    """However the nodes are spread over passes; float32 rounding is about 1e-6 of logits of size 10."""
    row = RowFeed(behind_context(model), 0)
    pieces, begin = [], 0
    for end in cuts:
        pieces.append(row.feed(TOKENS[begin:end], PARENTS[begin:end]))
        begin = end
    for logits, path in zip(torch.cat(pieces), PATHS, strict=True):
        torch.testing.assert_close(logits, plain_logits(model, CONTEXT + path), atol=1e-4, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("reads", [True, False], ids=["read", "unread"])
@pytest.mark.parametrize(("rows", "kept"), [([0, 2, 3], [9, 30, 2]), ([0, 1], [9, 2]), ([5], [60]), ([], [])])
def test_a_kept_path_is_the_context_of_the_next_pass(model, rows, kept, reads, monkeypatch):
    monkeypatch.setattr(backend, "are_free", lambda tensor: reads)
    cached = behind_context(model)
    RowFeed(cached, 0).feed(TOKENS, PARENTS)
    buffers = [layer.keys.data_ptr() for layer in cached.layers]
    cached.move(1, torch.tensor([rows], dtype=torch.long))
    cached.keep([len(rows)])
    assert cached.contexts == [len(CONTEXT) + len(rows)]
    assert [layer.keys.data_ptr() for layer in cached.layers] == buffers, "compaction is in place"
    logits = cached.append(1, [[21, 22]])[0]
    torch.testing.assert_close(logits, plain_logits(model, [*CONTEXT, *kept, 21, 22]), atol=1e-4, rtol=0)


@torch.inference_mode()
def test_the_cache_grows_past_its_first_buffer(model):
    tokens = np.random.default_rng(0).integers(0, 64, 700).tolist()
    cached = BatchModel(model, 1, 256)
    for begin in range(0, 700, 100):
        logits = cached.append(1, [tokens[begin : begin + 100]])[0]
    torch.testing.assert_close(logits, plain_logits(model, tokens), atol=1e-3, rtol=0)
