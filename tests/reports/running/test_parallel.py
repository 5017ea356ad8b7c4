"""Cells on a real Dask cluster: a worker killed in the middle, other versions, a scheduler that is not there."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from veridraft.reports import cli
from veridraft.reports.running import parallel
from veridraft.reports.running.parallel import Workers
from veridraft.reports.running.sources import source_digest, versions
from veridraft.reports.studies.gaps.cases import FAMILIES, GapPlan
from veridraft.reports.studies.gaps.study import GapsFile

NAMES = ("naive_tree", "spectr", "specinfer", "traversal")
PLAN = GapPlan(6, NAMES)
CELLS = [["Iid(2, 2)", family.name, name] for family in FAMILIES[:4] for name in NAMES]


@pytest.fixture(scope="module")
def cluster():
    """Two workers, each a process of one thread; a killed one is started anew."""
    distributed = pytest.importorskip("distributed")
    import dask

    patient = {"distributed.comm.timeouts.connect": "300s", "distributed.comm.timeouts.tcp": "300s"}
    workers = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with dask.config.set(patient), distributed.LocalCluster(**workers) as running:
        yield running


def opened(folder, **changed) -> GapsFile:
    """A file of some cells of the study of gaps."""
    return GapsFile.open(folder, "", {"cells": CELLS, "code": source_digest(GapPlan.__module__)}, versions() | changed)


def test_a_worker_killed_in_the_middle_loses_no_cell(cluster, tmp_path):
    file = opened(tmp_path)
    steps = Workers(scheduler=cluster.scheduler_address).steps(file, PLAN)
    assert next(steps)[:2] == (0, len(CELLS))
    next(steps)
    busy = {worker.address for worker in cluster.scheduler.workers.values() if worker.processing}
    victim = next(nanny.pid for nanny in cluster.workers.values() if nanny.worker_address in busy)
    os.kill(victim, signal.SIGKILL)
    assert [done for done, _, _ in steps] == list(range(2, len(CELLS) + 1))
    here = opened(None)
    assert [done for done, _, _ in here.finish(PLAN.measure)][-1] == len(CELLS)
    assert GapsFile.load(tmp_path).finished == here.finished


def test_a_study_goes_on_where_it_was_stopped_and_other_versions_are_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "AHEAD", 2)
    workers = Workers(scheduler=cluster.scheduler_address)
    steps = workers.steps(opened(tmp_path), PLAN)
    kept = [next(steps)[0] for _ in range(4)][-1]
    steps.close()
    assert kept == 3
    assert [done for done, _, _ in workers.steps(opened(tmp_path), PLAN)] == list(range(3, len(CELLS) + 1))
    other = opened(None, numpy="0.1")
    with pytest.raises(ConnectionError, match=f"a worker's numpy is {versions()['numpy']}, not 0.1"):
        list(workers.steps(other, PLAN))
    assert not other.finished


BAD = {
    "--scheduler tcp://127.0.0.1:9": "scheduler 'tcp://127.0.0.1:9' does not answer",
    "--scheduler nowhere://x": "scheduler 'nowhere://x' does not answer: unknown address scheme",
    "--scheduler tcp://127.0.0.1:9 --jobs 2": "jobs is 2, but a scheduler has workers of its own",
}


@pytest.mark.parametrize("words", BAD)
def test_a_scheduler_that_is_not_there_is_one_line(words, tmp_path, capsys, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(parallel, "WAIT", 0.3)
    with pytest.raises(SystemExit) as stop:
        cli.main(["study", "run", "actions", "--quick", *words.split(), "--out", str(tmp_path)])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert BAD[words] in error
    assert error.count("\n") == 1


def test_without_dask_the_extra_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SystemExit) as stop:
        cli.main(["study", "run", "actions", "--quick", "--scheduler", "tcp://127.0.0.1:9", "--out", str(tmp_path)])
    assert stop.value.code == 2
    assert "pip install 'veridraft[cluster]'" in capsys.readouterr().err
