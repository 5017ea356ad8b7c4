"""``veridraft distil --head`` as a person meets it: a run that goes on after a kill, a draft that loads, bad input."""

from __future__ import annotations

import json
import os
import signal
import string
import subprocess
import sys
import time

import numpy as np
import pytest

from veridraft.reports import cli

torch = pytest.importorskip("torch", reason="distilling needs torch")

import tokenizers
import transformers
from gpu_tiny import tiny_model

from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.distilling.heads import public_text
from veridraft.gpu.models.pairs import load_pair

FEWER = "from veridraft.gpu.distilling.heads import public_text; public_text.LICENCES = {'numpy': 'BSD-3-Clause'}\n"
MAIN = "import sys; from veridraft.reports.cli import main; sys.exit(main())"
VERIDRAFT = [sys.executable, "-c", FEWER + MAIN]
"""The command with the public text of one package alone."""
OPTIONS = "--tokens 40 --shards 1 --rows 8 --length 16 --steps 30 --batch 2 --depth 2 --evaluate-every 10 --seed 3"


def letters():
    """A tokenizer of 64 letters, saved and loaded as any other."""
    words = {letter: number for number, letter in enumerate(["?", *string.ascii_letters, *" .,:()\n-'`="][:64])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, unk_token="?")


@pytest.fixture(autouse=True)
def fewer_texts(monkeypatch):
    """The public text of one package alone, as in processes of their own."""
    monkeypatch.setattr(public_text, "LICENCES", {"numpy": "BSD-3-Clause"})
    public_text.pieces.cache_clear()
    yield
    public_text.pieces.cache_clear()


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    place = tmp_path_factory.mktemp("tiny")
    tiny_model().save_pretrained(place)
    letters().save_pretrained(place)
    return str(place)


@pytest.fixture(scope="module")
def words(target):
    return ["distil", "--head", "--target", target, *OPTIONS.split()]


def killed_run(words, out):
    """Start the command, and kill it once its first checkpoint is there."""
    command = [*VERIDRAFT, *words, "--out", str(out), "--checkpoint-seconds", "0"]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 240
    while not (out / "checkpoint.pt").exists() and run.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL


def test_a_killed_run_ends_with_the_head_of_one_that_was_not_and_the_head_drafts(target, words, tmp_path, capsys):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed_run(words, killed)
    assert not (killed / "draft").exists()
    for out in (killed, whole):
        assert cli.main([*words, "--out", str(out)]) == 0
        printed = capsys.readouterr().out.splitlines()
        assert printed[-1] == str(out / "draft")
        assert [line.split()[0] for line in printed[:-2]] == ["step", "0", "10", "20", "30"]
    cards = [json.loads((out / "draft" / "card.json").read_text()) for out in (killed, whole)]
    assert cards[0]["sha256"] == cards[1]["sha256"] and cards[0]["places_learnt"] == 30 * 2 * 15
    pair = load_pair(target, str(whole / "draft"))
    assert pair.traits["draft"] == str(whole / "draft") and len(pair.draft.tokens) == 40
    written = BatchDecoder(pair, "block", "Chain(3)").decode([Request([3, 1, 4], 20)])[0]
    assert len(written.tokens) == 20 and np.isfinite(written.block_efficiency)


BAD = {
    "--steps 0": "steps must be at least 1, but is 0",
    "--depth many": "'many' is no whole number",
    "--tv nan": "weight tv must be finite and at least 0, but is nan",
    "--target nowhere/at/all": "is neither a folder, nor a GGUF file, nor a name",
    "--dtype int8": "dtype must be one of float32",
    "--checkpoint-seconds nan": "checkpoint-seconds must be at least 0",
    "--start-from nowhere": "'nowhere' holds no head",
    "--tokens 65": "tokens is 65, but the target has 64",
    "--from-layers 0": "unrecognized arguments: --from-layers 0",
}


@pytest.mark.parametrize("option", BAD)
def test_bad_input_ends_with_one_line_that_says_what_is_wrong(words, tmp_path, option, capsys):
    try:
        status = cli.main([*words, "--out", str(tmp_path / "out"), *option.split()])
    except SystemExit as ended:
        status = ended.code
    said = capsys.readouterr().err.strip().splitlines()
    assert status == 2 and BAD[option] in said[-1]
    assert not (tmp_path / "out").exists()
