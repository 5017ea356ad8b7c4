"""Callables that do not do what a verifier should: the audit says so, and never hangs or dies of it."""

import random
import sys
import threading
import time

import numpy as np
import pytest

from veridraft.simulate import Fault, Form, Trait, Verdict, assert_lossless, audit, default_cases

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""An interruption may fall into a destructor or a hook of the collector, where Python drops it; it comes again."""

QUICK = {"trials": 600, "call_seconds": 0.1, "chosen_uniforms": False, "cases": default_cases(Form.CHAIN)[:2]}


def naive(target, draft, tokens, rng):
    """Speculative sampling, one call one request: lossless."""
    emitted = []
    for level, token in enumerate(tokens):
        if rng.random() * draft[level, token] < target[level, token]:
            emitted.append(int(token))
            continue
        rest = np.maximum(target[level] - draft[level], 0)
        return [*emitted, pick(rest / rest.sum(), rng.random())]
    return [*emitted, pick(target[-1], rng.random())]


def from_target(target, draft, tokens, rng):
    """One draw of the target: lossless, and the shortest."""
    return [pick(target[0], rng.random())]


def pick(row, uniform):
    """The token at a uniform, never one of probability 0."""
    return int(min(np.searchsorted(np.cumsum(row), uniform, side="right"), np.flatnonzero(row)[-1]))


def returning(answer):
    return lambda target, draft, tokens, rng: answer


def raises(target, draft, tokens, rng):
    raise RuntimeError("no kernel for this shape")


def takes_too_little(target, draft):
    return [0]


def leaves(target, draft, tokens, rng):
    sys.exit(3)


def loops(target, draft, tokens, rng):
    while True:
        pass


def sleeps(target, draft, tokens, rng):
    time.sleep(60)


class Unprintable:
    def __repr__(self):
        raise ValueError("no words")


BROKEN = {
    "raises": (raises, Fault.RAISED, "RuntimeError: no kernel for this shape ("),
    "takes too little": (takes_too_little, Fault.RAISED, "takes 2 positional arguments but 4 were given; the drafted"),
    "leaves": (leaves, Fault.RAISED, "SystemExit: 3"),
    "loops": (loops, Fault.TIMED_OUT, "no answer within 0.1 seconds"),
    "sleeps": (sleeps, Fault.TIMED_OUT, "no answer within 0.1 seconds"),
    "nothing": (returning(None), Fault.WRONG_SHAPE, "NoneType: None"),
    "a number": (returning(2), Fault.WRONG_SHAPE, "int: 2"),
    "floats": (returning([0.0, 1.0]), Fault.WRONG_SHAPE, "list: [0.0, 1.0]"),
    "not a number": (returning(np.array([np.nan])), Fault.WRONG_SHAPE, "array([nan])"),
    "truth": (returning([True]), Fault.WRONG_SHAPE, "list: [True]"),
    "words": (returning("0 1"), Fault.WRONG_SHAPE, "str: '0 1'"),
    "a set": (returning({0, 1}), Fault.WRONG_SHAPE, "set: {0, 1}"),
    "a pair of other things": (returning((1, [0, 1])), Fault.WRONG_SHAPE, "tuple: (1, [0, 1])"),
    "rows": (returning(np.zeros((2, 2), dtype=int)), Fault.WRONG_SHAPE, "ndarray of shape (2, 2)"),
    "unprintable": (returning(Unprintable()), Fault.WRONG_SHAPE, "Unprintable"),
    "an empty list": (returning([]), Fault.WRONG_SHAPE, "no token was emitted"),
    "padding alone": (returning([-1, -1]), Fault.WRONG_SHAPE, "no token was emitted"),
    "padding in front": (returning([-1, 0]), Fault.WRONG_SHAPE, "-1 stands before a token"),
    "too many": (returning([0] * 9), Fault.WRONG_SHAPE, "at most 3 tokens can be emitted"),
    "above the vocabulary": (returning([5]), Fault.OUTSIDE_VOCABULARY, "tokens must lie in [0, 5), but [5, -1, -1]"),
    "below zero": (returning([-7]), Fault.OUTSIDE_VOCABULARY, "tokens must lie in [0, 5), but [-7, -1, -1]"),
    "huge": (returning([2**70]), Fault.WRONG_SHAPE, "1180591620717411303424"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_callable_that_gives_no_tokens_is_an_error_that_says_why(name):
    verifier, fault, words = BROKEN[name]
    result = audit(verifier, **QUICK)
    assert result.verdict is Verdict.ERROR
    assert result.exit_status == 2
    assert result.failure.fault is fault
    assert words in result.failure.detail
    assert fault.value in result.text()
    assert "nothing is said about its law" in result.text()


@pytest.mark.parametrize("verifier", [loops, sleeps])
def test_a_hanging_callable_is_left_behind_in_another_thread_too(verifier):
    if verifier is loops:
        verifier = slow_loop
    found = []
    thread = threading.Thread(target=lambda: found.append(audit(verifier, **QUICK)))
    thread.start()
    thread.join(20)
    assert found[0].failure.fault is Fault.TIMED_OUT


def slow_loop(target, draft, tokens, rng):
    """A loop of Python that ends after the test: a thread cannot be stopped from outside."""
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        pass


def test_an_alarm_that_was_set_before_goes_on():
    signal = pytest.importorskip("signal")
    if not hasattr(signal, "setitimer"):
        pytest.skip("no alarms here")
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(True))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        assert audit(sleeps, **QUICK).failure.fault is Fault.TIMED_OUT
        time.sleep(0.4)
        assert rung
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


BATCHED_BROKEN = {
    "one row short": (lambda target, draft, tokens, rng: tokens[:-1], Fault.WRONG_SHAPE, "trials was answered by"),
    "one request": (lambda target, draft, tokens, rng: [0, 1], Fault.WRONG_SHAPE, "trials was answered by list"),
    "ragged and right but one": (
        lambda target, draft, tokens, rng: [[0]] * (len(tokens) - 1) + [[]], Fault.WRONG_SHAPE, "no token was emitted",
    ),
    "floats": (lambda target, draft, tokens, rng: tokens * 1.0, Fault.WRONG_SHAPE, "must be integers"),
    "outside": (lambda target, draft, tokens, rng: tokens * 0 + 99, Fault.OUTSIDE_VOCABULARY, "99"),
}  # fmt: skip


@pytest.mark.parametrize("name", BATCHED_BROKEN)
def test_a_batched_callable_that_gives_no_tokens_is_an_error_too(name):
    verifier, fault, words = BATCHED_BROKEN[name]
    result = audit(verifier, batched=True, **QUICK)
    assert result.failure.fault is fault
    assert words in result.text()


def test_a_slow_batch_is_not_taken_for_a_hanging_one():
    """A call has at most 16,384 trials, so that 10 s allow 0.6 ms for each."""
    sizes = []

    def slow(target, draft, tokens, rng):
        sizes.append(len(tokens))
        first = (np.cumsum(target[:, 0], axis=1) <= rng.random(len(tokens))[:, None]).sum(axis=1)
        return np.minimum(first, target.shape[2] - 1)[:, None]

    audit(slow, batched=True, trials=300_000, seconds=4, chosen_uniforms=False)
    assert max(sizes) < 16_384 + 3, "whole rounds of three requests"


def test_error_appears_only_in_some_cases_and_names_the_case():
    def no_zeros(target, draft, tokens, rng):
        if (target == 0).any():
            raise ZeroDivisionError("log of 0")
        return naive(target, draft, tokens, rng)

    result = audit(no_zeros, **QUICK)
    assert result.verdict is Verdict.ERROR
    assert result.failure.case == "zeros"
    assert "in no_zeros" in result.failure.detail


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


def test_an_interruption_that_is_swallowed_comes_again():
    class Swallows:
        """Its destructor loses whatever is raised in it."""

        def __del__(self):
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                pass

    def hangs(*_):
        Swallows()
        while True:
            pass

    start = time.monotonic()
    result = audit(hangs, **QUICK | {"call_seconds": 0.2})
    assert result.failure.fault is Fault.TIMED_OUT
    assert time.monotonic() - start < 30


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


@pytest.mark.parametrize("uniform", [random.random, np.random.random, torch_uniform])
def test_randomness_from_a_global_generator_is_said_and_the_generators_are_put_back(uniform):
    uniform()
    random.seed(5)
    np.random.seed(5)
    expected = random.Random(5).random(), np.random.RandomState(5).random()
    result = audit(lambda target, draft, tokens, rng: [pick(target[0], uniform())], seconds=0.0001, trials=64)
    assert traits(result) <= {Trait.GLOBAL_RANDOMNESS}
    assert (random.random(), np.random.random()) == expected
    result = audit(lambda target, draft, tokens, rng: [pick(target[0], uniform())], **QUICK)
    assert result.verdict is Verdict.NO_DEFECT_FOUND
    assert Trait.GLOBAL_RANDOMNESS in traits(result)
    assert "draws from a global generator" in result.text()


def test_tokens_that_were_not_drafted_are_said():
    def inventive(target, draft, tokens, rng):
        first = pick(target[0], rng.random())
        return [first, pick(target[1], rng.random())]

    assert Trait.UNDRAFTED in traits(audit(inventive, **QUICK))


def test_ctrl_c_passes_through_with_what_was_seen():
    from veridraft.simulate import AuditInterrupted

    count = 0

    def interrupted(target, draft, tokens, rng):
        nonlocal count
        count += 1
        if count == 1000:
            raise KeyboardInterrupt
        return naive(target, draft, tokens, rng)

    with pytest.raises(AuditInterrupted) as stop:
        audit(interrupted)
    assert stop.value.partial.verdict is Verdict.UNDECIDED
    assert 0 < stop.value.partial.trials < 1000


def test_ctrl_c_while_the_mechanism_is_looked_for_keeps_the_finding(monkeypatch):
    from veridraft.simulate import AuditInterrupted
    from veridraft.simulate.auditing import auditor

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(auditor, "likely_mechanism", interrupted)
    with pytest.raises(AuditInterrupted) as stop:
        audit(lambda target, draft, tokens, rng: [int(tokens[0])], **QUICK)
    assert stop.value.partial.verdict is Verdict.LOSSY
    assert stop.value.partial.findings


def test_seconds_bound_an_audit_of_slow_calls():
    def slow(target, draft, tokens, rng):
        time.sleep(0.002)
        return from_target(target, draft, tokens, rng)

    start = time.monotonic()
    result = audit(slow, seconds=0.5)
    assert result.verdict is Verdict.UNDECIDED
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("verifier", "options", "words"),
    [
        (raises, {}, "RuntimeError: no kernel"),
        (sleeps, {"call_seconds": 0.1}, "it did not return in time"),
        (returning([99]), {}, "it returned a token outside the vocabulary"),
        (lambda target, draft, tokens, rng: [int(tokens[0])], {}, "LOSSY"),
        (from_target, {"seconds": 0.001}, "UNDECIDED"),
    ],
)
def test_assert_lossless_fails_with_the_text(verifier, options, words):
    with pytest.raises(AssertionError) as failure:
        assert_lossless(verifier, **QUICK | options)
    assert words in str(failure.value)


def test_assert_lossless_gives_the_audit_of_a_pass():
    assert assert_lossless(naive, "chain", **QUICK).verdict is Verdict.NO_DEFECT_FOUND


def test_assert_lossless_with_wrong_options_is_no_failed_assertion():
    with pytest.raises(ValueError, match="form 'circle' is none of chain, paths, tree, generate"):
        assert_lossless(naive, "circle")
    with pytest.raises(TypeError, match="verifier must be callable, but is 3"):
        assert_lossless(3)
