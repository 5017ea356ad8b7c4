"""Rows of real networks as a pair of the exact mathematics, and recordings of what a run saw."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="veridraft.gpu needs torch")
pytest.importorskip("transformers", reason="veridraft.gpu needs transformers")

from gpu_tiny import PROMPTS, tiny_pair

from veridraft.gpu import PromptPair, Sampling, record_run
from veridraft.theory import Chain, Iid, RecordedPair, block_efficiency, certify, get_verifier

TOLERANCE = 1e-4
"""Two float32 passes of one network with different masks agree to about 1e-6; a wrong row is off by 0.1."""


def test_certificates_hold_on_the_rows_of_networks():
    pair = PromptPair(tiny_pair(vocabulary_size=64), PROMPTS[0], Sampling(top_k=3))
    certificate = certify("traversal", Iid(2, 1), pair, "float")
    assert certificate.total_variation < 1e-12
    assert certificate.trees == 9
    assert block_efficiency("block", Chain(2), pair).value >= block_efficiency("naive", Chain(2), pair).value - 1e-12


def test_a_recorded_run_holds_the_rows_of_plain_passes(tmp_path):
    models = tiny_pair()
    recorded, trees = record_run(models, PROMPTS[1], "specinfer", Iid(2, 2), Sampling(top_k=8), max_new_tokens=6)
    recorded.save(tmp_path / "trace.npz")
    loaded = RecordedPair.load(tmp_path / "trace.npz")
    plain = PromptPair(models, PROMPTS[1], Sampling(top_k=8))
    size = len(PROMPTS[1])
    assert loaded.contexts
    for context in loaded.contexts:
        assert context[:size] == tuple(PROMPTS[1])
        assert np.abs(loaded.target_row(context) - plain.target_row(context[size:])).max() < TOLERANCE
        assert np.abs(loaded.draft_row(context) - plain.draft_row(context[size:])).max() < TOLERANCE
    for _, tree in trees:
        assert get_verifier("lifted_k_seq").law(tree).stopping.sum() == pytest.approx(1, abs=1e-12)
