"""The likely mechanism: found behind somebody else's code, silent where no known law is alike."""

import numpy as np
import pytest
from draws import choice

from veridraft.simulate import DEFECTS, audit
from veridraft.simulate.auditing.budget import Budget
from veridraft.simulate.auditing.explaining.mechanisms import Likeness, _words, candidates_of, likely_mechanism
from veridraft.simulate.auditing.explaining.sample import Sample
from veridraft.simulate.forms.calls import Caller
from veridraft.simulate.forms.cases import Case, default_cases
from veridraft.simulate.forms.drawing import Drawing
from veridraft.simulate.forms.form import Form
from veridraft.simulate.forms.guard import Guard
from veridraft.theory import Chain, MarkovPair

PAIR = MarkovPair([[0.5, 0.3, 0.2]] * 3, [[0.2, 0.25, 0.55]] * 3)


def pick(weights, rng):
    return choice(weights / weights.sum(), rng)


def chain(correction):
    """Speculative sampling, one call a chain, with a correction of one's own: (target, draft, position) -> weights."""

    def verify(target, draft, tokens, rng):
        emitted = []
        for place, token in enumerate(tokens):
            if rng.random() * draft[place, token] >= target[place, token]:
                return [*emitted, pick(correction(target, draft, place), rng)]
            emitted.append(token)
        return [*emitted, pick(target[-1], rng)]

    return verify


def softmax_of_residual(target, draft, place):
    return np.exp(np.maximum(target[place] - draft[place], 0.0))


def next_residual_but_the_last(target, draft, place):
    place = min(place + 1, len(draft) - 1)
    weights = np.maximum(target[place] - draft[place], 0.0)
    return weights if weights.any() else target[place]


@pytest.mark.parametrize(
    ("correction", "name"),
    [(softmax_of_residual, "softmax_of_residual"), (next_residual_but_the_last, "correction_from_next_row")],
)
def test_the_mechanism_is_found_in_code_written_another_way(correction, name):
    found = audit(chain(correction), trials=20_000).findings[0]
    assert f"({name};" in found.mechanism
    assert DEFECTS[name].seen_in in found.mechanism


def test_a_law_like_no_known_one_gets_no_mechanism():
    def favours_the_middle(target, draft, tokens, rng):
        return [pick(target[0] + [0.0, 0.5, 0.0], rng)]

    found = audit(favours_the_middle, cases=[Case("one", PAIR, Chain(1), "a test")], trials=2_000).findings[0]
    assert found.mechanism == ""


def test_a_callable_that_fails_when_asked_again_gets_no_mechanism():
    def fails(*_):
        raise RuntimeError("once is enough")

    drawings = [Drawing(case, Form.CHAIN) for case in default_cases(Form.CHAIN)[:2]]
    caller = Caller(fails, Form.CHAIN, guard=Guard(None))
    sample = Sample(caller, drawings[0], Budget(caller.pace, 10_000), np.random.default_rng(0))
    assert likely_mechanism(sample, drawings[1:]) == ""


def test_candidates_are_those_that_can_be_run_in_the_form():
    forms = {form: {defect.form for defect, _ in candidates_of(form)} for form in Form}
    assert forms == {
        Form.CHAIN: {Form.CHAIN}, Form.PATHS: {Form.PATHS}, Form.TREE: {Form.TREE, Form.PATHS},
        Form.GENERATE: {Form.GENERATE, Form.CHAIN},
    }  # fmt: skip


def test_the_words_say_how_alike_and_over_what():
    defects = [DEFECTS["softmax_of_residual"], DEFECTS["typical_acceptance"]]
    assert _words(defects[:1], 4_000, 3).endswith(
        "in 4,000 trials its law is the verifier's, up to chance, on 2 other cases too, and no other known one's is"
    )
    assert "; or: " in _words(defects, 4_000, 1)
    assert _words([], 4_000, 1) == ""


def test_a_law_is_the_same_up_to_chance_and_near_only_if_the_trials_could_tell():
    assert Likeness(distance=0.01, spread=0.002, deviation=1.0).same
    assert not Likeness(distance=0.02, spread=0.002, deviation=1.0).same
    assert Likeness(distance=0.0, spread=0.002, deviation=1.0).resolved(0.1)
    assert not Likeness(distance=0.0, spread=0.02, deviation=1.0).resolved(0.1)
    assert not Likeness(distance=0.0, spread=0.002, deviation=1.0).resolved(0.01)
