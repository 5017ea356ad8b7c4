"""The study of shapes: single nodes against the solvers' own laws, sizes, verdicts, and the study on a small plan."""

from __future__ import annotations

import numpy as np
import pytest

from veridraft.reports import cli
from veridraft.reports.studies.shapes import nodes, plan, text, trees
from veridraft.reports.studies.shapes.study import ShapeFile
from veridraft.theory import Iid, Static, Topology, TopPlusOne, block_efficiency
from veridraft.theory.pairs.layered import Layer, LayeredPair, widening_pair


def test_acceptance_at_single_nodes_is_that_of_trees_of_one_level():
    pair = widening_pair(5, 1, seed=2, start=0.5)
    found = nodes.acceptance_of(pair.layer(0))
    for width in (1, 2, 3):
        distinct, top = Static(Topology.k_ary(width, 1), replacement=False), TopPlusOne(width, 1)
        kinds = {"without replacement, RRSw": ("rrsw", distinct), "top and one draw, Greedy": ("greedy", top),
                 "independent draws, SpecInfer": ("specinfer", Iid(width, 1)),
                 "independent draws, SpecTr": ("spectr", Iid(width, 1))}  # fmt: skip
        for kind, (verifier, policy) in kinds.items():
            expected = block_efficiency(verifier, policy, pair, "enumerate").value - 1
            assert found[kind][width - 1] == pytest.approx(expected), (kind, width)
        assert found["by rule, NSS"][width - 1] <= 1
    assert found["without replacement, RRSw"][3] is None


def test_bins_and_correlation_of_rows_that_are_known():
    layer = Layer(np.array([[0.5, 0.5, 0.0]]), np.array([[0.25, 0.5, 0.25]]))
    found = nodes.drawn_tokens(layer)
    assert [drawn for drawn, _ in found["bins"]] == pytest.approx([0, 0, 0, 0.5, 0.5, 0])
    assert [accepted for _, accepted in found["bins"]] == pytest.approx([0, 0, 0, 0.25, 0.5, 0])
    drawn, accepted, likely = np.array([0.25, 0.5, 0.25]), np.array([1, 1, 0]), np.array([0.25, 0.5, 0.25])
    centred = [one - drawn @ one for one in (accepted, likely)]
    expected = drawn @ (centred[0] * centred[1]) / np.sqrt((drawn @ centred[0] ** 2) * (drawn @ centred[1] ** 2))
    assert found["correlation"] == pytest.approx(expected)
    assert nodes.drawn_tokens(Layer(np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]])))["correlation"] == 0


def test_trees_keep_their_budget_and_trees_by_rule_are_exact():
    pair = plan.pair_of("near", 1.0, 1.0, 1)
    shapes = trees.shapes_of(pair, 8, 1)
    assert list(shapes) == list(trees.VERIFIERS)
    found = trees.tree_values(pair, 8, 4, 1)
    for name in ("DySpec", "Sequoia", "OPT-Tree", "EAGLE-2", "chain"):
        assert found["nodes"][name] == 8, name
    assert 5 < found["nodes"]["DySpec by threshold"] < 11
    assert found["nodes"]["SpecInfer"] <= 8
    exact = block_efficiency("nss", shapes["OPT-Tree"], pair, "enumerate").value
    assert found["values"]["OPT-Tree"]["nss"] == pytest.approx(exact)
    assert found["errors"]["OPT-Tree"]["nss"] == 0 < found["errors"]["DySpec"]["rrsw"]


def test_each_model_has_its_own_temperature():
    pair = plan.pair_of("far", 0.0, 0.6, 3)
    assert isinstance(pair, LayeredPair)
    assert set(np.unique(pair.layer(2).target)) == {0.0, 1.0}
    plain = plan.pair_of("far", 1.0, 1.0, 3)
    assert pair.layer(2).draft[1] == pytest.approx(plain.layer(2).draft[1] ** (1 / 0.6)
                                                   / (plain.layer(2).draft[1] ** (1 / 0.6)).sum())  # fmt: skip


def cells_of(percent: float) -> list[dict]:
    """DySpec so many per cent above every other rule at T 0.6, 64 nodes; pairs differ by 0.1 points."""
    cells = []
    for seed in range(4):
        values = {shape: dict.fromkeys(names, 2.0) for shape, names in trees.VERIFIERS.items()}
        values["DySpec"]["rrsw"] = 2 * (1 + (percent + 0.1 * (seed - 1.5)) / 100)
        cells.append({"family": "near", "target": 0.6, "draft": 0.6, "budget": 64, "seed": seed, "values": values})
    return cells


SAID = [(8.0, "confirmed"), (9.0, "exceeded"), (7.4, "neither confirmed nor refuted"),
        (3.0, "not reached, though it gains"), (0.1, "refuted")]  # fmt: skip


@pytest.mark.parametrize("percent, said", SAID)
def test_claims_are_held_against_intervals(percent, said):
    lead = text.lead(cells_of(percent))
    assert f"DySpec over Sequoia at T = 0.6, claimed +7.5 to 8.6 %, is {said} on these pairs: {percent:+.2f}" in lead
    assert "DySpec over Sequoia at T = 0, claimed +5.2 to 62.6 %: not finished." in lead


def test_the_study_runs_resumes_and_answers(tmp_path, capsys, monkeypatch):
    small = {"FAMILIES": {"near": (1.0, 0.0)}, "SAMPLINGS": ((0.6, 0.6),), "BUDGETS": (4,), "VOCABULARY_SIZE": 8,
             "TREES": 3}  # fmt: skip
    for name, value in small.items():
        monkeypatch.setattr(plan, name, value)
        monkeypatch.setattr(text, name, value)
    monkeypatch.setattr(text, "CLAIMED_BUDGET", 4)
    words = ["study", "run", "shapes", "--pairs", "2", "--out", str(tmp_path)]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    assert cli.main(words) == 0
    assert capsys.readouterr().out == printed
    assert len(ShapeFile.load(tmp_path).cells) == 4
    assert "DySpec over Sequoia at T = 0.6, claimed +7.5 to 8.6 %, is " in printed
    assert "correlate at " in printed
    assert "Target at T = 0.6, draft at 0.6" in printed
    assert (tmp_path / "shapes.html").exists()
