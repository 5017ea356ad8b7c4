"""A run against its prediction: agreement of right verifiers, disagreement of broken ones, what is undecided."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from engine_samples import decoded, random_pair
from scipy import stats

from veridraft.gpu.engines.agreement.agreement import LengthOutcome, compare_lengths, compare_same_steps
from veridraft.gpu.engines.agreement.clusters import Unit, units_of_run
from veridraft.gpu.engines.agreement.predictions import given_rates, predict_from_trace
from veridraft.gpu.engines.agreement.rate_tests import (
    binomial_interval,
    quadratic_p_value,
    step_covariance,
    telling_positions,
)
from veridraft.gpu.engines.runs import EngineRun, Format, RequestSteps
from veridraft.gpu.engines.traces import Trace
from veridraft.simulate.batches.batch import Outcome as Emitted
from veridraft.simulate.defects.broken.planted import biased
from veridraft.simulate.procedures.table import PROCEDURES
from veridraft.theory import Chain, Iid

LEVEL = 1 - 1e-6
"""Of the tests that must agree: a false alarm in a million runs of each."""


def upside_down(target, draft, paths, rng, trunk=0):
    """Accepts with min(1, q/p): the quotient of the rejection rule upside down, lengths only."""
    count, _, depth = paths.shape
    trials, levels = np.arange(count)[:, None], np.arange(depth)
    p, q = (rows[:, 0][trials, levels, paths[:, 0]] for rows in (target[:, :, :depth], draft))
    accepted = (rng.random((count, depth)) < q / p).cumprod(axis=1).sum(axis=1)
    return Emitted(accepted, np.concatenate([paths[:, 0], paths[:, 0, :1]], axis=1))


PLANTED = {
    "emits token 0 in 35 % of the steps": biased(PROCEDURES["naive"], 0.35, 0),
    "quotient upside down": upside_down,
    "stops at the second token": lambda *a, **k: _cut(PROCEDURES["naive"](*a, **k)),
}


def _cut(outcome):
    return Emitted(np.minimum(outcome.accepted, 2), outcome.tokens)


@cache
def run_of(name: str, seed: int = 1):
    """(run by request, its trace) of a right procedure or a planted defect."""
    width, depth = (2, 2) if name in ("traversal", "specinfer") else (1, 3)
    lengths, writer = decoded(
        random_pair(), PLANTED.get(name, name), depth, requests=30, steps=15, seed=seed, width=width
    )
    return EngineRun.of_lengths(lengths, depth), Trace(writer.arrays())


def policy_of(name: str):
    return Iid(2, 2) if name in ("traversal", "specinfer") else Chain(3)


@pytest.mark.parametrize("name", ["naive", "block", "traversal", "specinfer"])
def test_right_verifiers_agree(name):
    """With the trees of the same steps, and with those of a run of other texts."""
    (run, trace), (_, other) = run_of(name), run_of(name, seed=2)
    same = compare_same_steps(predict_from_trace(trace, name, policy_of(name)), LEVEL, within=0.4)
    assert (same.outcome, same.paired) == (LengthOutcome.AGREES, True)
    found = compare_lengths(run, predict_from_trace(other, name, policy_of(name)), LEVEL, within=0.4)
    assert (found.outcome, found.unit, found.units) == (LengthOutcome.AGREES, Unit.REQUESTS, 30)
    assert found.mean.holds
    assert found.whole.cells == run.spec_tokens + 1


@pytest.mark.parametrize("name", PLANTED)
def test_planted_defects_disagree(name):
    """Held against what `naive` would have accepted, in the same steps and in those of another run."""
    (run, trace), (_, other) = run_of(name), run_of("naive", seed=2)
    same = compare_same_steps(predict_from_trace(trace, "naive", Chain(3)))
    assert same.outcome is LengthOutcome.DISAGREES
    assert compare_lengths(run, predict_from_trace(other, "naive", Chain(3))).outcome is LengthOutcome.DISAGREES


def test_another_verifier_on_the_same_trees_disagrees():
    _, trace = run_of("block")
    assert compare_same_steps(predict_from_trace(trace, "block", Chain(3))).outcome is LengthOutcome.AGREES
    assert compare_same_steps(predict_from_trace(trace, "nss", Chain(3))).outcome is LengthOutcome.DISAGREES


def test_what_has_probability_0_is_a_disagreement_however_rare():
    run = EngineRun.of_lengths([[1] * 999 + [2]], 2)
    found = compare_lengths(run, given_rates([1.0, 0.0]), within=0.2)
    assert [position.impossible for position in found.positions] == [0, 1]
    assert found.outcome is LengthOutcome.DISAGREES
    always_one = EngineRun.of_lengths([[1] * 1000], 2)
    assert compare_lengths(always_one, given_rates([1.0, 0.0])).outcome is LengthOutcome.AGREES


def test_a_short_run_is_undecided():
    run = EngineRun.of_lengths([[0, 1, 2] * 5], 2)
    found = compare_lengths(run, given_rates([2 / 3, 1 / 3]))
    assert found.outcome is LengthOutcome.UNDECIDED
    assert compare_lengths(run, given_rates([2 / 3, 1 / 3]), within=0.99).outcome is LengthOutcome.AGREES


def test_units_are_requests_then_blocks_then_counted_down_steps():
    taus = np.random.default_rng(0).integers(0, 3, (20, 30)).tolist()
    requests, one = EngineRun.of_lengths(taus, 2), EngineRun.of_lengths([np.ravel(taus).tolist()], 2)
    pooled = EngineRun(Format.PROMETHEUS, 2, (RequestSteps("all", tuple(one.histogram.tolist())),), pooled=True)
    rates = given_rates([2 / 3, 1 / 3])
    found = [compare_lengths(run, rates, design_effect=4) for run in (requests, one, pooled)]
    assert [(part.unit, part.units) for part in found] == [(Unit.REQUESTS, 20), (Unit.BLOCKS, 30), (Unit.STEPS, 600)]
    assert [part.design_effect for part in found] == [1, 1, 4]
    widths = [part.positions[0].half_width for part in found]
    assert widths[2] > 1.5 * widths[0]


def test_requests_that_differ_widen_the_intervals():
    """Half of the requests accept everything, half nothing: 600 steps, but 20 coins."""
    run = EngineRun.of_lengths([[2] * 30] * 10 + [[0] * 30] * 10, 2)
    alike = EngineRun.of_lengths([[2] * 15 + [0] * 15] * 20, 2)
    rates = given_rates([0.6, 0.6])
    spread, calm = compare_lengths(run, rates), compare_lengths(alike, rates)
    assert spread.positions[0].half_width > 5 * calm.positions[0].half_width
    assert all(position.holds for position in spread.positions)
    assert not calm.positions[0].holds
    units = units_of_run(run)
    assert units.covariance[0, 0] == pytest.approx(np.repeat([0.0, 1.0], 10).var(ddof=1) / 20)


def test_short_drafts_count_where_they_drafted():
    """200 steps drafted one token of two: known by step they are left out, summed they widen the interval."""
    accepted, drafted = [[0, 1, 2, 1] * 100 + [1, 0] * 100], [[2] * 400 + [1] * 200]
    run = EngineRun.of_lengths(accepted, 2, drafted)
    known = compare_lengths(run, given_rates([0.65, 0.25]), within=0.2)
    assert [position.steps for position in known.positions] == [600, 400]
    assert known.positions[1].observed == 0.25
    assert known.mean.steps == 400
    summed = EngineRun(Format.VLLM, 2, (RequestSteps("all", tuple(run.histogram.tolist()), 1000),))
    vague = compare_lengths(summed, given_rates([0.65, 0.25]), within=0.2, design_effect=1)
    assert (vague.mean, vague.whole) == (None, None)
    assert vague.positions[1].observed == pytest.approx(1 / 6)
    assert vague.positions[1].holds
    assert not compare_lengths(summed, given_rates([0.65, 0.4]), within=0.2, design_effect=1).positions[1].holds


def test_runs_that_cannot_be_compared_are_refused():
    run = EngineRun.of_lengths([[0, 3]], 3)
    for rates, message in (([0.5, 0.4], "accepted up to 3 tokens, but the prediction has 2"),
                           ([0.5] * 4, "drafted 3 tokens, but the prediction has 4")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            compare_lengths(run, given_rates(rates))
    for settings in ({"level": 1.0}, {"within": 0.0}, {"design_effect": 0.5}):
        with pytest.raises(ValueError, match=f"{next(iter(settings))} must"):
            compare_lengths(run, given_rates([0.5] * 3), **settings)
    with pytest.raises(ValueError, match="no recorded steps"):
        compare_same_steps(given_rates([0.5]))


def test_a_tree_s_counts_are_cut_to_its_depth():
    """Engines report trees with as many positions as tokens drafted; a path accepts no more than its depth."""
    run = EngineRun(Format.VLLM, 8, (RequestSteps("all", (500, 300, 200, 0, 0, 0, 0, 0, 0), 8000),))
    found = compare_lengths(run, given_rates([0.5, 0.2]), within=0.3)
    assert (len(found.positions), found.outcome) == (2, LengthOutcome.AGREES)


def test_false_alarms_are_no_more_than_stated():
    """120 runs of 15 requests with acceptance rates of their own, at level 0.9: Beta(6, 4), then independent coins."""
    rng = np.random.default_rng(7)
    moments = np.cumprod([(6 + step) / (10 + step) for step in range(3)])
    alarms = 0
    for _ in range(120):
        rates = rng.beta(6, 4, (15, 1, 1))
        taus = (rng.random((15, 20, 3)) < rates).cumprod(axis=2).sum(axis=2)
        found = compare_lengths(EngineRun.of_lengths(taus.tolist(), 3), given_rates(moments.tolist()), 0.9)
        alarms += found.outcome is LengthOutcome.DISAGREES
    assert alarms <= stats.binom.isf(1e-4, 120, 0.1)


def test_the_parts_of_the_tests():
    low, high = binomial_interval(30, 100, 0.05)
    assert stats.binom.sf(29, 100, low) == pytest.approx(0.025)
    assert stats.binom.cdf(30, 100, high) == pytest.approx(0.025)
    assert binomial_interval(0, 10, 0.1)[0] == 0.0
    assert binomial_interval(10, 10, 0.1)[1] == 1.0
    rates, counts = np.array([0.6, 0.3]), np.array([50, 20, 30])
    pearson = stats.chisquare(counts, 100 * np.array([0.4, 0.3, 0.3])).pvalue
    reached = np.array([0.5, 0.3])
    assert quadratic_p_value(reached - rates, step_covariance(rates) / 100, np.inf) == pytest.approx(pearson)
    assert telling_positions(np.array([0.9, 0.02, 0.01]), 100) == [0]
    assert telling_positions(np.array([0.99, 0.5]), 100) == [1]
