"""What an audit says of a callable beside its law: state, generators, arrays that it writes into."""

import random

import numpy as np
import pytest
from draws import pick
from one_call import QUICK, from_target, naive

from veridraft.simulate import Trait, Verdict, audit


def traits(result):
    return {observation.trait for observation in result.observations}


def test_a_correct_verifier_shows_nothing():
    result = audit(naive, **QUICK)
    assert result.verdict is Verdict.NO_DEFECT_FOUND
    assert result.observations == ()


def test_a_deterministic_callable_is_lossy_and_said_to_draw_nothing():
    def greedy(target, draft, tokens, rng):
        return [int(target[0].argmax())]

    result = audit(greedy, **QUICK)
    assert result.verdict is Verdict.LOSSY
    assert Trait.DETERMINISTIC in traits(result)
    assert "it draws nothing" in result.text()


def test_state_between_calls_is_said():
    own = np.random.default_rng(0)
    result = audit(lambda target, draft, tokens, rng: from_target(target, draft, tokens, own), **QUICK)
    assert result.verdict is Verdict.NO_DEFECT_FOUND
    assert Trait.NOT_A_FUNCTION in traits(result)
    assert "keeps state, or draws from elsewhere" in result.text()


def test_coins_kept_for_the_next_call_are_said():
    """Every second call uses the uniforms of the call before it: replayed in order it is a function of its seed."""
    kept = []

    def saving(target, draft, tokens, rng):
        if not kept:
            kept.append(rng.integers(2**32))
            return naive(target, draft, tokens, np.random.default_rng(kept[0]))
        return naive(target, draft, tokens, np.random.default_rng(kept.pop()))

    result = audit(saving, **QUICK)
    assert Trait.NOT_A_FUNCTION in traits(result)
    assert "replayed from the last to the first" in result.text()


@pytest.mark.parametrize("form", ["chain", "paths"])
def test_a_missing_bonus_token_is_said(form):
    def without(target, draft, tokens, rng):
        rows = (target, draft, tokens) if form == "chain" else (target[0], draft[0], tokens[0])
        return naive(*rows, rng)[: len(rows[2])]

    result = audit(without, form, **QUICK)
    assert result.verdict is Verdict.NO_DEFECT_FOUND
    assert [seen.trait for seen in result.observations] == [Trait.NO_BONUS]
    assert "emits nothing behind a draft that it accepts whole" in result.text()


@pytest.mark.parametrize("calls", [1000, 2000])
def test_state_that_makes_it_lossy_late_is_found(calls):
    """The first so many calls are right, the replayed ones among them."""
    count = 0

    def tiring(target, draft, tokens, rng):
        nonlocal count
        count += 1
        if count <= calls:
            return naive(target, draft, tokens, rng)
        return [int(tokens[0]), *naive(target[1:], draft[1:], tokens[1:], rng)]

    result = audit(tiring, **QUICK | {"trials": 20_000})
    assert result.verdict is Verdict.LOSSY
    assert result.trials > calls - 1000


@pytest.mark.parametrize(("arrays", "batched"), [("numpy", False), ("numpy", True), ("torch", True)])
def test_writing_into_the_inputs_is_said(arrays, batched):
    if arrays == "torch":
        pytest.importorskip("torch")

    def scribbler(target, draft, tokens, rng):
        uniform = 0.25 if arrays == "torch" else rng.random()
        first = np.asarray(target)[..., 0, :]
        emitted = [pick(row, uniform) for row in first.reshape(-1, first.shape[-1])]
        draft[...] = 0
        tokens[...] = 0
        return [[token] for token in emitted] if batched else emitted

    result = audit(scribbler, arrays=arrays, batched=batched, **QUICK)
    noted = [seen for seen in result.observations if seen.trait is Trait.MUTATES_INPUTS]
    assert [seen.detail for seen in noted] == ["draft, tokens"]
    assert "writes into the arrays that it is given (draft, tokens)" in result.text()


def test_rows_in_a_coarse_type_of_torch_are_compared_as_they_are():
    pytest.importorskip("torch")

    def scribbler(target, draft, tokens, rng):
        target[0, 0] += 1
        return [pick((target[0].float() - target[0].float() * 0).numpy(), 0.5)]

    result = audit(scribbler, arrays="torch", dtype="bfloat16", **QUICK)
    assert {seen.detail for seen in result.observations if seen.trait is Trait.MUTATES_INPUTS} == {"target"}


def torch_uniform():
    return float(pytest.importorskip("torch").rand(()))


def drawn_after(uniform, work):
    """What the global generators give behind some work that began with seeds."""
    random.seed(5)
    np.random.seed(5)
    if uniform is torch_uniform:
        pytest.importorskip("torch").manual_seed(5)
    work()
    return random.random(), np.random.random(), uniform()


@pytest.mark.parametrize("uniform", [random.random, np.random.random, torch_uniform])
def test_randomness_from_a_global_generator_is_said_and_the_generators_are_put_back(uniform):
    results = []

    def audited():
        results.append(audit(lambda target, draft, tokens, rng: [pick(target[0], uniform())], **QUICK))

    found = drawn_after(uniform, audited)
    assert found == drawn_after(uniform, lambda: [uniform() for _ in range(results[0].trials)])  # replays left no trace
    assert results[0].verdict is Verdict.NO_DEFECT_FOUND
    assert Trait.GLOBAL_RANDOMNESS in traits(results[0])
    assert "draws from a global generator" in results[0].text()
    hurried = audit(lambda target, draft, tokens, rng: [pick(target[0], uniform())], seconds=0.0001, trials=64)
    assert traits(hurried) <= {Trait.GLOBAL_RANDOMNESS, Trait.NOT_CHOSEN_FOR}  # for want of time


def test_tokens_that_were_not_drafted_are_said():
    def inventive(target, draft, tokens, rng):
        first = pick(target[0], rng.random())
        return [first, pick(target[1], rng.random())]

    assert Trait.UNDRAFTED in traits(audit(inventive, **QUICK))
