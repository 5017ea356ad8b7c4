"""The study of hardware: gains by hand, batches at which they end, and the study on a small file of actions."""

from __future__ import annotations

import numpy as np
import pytest

from veridraft.reports import cli
from veridraft.reports.studies.actions.study import ActionFile
from veridraft.reports.studies.actions.tables import CONTEXT, seconds_by_action, verifiers
from veridraft.reports.studies.hardware import plan, text
from veridraft.reports.studies.hardware.figures import _panel
from veridraft.reports.studies.hardware.study import HardwareFile
from veridraft.theory import Delayed, Schedule


def values_of(**entries: float) -> list:
    """(4, 9, 9) ones, but for actions named ``K_L1_L2``."""
    values = np.ones((4, 9, 9))
    for name, value in entries.items():
        paths, trunk, branch = map(int, name[1:].split("_"))
        values[paths - 1, trunk, branch] = value
    return values.tolist()


def test_gains_over_no_draft_over_chains_and_over_the_root():
    tree = values_of(a1_0_4=2.0, a3_0_4=3.0, a2_2_4=4.0)
    cells = [{"values": {"naive_tree": values_of(a1_0_4=2.5), "traversal": tree}}] * 3
    found = plan.gains_of(cells, "traversal", np.full((4, 9, 9), 0.5))
    assert found == {"gain": 1.0, "tree": 0.6, "delay": round(1 / 3, 6), "pays": 1.0, "action": (2, 2, 4)}
    assert plan.gains_of(cells, "naive_tree", np.full((4, 9, 9), 0.4))["pays"] == 0.0


def test_a_batch_pays_up_to_where_the_gain_is_half_a_per_cent():
    gains = {1: 0.5, 2: 0.3, 4: 0.006, 8: 0.004, 16: -0.1, 32: -0.1, 64: -0.2, 128: -0.2}
    by_batch = {str(batch): {"nss": {"gain": gain}} for batch, gain in gains.items()}
    assert text.last_batch(by_batch, "nss", "gain") == 4
    assert text.last_batch({batch: {"nss": {"gain": -1.0}} for batch in by_batch}, "nss", "gain") == 0


def test_the_fewest_gpus_are_taken_and_a_batch_takes_longer():
    gpus, model = plan.model_of("A100", "8B", "1B")
    assert gpus == 1
    assert plan.model_of("L40S", "70B", "8B")[0] > plan.model_of("H200", "70B", "8B")[0] > 1
    step = model.at_batch(8).step(Schedule.of_policy(Delayed(2, 1, 3)), CONTEXT)
    seconds = seconds_by_action(model.at_batch(8))
    assert seconds[1, 1, 3] == pytest.approx(float(step.total))
    assert (seconds > seconds_by_action(model)).all()


def test_the_study_reads_the_cells_of_the_other_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plan, "MACHINES", ("H100",))
    monkeypatch.setattr(plan, "PAIRS", (("8B", "1B"),))
    monkeypatch.setattr(plan, "BATCHES", (1, 128))
    monkeypatch.setattr(text, "BATCHES", (1, 128))
    monkeypatch.setattr(text, "SHOWN", (1, 128))
    keys = [["steady", 1.0, 1.0, 0], ["growing", 1.0, 1.0, 0]]
    actions = ActionFile.open(tmp_path / "actions", "command", {"cells": keys}, {})
    words = ["study", "run", "hardware", "--actions", str(tmp_path / "actions"), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    assert "no cell of that study is finished" in capsys.readouterr().err
    values = {name: values_of(a1_0_4=3.0, a4_0_4=3.5, a4_2_4=4.0) for name in verifiers()}
    for key in keys:
        actions.add(dict(zip(ActionFile.fields, key, strict=True)) | {"values": values, "errors": {}, "profiles": {}})
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    assert cli.main(words) == 0
    assert capsys.readouterr().out == printed
    assert "8B with 1B: speculation pays up to a batch of " in printed
    cell = HardwareFile.load(tmp_path / "out").cells[0]
    assert cell["gpus"] == 1
    model = plan.model_of("H100", "8B", "1B")[1]
    pace = float(model.plain(CONTEXT)) / seconds_by_action(model)
    best = max(3.0 * pace[0, 0, 4], 3.5 * pace[3, 0, 4], 4.0 * pace[3, 2, 4], pace.max())
    assert cell["found"]["steady"]["1"]["nss"]["gain"] == pytest.approx(best - 1, abs=1e-6)
    assert cli.main(["study", "show", "hardware", "--out", str(tmp_path / "out"), "--format", "csv"]) == 0
    assert len((tmp_path / "out" / "hardware.csv").read_text().splitlines()) == 1 + 2 * 2 * len(verifiers())


def test_the_picture_has_a_line_through_the_best_gains_of_each_machine():
    axes = pytest.importorskip("matplotlib.figure", reason="figures need matplotlib").Figure().subplots()
    found = {"1": {"nss": {"gain": 0.5}, "khisti": {"gain": 2.0}}, "128": {"nss": {"gain": 0.1}, "khisti": {"gain": 0}}}
    _panel(axes, [{"machine": "H100", "found": {"steady": found}}, {"machine": "A100", "found": {}}], "steady")
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines[1:]}
    assert drawn == {"H100": [[1, 200], [128, 10]], "A100": []}
