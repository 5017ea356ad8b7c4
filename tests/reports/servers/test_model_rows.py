"""Texts of our own decoder on a tiny network, held against the network's rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from gpu_tiny import tiny_pair

from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.trees.sampling import Sampling
from veridraft.reports.cli import main
from veridraft.reports.servers.model_rows import ModelRows
from veridraft.simulate.transcripts import Transcript, TranscriptWriter, audit_transcripts
from veridraft.theory.policies import Chain, Iid

PAIR = tiny_pair()


def texts(verifier, policy, settings, count=24):
    decoder = BatchDecoder(PAIR, verifier, policy, Sampling(**settings), rows=count, end_tokens=frozenset())
    written = decoder.decode([Request((number % 8 + 1,), 32, number) for number in range(count)])
    return [
        Transcript((number % 8 + 1,), one.tokens, settings, number, one.taus) for number, one in enumerate(written)
    ]


@pytest.mark.parametrize(
    ("verifier", "policy", "settings"),
    [("naive", Chain(3), {"temperature": 0.7, "top_p": 0.9}), ("block", Chain(3), {}), ("traversal", Iid(2, 3), {})],
)
def test_our_own_decoder_passes(verifier, policy, settings):
    found = audit_transcripts(texts(verifier, policy, settings), ModelRows(PAIR))
    assert found.exit_status == 0 and found.tokens == 24 * 32


def test_settings_that_are_told_wrong_are_found():
    wrong = [replace(text, sampling={"temperature": 0.6}) for text in texts("naive", Chain(3), {})]
    assert audit_transcripts(wrong, ModelRows(PAIR)).exit_status == 1


def test_rows_are_those_of_a_pass_over_the_text():
    text = texts("naive", Chain(3), {}, count=1)[0]
    rows = ModelRows(PAIR)(text)
    for place in (0, 7, 31):
        with torch.inference_mode():
            logits = PAIR.target(torch.tensor([[*text.prompt, *text.tokens[:place]]])).logits[0, -1]
        expected = torch.softmax(logits.double(), dim=-1).numpy()
        np.testing.assert_allclose(rows[place].masses, expected, atol=1e-6)


def test_rows_are_cut_to_their_likeliest_tokens_behind_the_settings():
    text = texts("naive", Chain(3), {"temperature": 0.7}, count=1)[0]
    for whole, cut in zip(ModelRows(PAIR)(text), ModelRows(PAIR, 5)(text), strict=True):
        likeliest = np.sort(np.argsort(-whole.masses, kind="stable")[:5])
        assert cut.ids.tolist() == whole.ids[likeliest].tolist()
        np.testing.assert_array_equal(cut.masses, whole.masses[likeliest])
        assert cut.rest == pytest.approx(1 - whole.masses[likeliest].sum())
    assert ModelRows(PAIR, 64)(text)[0].ids.tolist() == list(range(64))
    wrong = [replace(text, sampling={"temperature": 0.6}) for text in texts("naive", Chain(3), {})]
    assert audit_transcripts(wrong, ModelRows(PAIR, 5)).exit_status == 1


def test_the_command_takes_the_rows_from_a_folder(tmp_path, capsys):
    PAIR.target.save_pretrained(tmp_path / "model")
    writer = TranscriptWriter(tmp_path / "log.jsonl")
    for text in texts("naive", Chain(3), {}, count=4):
        writer.write(text)
    words = ["audit-transcript", str(tmp_path / "log.jsonl"), "--target", str(tmp_path / "model")]
    assert main(words) == 0
    writer.write(Transcript((1,), (64,), {}))
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "another model's tokenizer made it" in capsys.readouterr().err
