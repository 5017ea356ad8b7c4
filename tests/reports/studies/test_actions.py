"""The study of actions: values against independent ones, a kill in the middle of two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from veridraft.reports.studies.actions import plan, points, tables
from veridraft.reports.studies.actions.plan import CONTROL, exact_values, pair_of, sampled_values
from veridraft.reports.studies.actions.study import ActionFile
from veridraft.theory import Chain, Delayed, Schedule, block_efficiency, get_device, get_network, roofline_model
from veridraft.theory.search import PairTrees
from veridraft.theory.search.book import Book


def test_exact_values_are_those_of_each_action_by_itself():
    pair = pair_of("growing", 0.8, 0.9, 1)
    for verifier in ("specinfer", "nss"):
        values = exact_values(verifier, pair)
        assert values.shape == (4, 9, 9)
        for paths, trunk, branch in ((1, 0, 5), (1, 3, 2), (3, 2, 0), (2, 0, 4), (4, 3, 2), (3, 8, 8), (4, 0, 0)):
            policy = Delayed(paths, trunk, branch) if paths > 1 and branch else Chain(trunk + branch)
            expected = block_efficiency(verifier, policy, pair, "dp").value if policy.depth else 1
            assert values[paths - 1, trunk, branch] == pytest.approx(expected), (paths, trunk, branch)


def test_sampled_values_meet_exact_ones_within_five_errors(monkeypatch):
    """Four tokens, where Traversal can be enumerated; the control takes most of the error away."""
    monkeypatch.setattr(plan, "VOCABULARY_SIZE", 4)
    pair = pair_of("growing", 1.0, 1.0, 0)
    book = Book(PairTrees([pair]), 3)
    values, errors = sampled_values("traversal", book, 40, exact_values(CONTROL, pair))
    for paths, trunk, branch in ((1, 0, 2), (1, 2, 1), (2, 0, 2), (3, 1, 1), (2, 2, 2)):
        policy = Delayed(paths, trunk, branch) if paths > 1 else Chain(trunk + branch)
        exact = block_efficiency("traversal", policy, pair, "enumerate").value
        place = paths - 1, trunk, branch
        assert abs(values[place] - exact) < 5 * errors[place] + 1e-9, place
    plain = np.std(book.expected("traversal", Delayed(2, 0, 8), 40).tokens, ddof=1) / 40**0.5
    assert errors[1, 0, 8] < 0.7 * plain


def test_the_best_of_a_space_and_the_seconds_of_an_action():
    values = np.zeros((4, 9, 9))
    values[0, 0, 3], values[2, 0, 4], values[1, 2, 5], values[0, 3, 0] = 2.0, 3.0, 4.0, 9.0
    chain, root, everything = tables.spaces()
    assert tables.best_of(values, chain) == (2.0, (1, 0, 3))
    assert tables.best_of(values, root) == (3.0, (3, 0, 4))
    assert tables.best_of(values, everything) == (9.0, (1, 3, 0))
    seconds = tables.seconds_of("32B", "0.5B")
    model = roofline_model(get_network("32B"), get_network("0.5B"), get_device("A100").times(2))
    step = model.step(Schedule.of_policy(Delayed(3, 1, 2)), tables.CONTEXT)
    assert seconds[2, 1, 2] == pytest.approx(step.total)
    assert seconds[0, 2, 2] == pytest.approx(model.step(Schedule.of_policy(Chain(4)), tables.CONTEXT).total)


def test_the_points_of_the_paper_are_answered_by_the_cells():
    """Two cells, in which every rule has its own best action."""
    names = ("nss", "naive_tree", "specinfer", "spectr", "traversal")
    cells = []
    for gain in (1.0, 2.0):
        values = {name: np.ones((4, 9, 9)) for name in names}
        values["naive_tree"][0, 0, 4], values["specinfer"][2, 0, 4], values["specinfer"][2, 2, 4] = 2.0, 3.0, 3.0 + gain
        values["traversal"][0, 0, 8], values["nss"][0, 0, int(4 * gain)] = 1.0 + gain / 10, 5.0
        errors = {"traversal": np.full((4, 9, 9), 0.05).tolist()}
        cells.append({"values": {name: value.tolist() for name, value in values.items()}, "errors": errors})
    said = points.answers(cells)
    assert "best E[tau + 1] from the root is Naive's best chain's times 1.500 (1.500 to 1.500)" in said
    assert "is +0.150 in the mean and +0.100 at least, where its standard error is 0.050" in said
    seconds = tables.seconds_of(*tables.PAIRS[0])
    ratios = [(3 + gain) / seconds[2, 2, 4] / (3 / seconds[2, 0, 4]) for gain in (1, 2)]
    assert f"SpecInfer times {np.mean(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})" in said
    best = [5 / seconds[0, 0, 4], 5 / seconds[0, 0, 8]]
    fixed = max((best[0] + 1 / seconds[0, 0, 4]) / 2, (best[1] + 1 / seconds[0, 0, 8]) / 2, 1 / seconds.min())
    assert f"nss {100 * (np.mean(best) / fixed - 1):+.1f} %" in said


def cells_of(path: Path) -> list[str]:
    """The finished cells' lines."""
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()[1:]


def test_a_kill_in_the_middle_loses_no_finished_cell_and_leaves_no_process(tmp_path):
    """What the processes give in the end is what this one does."""
    command = [sys.executable, "-m", "veridraft", "study", "run", "actions", "--quick", "--jobs", "2", "--out", "run"]
    path = tmp_path / "run" / "actions.jsonl"
    run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 400
    while not cells_of(path) and time.monotonic() < until:
        time.sleep(0.05)
    children = children_of(run.pid)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    kept = cells_of(path)
    assert len(kept) >= 1
    while any(map(is_running, children)) and time.monotonic() < until:
        time.sleep(0.05)
    assert children
    assert not any(map(is_running, children))
    said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=300).stdout
    assert "SpecInfer's best K in 1..4 over Naive's best chain" in said
    finished = cells_of(path)
    assert finished[: len(kept)] == kept
    assert len(finished) == 2
    (key, cell), _ = ActionFile.load(path).finished.items()
    here = dict(zip(ActionFile.fields, key, strict=True)) | plan.ActionPlan(quick=True).measure(*key)
    assert cell == json.loads(json.dumps(here))


def children_of(parent: int) -> list[int]:
    """The processes that a process has started, from Linux' table."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(place.parent.name))
    return found


def is_running(process: int) -> bool:
    """True if it is there, and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
