"""Callables that do not do what a verifier should: the audit says so, and never hangs or dies of it."""

import sys
import threading
import time

import numpy as np
import pytest
from one_call import QUICK, from_target, naive

from veridraft.simulate import AuditInterrupted, Fault, Form, Verdict, assert_lossless, audit, default_cases
from veridraft.simulate.auditing import course

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""An interruption may fall into a destructor or a hook of the collector, where Python drops it; it comes again."""


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
    "takes too little": (
        takes_too_little, Fault.RAISED, "takes 2 positional arguments but 4 were given; the drafted",
    ),
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
    "above the vocabulary": (returning([5]), Fault.OUTSIDE_VOCABULARY, "but [5] was emitted"),
    "below zero": (returning([-7]), Fault.OUTSIDE_VOCABULARY, "tokens must lie in [0, 5), but [-7] was emitted"),
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


def test_ctrl_c_passes_through_with_what_was_seen():
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
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(course, "explained", interrupted)
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
    assert result.verdict is Verdict.NO_DEFECT_FOUND and not result.untried
    assert len({case.case for case in result.cases}) == len(default_cases(Form.CHAIN))
    assert audit(slow, seconds=0.5, trials=100_000).verdict is Verdict.UNDECIDED
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
