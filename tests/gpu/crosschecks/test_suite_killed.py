"""A suite that is killed, for real, and goes on with the same command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import tiny_model

from veridraft.gpu.crosschecks.suite import SuitePlan, measure_cell
from veridraft.gpu.files.kinds import SuiteFile
from veridraft.gpu.models.random_models import load_timing_pair
from veridraft.reports.cli import main

PART = {"verifiers": ["naive", "block"], "policies": ["Chain(2)"], "temperatures": [0.6, 1.0], "top_ps": [1.0]}
WORDS = ["--verifiers", "naive,block", "--policies", "Chain(2)", "--temperatures", "0.6,1", "--top-ps", "1"]
STEPS = 100
RUN = "import sys; from veridraft.reports.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The words of the command, its folder, and what the file held when it was killed, two cells being finished."""
    folder = tmp_path_factory.mktemp("suite")
    tiny_model().save_pretrained(folder / "target")
    words = ["study", "run", "suites", "--target", str(folder / "target"), "--draft", "skip:1", *WORDS,
             "--steps", str(STEPS), "--out", str(folder / "out")]  # fmt: skip
    run = subprocess.Popen([sys.executable, "-c", RUN, *words], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    path, end = folder / "out" / "suite.jsonl", time.monotonic() + 300
    while not path.exists() or path.read_bytes().count(b"\n") < 3:
        assert run.poll() is None and time.monotonic() < end, "the suite must run until it is killed"
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    return words, path, path.read_bytes()


def test_it_goes_on_without_losing_or_repeating_a_cell(killed, capsys):
    words, path, held = killed
    before = SuiteFile.load(path)
    assert 2 <= len(before.cells) < len(before.planned) == 6, "the kill must fall between the first cell and the last"
    assert main(words) in (0, 1), "whether the cells agree is not the matter here"
    after = SuiteFile.load(path)
    assert path.read_bytes().startswith(held[: held.rfind(b"\n") + 1])
    assert tuple(map(SuiteFile.key, after.cells)) == after.planned
    assert f"suites: {len(before.cells)} of 6 cells are finished already" in capsys.readouterr().err


def test_a_cell_after_the_kill_is_what_it_would_have_been(killed):
    words, path, _ = killed
    pair = load_timing_pair(words[words.index("--target") + 1], "skip:1")
    plan = SuitePlan.of("small", pair, steps=STEPS, **PART)
    record = measure_cell(pair, plan.cells[-1], plan)
    last = SuiteFile.load(path).cells[-1]
    same = ("measured", "predicted", "interval", "z", "z_draft", "z_text", "by_depth", "text_tokens", "verdict")
    assert {name: record[name] for name in same} == {name: last[name] for name in same}
