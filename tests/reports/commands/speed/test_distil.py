"""``veridraft distil`` as a person meets it: bad input, a real kill, and what a run prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from veridraft.reports import cli

torch = pytest.importorskip("torch", reason="distilling needs torch")

from gpu_tiny import tiny_model
from safetensors.torch import load_file

VERIDRAFT = [sys.executable, "-c", "import sys; from veridraft.reports.cli import main; sys.exit(main())"]
OPTIONS = (
    "--sequences 32 --held-out 8 --length 16 --shard 16 --steps 60 --batch 8 --evaluate-every 20 --seed 3 "
    "--from-layers 0,2 --adversarial 0.2 --learning-rate 0.005"
)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    place = tmp_path_factory.mktemp("tiny")
    tiny_model().save_pretrained(place)
    return ["distil", "--target", str(place), *OPTIONS.split()]


def killed_run(words, out):
    """Start the command, and kill it once its first checkpoints are there."""
    command = [*VERIDRAFT, *words, "--out", str(out), "--checkpoint-seconds", "0"]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not (out / "checkpoint.pt").exists() and run.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL


def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(words, tmp_path, capsys):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed_run(words, killed)
    assert not (killed / "draft").exists()
    steps = torch.load(killed / "checkpoint.pt", weights_only=True)["steps"]
    assert 0 < steps < 60
    shards = {place: place.stat().st_mtime_ns for place in (killed / "samples").glob("*.npz")}
    assert len(shards) == 3
    for out in (killed, whole):
        assert cli.main([*words, "--out", str(out)]) == 0
        printed = capsys.readouterr().out.splitlines()
        assert printed[-1] == str(out / "draft")
        assert [line.split()[0] for line in printed[:-2]] == ["step", "0", "20", "40", "60"]
    assert shards == {place: place.stat().st_mtime_ns for place in shards}
    first, second = (load_file(out / "draft" / "model.safetensors") for out in (killed, whole))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    records = [json.loads((out / "distil.json").read_text()) for out in (killed, whole)]
    assert records[0]["evaluations"] == records[1]["evaluations"]
    assert not (killed / "checkpoint.pt").exists()


BAD = {
    "--steps 0": "steps must be at least 1, but is 0",
    "--steps many": "'many' is no whole number",
    "--from-layers 0,x": "argument --from-layers: 'x' is no whole number",
    "--embeddings none": "invalid choice: 'none'",
    "--tv nan": "weight tv must be finite and at least 0, but is nan",
    "--micro-batch 0": "micro_batch must be at least 1, but is 0",
    "--prompts missing.txt": "No such file or directory",
    "--target nowhere/at/all": "is neither a folder, nor a GGUF file, nor a name",
    "--dtype int8": "dtype must be one of float32",
}


@pytest.mark.parametrize("change", BAD)
def test_bad_input_is_one_line_and_status_2(words, change, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*words, "--out", str(tmp_path / "out"), *change.split()])
    assert stop.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("veridraft distil: error: ")
    assert BAD[change] in line
    assert not (tmp_path / "out").exists()


def test_an_empty_file_of_prompts_is_refused(words, tmp_path, capsys):
    (tmp_path / "prompts").write_text("\n\n")
    with pytest.raises(SystemExit):
        cli.main([*words, "--out", str(tmp_path / "out"), "--prompts", str(tmp_path / "prompts")])
    assert "holds no prompt" in capsys.readouterr().err
