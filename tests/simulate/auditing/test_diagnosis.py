"""The likely mechanism: found behind somebody else's code, silent where no known law is alike."""

import numpy as np
import pytest

from veridraft.simulate import DEFECTS, audit
from veridraft.simulate.auditing.diagnosis import Likeness, candidates, likely_mechanism
from veridraft.simulate.forms.calls import Caller
from veridraft.simulate.forms.cases import Case, default_cases
from veridraft.simulate.forms.drawing import Drawing
from veridraft.simulate.forms.form import Form
from veridraft.simulate.forms.guard import Guard
from veridraft.theory import Chain, MarkovPair

PAIR = MarkovPair([[0.5, 0.3, 0.2]] * 3, [[0.2, 0.25, 0.55]] * 3)


def pick(weights, rng):
    return int(rng.choice(len(weights), p=weights / weights.sum()))


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
    assert likely_mechanism(Caller(fails, Form.CHAIN, guard=Guard(None)), drawings, 64, np.random.default_rng(0)) == ""


def test_candidates_are_those_that_can_be_run_in_the_form():
    assert {defect.form for defect in candidates(Form.CHAIN)} == {Form.CHAIN}
    assert {defect.form for defect in candidates(Form.TREE)} == {Form.TREE, Form.PATHS}
    assert {defect.form for defect in candidates(Form.GENERATE)} == {Form.GENERATE}


def test_the_words_say_how_alike_and_over_what():
    defect = DEFECTS["softmax_of_residual"]
    assert Likeness(defect, 1.0, True).text().endswith("its law is the same, up to chance")
    assert "first 2 tokens has 71% of the deviation" in Likeness(defect, 0.71, False, 2).text()
    assert "of the first token is the same" in Likeness(defect, 1.0, True, 1).text()
