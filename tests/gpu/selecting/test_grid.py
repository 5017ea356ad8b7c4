"""The actions of the paper, and the seconds of their steps by its eq. 11."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from veridraft.gpu.selecting.data.examples import seconds_of
from veridraft.gpu.selecting.grid import Grid, Machine, MeasuredMachine
from veridraft.gpu.selecting.plan import RootPlan, SelectorPlan
from veridraft.theory.policies.paths import Chain, Delayed
from veridraft.theory.speed.latency import Line, PassTable
from veridraft.theory.speed.rates import LatencyModel


def test_the_papers_actions_are_324_of_which_some_are_one_policy():
    grid = Grid()
    assert len(grid.policies) == len(grid.triples) == 324 and grid.shape == (4, 9, 9)
    named = dict(zip(grid.triples, grid.policies, strict=True))
    assert named[1, 3, 2] == named[1, 0, 5] == named[4, 5, 0] == Chain(5) and named[3, 2, 1] == Delayed(3, 2, 1)
    assert len(set(grid.policies)) == 17 + 3 * 9 * 8


@pytest.mark.parametrize("verifier, kept", [("block", Chain), ("specinfer", Delayed), ("traversal", Delayed)])
def test_single_path_rules_are_allowed_chains_alone(verifier, kept):
    grid = Grid(2, 2)
    allowed = grid.allowed(verifier)
    assert all(isinstance(policy, kept) for policy, is_kept in zip(grid.policies, allowed, strict=True) if is_kept)
    assert allowed.sum() == (12 if kept is Chain else 18)


def test_seconds_are_those_of_eq_11_with_verification_and_overhead():
    grid, machine = Grid(3, 3), Machine("A100", "8B", "1B", 0.0)
    model, length = machine.model, 100
    found = grid.seconds(model, [length, 7, length])
    for number in (0, 1, 14, 47):
        paths, trunk, branch = grid.triples[number]
        paths = paths if branch else 1
        drafted = [1] * trunk + [1 if level == 0 else paths for level in range(branch)]
        fed = np.concatenate([[0], np.cumsum(drafted)])[: len(drafted)]
        draft = sum(model.draft.seconds(length - 1 + int(old), new) for old, new in zip(fed, drafted, strict=True))
        nodes = 1 + trunk + paths * branch
        line, over = model.verification["*"].seconds(nodes), model.overhead.seconds(nodes)
        expected = draft + model.target.seconds(length - 1, nodes) + line + over
        assert found[0, number] == pytest.approx(expected, rel=1e-12)
    assert (found[0] == found[2]).all() and (found[1] < found[0]).any()
    np.testing.assert_allclose(machine.passes([length])[0], [model.target.seconds(99, 1), model.draft.seconds(99, 1)])


def test_a_machine_of_unknown_names_is_refused():
    with pytest.raises(ValueError, match="H1000"):
        Machine("H1000")
    with pytest.raises(ValueError, match="must be a number of seconds"):
        Machine(choice=-1.0)


def test_plans_come_back_from_their_settings():
    plan = SelectorPlan(RootPlan(texts=7, verifiers=("nss", "traversal")), Machine("B200", "70B", "8B"))
    assert SelectorPlan.of(plan.settings()) == plan


def measured(most=5, choice=0.01):
    """A machine whose target takes a second for each new token, and three behind ten tokens; two verifiers."""
    target = PassTable((0, 10), (1, most), ((1.0, 1.0 * most), (3.0, 3.0 * most)), "target pass")
    draft = PassTable((0, 10), (1, 2), ((0.5, 0.75), (0.5, 0.75)), "draft pass")
    lines = {"block": Line(0.125), "traversal": Line(0.0, 0.25)}
    return MeasuredMachine(LatencyModel(target, draft, lines, Line(0.0625), "somewhere", "measured"), choice)


def test_a_measured_machine_has_each_verifiers_seconds_and_the_nearest_context_that_was_measured():
    plan = RootPlan(verifiers=("traversal", "block"), grid=Grid(2, 2))
    found = seconds_of(plan, measured(7), [1, 6, 1000])
    assert found.shape == (3, 2, 18)
    number = plan.grid.triples.index((2, 1, 1))  # a trunk of one token, then two: passes over 1 and 1, four nodes
    for row, each in enumerate((1.0, 2.0, 3.0)):
        passes = 0.5 + 0.5 + 4 * each + 0.0625
        assert found[row, :, number].tolist() == [passes + 4 * 0.25, passes + 0.125]
    np.testing.assert_allclose(measured().passes([1, 1000]), [[1.0, 0.5], [3.0, 0.5]])


def test_a_measured_machine_is_kept_in_a_plan_whose_trees_it_was_measured_with():
    roots = RootPlan(verifiers=("block", "traversal"), grid=Grid(2, 2))
    plan = SelectorPlan(roots, measured(7))
    assert SelectorPlan.of(json.loads(json.dumps(plan.settings()))) == plan
    assert plan.settings() == json.loads(json.dumps(plan.settings()))
    with pytest.raises(ValueError, match="target pass: new tokens 6 lies outside the measured 1 to 5"):
        SelectorPlan(roots, measured(5))
    with pytest.raises(ValueError, match="somewhere knows no verification by 'specinfer', only by block, traversal"):
        SelectorPlan(replace(roots, verifiers=("specinfer",)), measured(7))
