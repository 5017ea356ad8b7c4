"""``veridraft crosscheck --policy``: own runs on trees of one policy."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="decoding needs torch")
pytest.importorskip("transformers", reason="decoding needs transformers")

from gpu_tiny import Words, tiny_pair

from veridraft import gpu
from veridraft.gpu.crosschecks.cell_file import CrosscheckFile
from veridraft.reports.cli import main


@pytest.fixture
def words_pair(monkeypatch):
    """The pair that the command loads."""
    pair = replace(tiny_pair(), tokenizer=Words())
    monkeypatch.setattr(gpu, "load_pair", lambda *_: pair, raising=False)
    return pair


def test_the_command_runs_prints_and_records_itself(words_pair, tmp_path, monkeypatch, capsys):
    arguments = ["crosscheck", "--verifiers", "nss,block", "--policy", "Iid(2, 1)", "--steps", "6"]
    arguments += ["--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["veridraft", *arguments])
    assert main(arguments) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["nss", "block"]
    command = CrosscheckFile.load(tmp_path).command
    assert command.startswith("veridraft crosscheck --verifiers nss,block --policy 'Iid(2, 1)'")


def test_only_the_first_rank_prints(words_pair, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    arguments = ["--verifiers", "nss", "--policy", "Chain(1)", "--steps", "6", "--out", str(tmp_path)]
    assert main(["crosscheck", *arguments]) == 0
    assert capsys.readouterr().out == ""


def test_the_command_packs_what_is_in_one_piece(words_pair, tmp_path, monkeypatch, capsys):
    given = []
    monkeypatch.setattr(gpu, "packed_pair", lambda pair: given.append(pair) or pair, raising=False)
    words = ["crosscheck", "--pack", "--policy", "Chain(1)"]
    assert main([*words, "--verifiers", "nss", "--steps", "6", "--out", str(tmp_path)]) == 0
    assert len(given) == 1
    capsys.readouterr()
    said = refused([*words, "--tensor-parallel"], capsys)
    assert said.startswith("veridraft crosscheck: error: --pack is for a pair on one device")


def refused(words, capsys) -> str:
    """The line that says why the command stopped with status 2."""
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    return printed.err


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    words = ["crosscheck", "--policy", "Iid(2, 1)", "--target", str(tmp_path), "--draft", "skip:1"]
    assert "is a folder without a model" in refused(words, capsys)
    assert "--top-ps does not go with --policy alone" in refused([*words, "--top-ps", "1"], capsys)
    assert "--top-p does not go with --suite" in refused(["crosscheck", "--suite", "small", "--top-p", "0.5"], capsys)
