"""Budgets: trials and seconds bound every call, the verdict comes before its explanation, every case has its turn."""

import re
import time
from itertools import pairwise

import numpy as np
import pytest
from draws import choice
from one_call import naive

from veridraft.simulate import Form, Verdict, audit, default_cases
from veridraft.simulate.auditing import course
from veridraft.simulate.forms.pace import GROWTH, MOST, Pace


class Counted:
    """A verifier that counts the trials that it decides."""

    def __init__(self, verifier, batched=False):
        self.verifier, self.batched, self.trials = verifier, batched, 0

    def __call__(self, target, draft, tokens, rng):
        self.trials += len(tokens) if self.batched else 1
        return self.verifier(target, draft, tokens, rng)


def first_draft(target, draft, tokens, rng):
    return [int(tokens[0])]


@pytest.mark.parametrize("verifier", [naive, first_draft])
@pytest.mark.parametrize("trials", [64, 500, 3_000])
def test_trials_bound_all_calls_and_all_are_counted(verifier, trials):
    counted = Counted(verifier)
    result = audit(counted, trials=trials)
    assert counted.trials == result.trials + result.further <= trials
    assert f"{result.trials:,} trials" in result.text()
    if result.further:
        assert f"{result.further:,} not judged" in result.text()


def test_chosen_uniforms_stop_where_none_is_asked_for():
    own = np.random.default_rng(0)
    counted = Counted(lambda target, draft, tokens, rng: naive(target, draft, tokens, own))
    result = audit(counted, trials=2_000)
    assert counted.trials <= 2_000 and "no uniforms asked for" in result.text()


@pytest.mark.parametrize("trials", [60, 200])
def test_chosen_uniforms_that_the_budget_did_not_reach_are_said_to_be_so(trials):
    text = " ".join(audit(naive, trials=trials).text().split())
    assert "no uniforms asked for" not in text
    assert re.search(r"in \d+ of 14 cases neither trials nor time were left for it", text)
    assert "not tried with chosen uniforms everywhere" not in audit(naive, trials=60, chosen_uniforms=False).text()


def test_time_is_kept_for_chosen_uniforms():
    def up_to(target, draft, tokens, rng):
        for place, token in enumerate(tokens):
            if rng.random() * draft[place, token] > target[place, token]:
                rest = np.maximum(target[place] - draft[place], 0)
                return [*map(int, tokens[:place]), choice(rest / rest.sum(), rng)]
        return [*map(int, tokens), choice(target[-1], rng)]

    result = audit(up_to, seconds=6.0)
    assert result.verdict is Verdict.LOSSY and result.findings[0].sign.name == "CHOSEN_UNIFORMS"


def test_every_case_is_tried_before_any_is_tried_twice():
    seen = []

    def watched(target, draft, tokens, rng):
        seen.append(target.shape)
        return naive(target, draft, tokens, rng)

    result = audit(watched, trials=300)
    names = {case.name for case in default_cases(Form.CHAIN)}
    assert {case.case for case in result.cases} == names and not result.untried
    assert max(case.trials for case in result.cases) <= 3 * min(case.trials for case in result.cases)


def test_cases_that_the_budget_does_not_reach_are_named():
    result = audit(naive, trials=5, chosen_uniforms=False)
    assert set(result.untried) == {case.name for case in default_cases(Form.CHAIN)} - {one.case for one in result.cases}
    assert result.untried and "the budget did not reach the cases" in result.text()


def test_the_verdict_is_told_before_it_is_explained(monkeypatch):
    order = []
    explain = course.explained
    monkeypatch.setattr(course, "explained", lambda *words: order.append("explained") or explain(*words))
    result = audit(first_draft, trials=5_000, told=lambda reached: order.append(reached.verdict))
    assert order == [Verdict.LOSSY, "explained"]
    assert result.further > 0


def test_without_an_explanation_nothing_further_is_called():
    counted = Counted(first_draft)
    result = audit(counted, trials=100_000, mechanism=False)
    assert result.verdict is Verdict.LOSSY and result.telling is None
    assert counted.trials < 1_000


def test_seconds_alone_give_a_verdict_with_the_sensitivity_that_was_reached():
    result = audit(naive, seconds=1.0)
    assert result.verdict is Verdict.NO_DEFECT_FOUND and not result.untried
    assert "Found with probability 0.999 would have been" in result.text()


def test_a_slow_right_verifier_is_given_smaller_batches():
    """A call of 16,384 trials would take 33 s: the limit is 2."""
    sizes = []

    def slow(target, draft, tokens, rng):
        sizes.append(len(tokens))
        time.sleep(0.002 * len(tokens))
        first = (np.cumsum(target[:, 0], axis=1) <= rng.random(len(tokens))[:, None]).sum(axis=1)
        return np.minimum(first, target.shape[2] - 1)[:, None]

    result = audit(slow, batched=True, seconds=6, call_seconds=2.0)
    assert result.verdict is Verdict.NO_DEFECT_FOUND and result.failure is None
    assert 0.002 * max(sizes) < 2.0


def test_a_batch_is_no_larger_than_asked_for():
    sizes = []

    def watched(target, draft, tokens, rng):
        sizes.append(len(tokens))
        return [naive(*rows, rng) for rows in zip(target, draft, tokens, strict=True)]

    audit(watched, batched=True, batch=10, trials=3_000, chosen_uniforms=False)
    judged = [size for size in sizes if size != 48]
    assert max(judged) <= 48  # replays are of 48 at most


def test_chunks_add_up_grow_and_hold_their_time():
    pace = Pace(batched=True)
    sizes = list(pace.chunks(30_000, whole=3))
    assert sum(sizes) == 30_000 and all(size % 3 == 0 for size in sizes) and max(sizes) <= MOST[True]
    assert all(after <= GROWTH * before for before, after in pairwise(sizes))
    timed = Pace(batched=True, seconds=0.05)
    for size in timed.chunks(200):
        time.sleep(0.001 * size)
    assert timed.chunk <= 50
