"""Cells measured elsewhere: a worker killed in the middle, other versions, a scheduler that is not there, any study."""

from __future__ import annotations

import os
import pickle
import signal
import sys

import pytest

from veridraft.reports import cli
from veridraft.reports.running import parallel
from veridraft.reports.running import study as running
from veridraft.reports.running.parallel import Workers
from veridraft.reports.running.sources import source_digest, versions
from veridraft.reports.studies.gaps import cases
from veridraft.reports.studies.gaps.cases import FAMILIES, GapPlan
from veridraft.reports.studies.gaps.study import GapsFile
from veridraft.reports.studies.table import get_study
from veridraft.theory.verifiers.table import OWN as OWN_VERIFIERS

NAMES = ("naive_tree", "spectr", "specinfer", "traversal")
PLAN = GapPlan(3, NAMES)
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
    "--jobs 0": "jobs must be at least 1",
    "--scheduler tcp://127.0.0.1:9 --jobs 2": "jobs is 2, but a scheduler has workers of its own",
}


@pytest.mark.parametrize("words", BAD)
def test_workers_that_are_not_there_are_one_line(words, tmp_path, capsys, monkeypatch):
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


MINE = """
from veridraft.theory.solvers import nss
from veridraft.theory.verifiers import Verifier, top_down
from veridraft.theory.policies import DraftLaw

mine = Verifier("mine", "mine", "a test", top_down(nss), frozenset({DraftLaw.IID}))
"""


def test_processes_measure_own_verifiers_in_any_order_and_the_text_is_the_same(tmp_path, monkeypatch, capsys):
    """The study of gaps: written long before cells were computed elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cases, "CASES", cases.CASES[:1])
    monkeypatch.setattr(cases, "FAMILIES", FAMILIES[:2])
    (tmp_path / "rules.py").write_text(MINE)
    words = ["study", "run", "gaps", "--pairs", "2", "--verifiers", "nss,rules.py:mine"]
    try:
        assert cli.main([*words, "--out", "one"]) == 0
        assert cli.main([*words, "--out", "two", "--jobs", "2"]) == 0
    finally:
        OWN_VERIFIERS.clear()
    one, two = (GapsFile.load(name) for name in ("one", "two"))
    assert len(one.cells) == 6
    assert one.cells == two.cells
    texts = [(tmp_path / name / "gaps.txt").read_text() for name in ("one", "two")]
    assert texts[0] == texts[1].replace("--out two", "--out one")


def test_cells_come_in_the_order_of_the_plan_whenever_they_finish():
    file = opened(None)
    for number in (3, 0, 2):
        file.add(dict(zip(file.fields, CELLS[number], strict=True)))
    assert [list(file.key(cell)) for cell in file.cells] == [CELLS[number] for number in (0, 2, 3)]


STUDIES_OF_CELLS = (
    "gaps", "findings", "auditing", "texts", "delayed", "lengths", "actions", "tree-rules", "shapes",
)  # fmt: skip


@pytest.mark.parametrize("name", STUDIES_OF_CELLS)
def test_every_study_of_exact_cells_can_be_sent_to_workers(name, tmp_path, monkeypatch):
    """Its plan, sent as a worker gets it, has the same settings; nothing that it keeps is sent along."""
    sent = []
    monkeypatch.setattr(parallel.Workers, "steps", lambda workers, file, plan: sent.append((workers, file, plan)))
    study = get_study(name)
    options = running.run_parser(study).parse_args(["--jobs", "3", "--out", str(tmp_path)])
    study.start(options, tmp_path, "")
    ((workers, file, plan),) = sent
    assert workers == Workers(3)
    assert len(parallel.pickled(plan)) < 4_000
    assert pickle.loads(parallel.pickled(plan)).settings().items() <= file.settings.items()
